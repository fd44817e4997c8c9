"""What the default run samples: by the commit, so that each is seen in the end, and a failure can be seen again."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.sampling import leftover, seed_of, seed_of_commit

NAMES = [f"tests/room/test_{k}.py::test_it" for k in range(240)]


@pytest.fixture
def commits(tmp_path):
    """Makes a commit with a file of some content, at whatever time, and gives the folder."""

    def commit(content: str, day: int = 1, name: str = "repository") -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        git(folder, "init", "--quiet")
        (folder / "file").write_text(content)
        git(folder, "add", "file")
        who = {f"GIT_{role}_{what}": "x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        when = {f"GIT_{role}_DATE": f"2026-01-{day:02}T00:00:00Z" for role in ("AUTHOR", "COMMITTER")}
        git(folder, "commit", "--quiet", "--message", f"of day {day}", **who, **when)
        return folder

    return commit


def git(folder: Path, *words: str, **environment: str) -> None:
    path = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)}
    subprocess.run(["git", "-C", folder, *words], check=True, env={**path, **environment})


def test_commits_have_seeds_of_their_files(commits):
    first = seed_of_commit(commits("one"))
    assert 0 <= first < 10**6
    assert seed_of_commit(commits("two")) != first
    assert seed_of_commit(commits("one", day=7, name="elsewhere")) == first
    assert seed_of("commit", commits("one", day=9)) == first


def test_what_is_told_is_meant(tmp_path):
    assert seed_of("7", tmp_path) == 7
    assert len({seed_of("random", tmp_path) for _ in range(8)}) > 1


def test_where_there_is_no_commit_the_seed_is_0(commits, tmp_path):
    assert seed_of_commit(tmp_path) == seed_of_commit(tmp_path / "nowhere") == 0
    inner = commits("one") / "inner"  # as the files of a release, unpacked in a repository of something else
    inner.mkdir()
    assert seed_of_commit(inner) == 0


def test_many_seeds_leave_out_other_cases_and_as_many_and_see_all():
    seen = set[str]()
    for seed in range(300):
        kept = set(NAMES) - set(leftover(NAMES, str, 24, seed))
        assert len(kept) == 10
        seen |= kept
    assert seen == set(NAMES)
