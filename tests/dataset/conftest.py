"""Packs of finished trees, each made once a session, by whoever asks for it first. Nobody writes into those."""

from __future__ import annotations

from pathlib import Path

import pytest

import nutonic as nt


@pytest.fixture(scope="session")
def packs(tmp_path_factory):
    """Gives the folder of a pack: of a tree, in a form, with options."""
    made: dict[tuple, Path] = {}

    def pack(tree: Path, form: str, **options) -> Path:
        key = (tree, form, *sorted(options.items()))
        if key not in made:
            out = tmp_path_factory.mktemp(form) / "pack"
            assert nt.pack(tree, out, format=form, workers=0, **options).complete
            made[key] = out
        return made[key]

    return pack
