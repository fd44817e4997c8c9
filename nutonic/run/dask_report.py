"""Dask's performance report of a build, without secrets: no query of a URL, no value of an environment variable."""

from __future__ import annotations

import html
import importlib.util
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from nutonic.errors import InputError, MissingExtra, NotNutonic
from nutonic.inert import inert_lines
from nutonic.io.atomic import new_file, refuse_unwritable, refuse_within
from nutonic.run.callbacks import Callback, Note
from nutonic.secrets import environment_secrets, redact

if TYPE_CHECKING:
    from distributed import Client

#: What a page embeds: programs, which are bokeh's own, and data.
_EMBEDDED = re.compile(r'(<script(?P<data> type="application/json"[^>]*)?>)(.*?)(</script>)', re.DOTALL)

#: The page's icon, which would be fetched from Dask's own site.
_ICON = re.compile(r'<link rel="shortcut icon"[^>]*>\n?')

#: Last line of every report: a file that ends otherwise is not replaced.
_MARKER = "<!-- performance report of nutonic -->\n"


def has_bokeh() -> bool:
    """Whether this process can draw dashboards and reports."""
    return importlib.util.find_spec("bokeh") is not None


def refuse_impossible(path: str | Path | None, *, cluster: bool) -> None:
    """Raise before any work if there can be no report at `path`."""
    if path is None:
        return
    if not cluster:
        raise InputError("a performance report is of a cluster, and --workers 0 has none: use more, or --scheduler")
    if not has_bokeh():
        raise MissingExtra("a performance report needs bokeh: pip install 'nutonic[dashboard]'")
    if not Path(path).absolute().parent.is_dir() or Path(path).is_dir():
        raise InputError(f"{path} cannot be written: name a file in a folder that is there")
    refuse_unwritable(Path(path))
    refuse_within(Path(path))
    _refuse_foreign(Path(path))


def _refuse_foreign(path: Path) -> None:
    """Raise :class:`NotNutonic` if something is there that is no earlier report."""
    if not os.path.lexists(path):
        return
    plain = path.is_file() and not path.is_symlink()
    if not plain or not path.read_bytes().endswith(_MARKER.encode()):
        raise NotNutonic(f"{path} is there already and no report of nutonic's: name another file")


@contextmanager
def reported(client: Client, path: str | Path | None, callback: Callback) -> Iterator[None]:
    """Write a report of the cluster's work in the block, if a path is given; a report that fails stops nothing."""
    if path is None:
        yield
        return
    from distributed import performance_report

    if not client.run_on_scheduler(has_bokeh):
        raise MissingExtra("a performance report needs bokeh at the scheduler: pip install 'nutonic[dashboard]' there")
    with tempfile.TemporaryDirectory(prefix="nutonic-") as folder:
        raw = Path(folder) / "report.html"
        report = performance_report(filename=str(raw), mode="inline")  # read where there is no network, too
        client.sync(report.__aenter__)
        try:
            yield
        finally:
            if client.status == "running":
                _keep(client, report, raw, Path(path), callback)


def _keep(client: Client, report: Any, raw: Path, path: Path, callback: Callback) -> None:
    try:
        # Dask would show the source of the program that called, whatever it holds.
        client.sync(report.__aexit__, None, None, None, code="nutonic build")
        text = without_secrets(raw.read_text(encoding="utf-8"))
        _refuse_foreign(path)
        with new_file(path, prefix=".nutonic-") as new:
            new.write_text(f"{text}\n{_MARKER}", encoding="utf-8")
    except Exception as error:
        reason = redact(str(error)).partition("\n")[0][:200]
        callback.on_note(Note(text=f"no performance report: {type(error).__name__}: {reason}"))


def without_secrets(text: str) -> str:
    """A page with addresses cut at their queries, in the data that it embeds too, and without the environment's secrets.

    Of programs nothing is cut but those secrets: what looks like an address there is one of their own. Nor does the page ask
    anybody for its icon.
    """
    parts, end = [], 0
    secrets, text = _spellings(environment_secrets()), _ICON.sub("", text)
    for match in _EMBEDDED.finditer(text):
        if match["data"]:
            value = _cleaned(orjson.loads(html.unescape(match[3])), secrets)
            content = html.escape(orjson.dumps(value).decode(), quote=False)
        else:
            content = _without(match[3], secrets)
        parts += [_clean(text[end : match.start()], secrets), match[1], content, match[4]]
        end = match.end()
    return "".join([*parts, _clean(text[end:], secrets)])


def _spellings(values: Iterable[str]) -> list[str]:
    """Values as they are and as HTML writes them, the longest first."""
    plain = set(values)
    return sorted(plain | {html.escape(value) for value in plain}, key=len, reverse=True)


def _cleaned(value: Any, secrets: list[str]) -> Any:
    """:func:`_clean` applied to every text of a JSON value."""
    if isinstance(value, str):
        return _clean(value, secrets)
    if isinstance(value, list):
        return [_cleaned(each, secrets) for each in value]
    if isinstance(value, dict):
        return {_clean(key, secrets): _cleaned(each, secrets) for key, each in value.items()}
    return value


def _clean(text: str, secrets: list[str]) -> str:
    return inert_lines(redact(_without(text, secrets)))


def _without(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
