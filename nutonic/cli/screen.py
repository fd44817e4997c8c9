"""The two streams that a person reads: results on stdout, and on stderr what goes on until they are there."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from nutonic.cli import logs
from nutonic.cli.lacks import lose_results, silence
from nutonic.inert import inert

#: Columns beyond which lines are hard to read, however wide a terminal is.
_WIDEST = 110


class _Console(Console):
    """Writes text, in notebooks too. Once nobody reads it, or has room for it, it is silent, and the work goes on.

    Results that find no room are told of as lost, once the command ends.

    What others may have written, such as ids and reasons, cannot move its cursor or begin a line of its own.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """A line as it is shown."""
        return super().render_str(inert(text), **options)

    def on_broken_pipe(self) -> None:
        """Stay silent from now on."""
        self._give_up(BrokenPipeError())

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; see :meth:`rich.console.Console.print`."""
        try:
            super().print(*objects, **options)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.quiet = True
        if self.stderr:
            silence(2)
        else:
            lose_results(error)


def _stream(*, stderr: bool) -> Console:
    made = _Console(stderr=stderr, highlight=False, soft_wrap=True, force_jupyter=False, emoji=False)
    if not made.width:  # COLUMNS=0, as where a terminal has no size, shows nothing
        made.width = 80
    return made


#: Where progress and notes go, and where results do.
console, results = _stream(stderr=True), _stream(stderr=False)


def say(lines: Iterable[str], *, aside: bool = False) -> None:
    """Print lines of a result; `aside` where stdout is for JSON, on stderr.

    A terminal gets them folded between words; a pipe or a file gets each as it is, so that it can be searched.
    """
    stream = console if aside else results
    for line in lines:
        for row in _folded(line, stream):
            stream.print(row, markup=False)


def _folded(line: str, stream: Console) -> Iterator[str]:
    if not stream.file.isatty():
        yield line
        return
    indent = " " * (len(line) - len(line.lstrip()))
    width = min(stream.width, _WIDEST)
    kept = textwrap.wrap(
        inert(line), width, subsequent_indent=f"{indent}  ", break_long_words=False, break_on_hyphens=False
    )
    yield from kept or [""]


def show_log(level: int) -> None:
    """Show the library's own log on stderr: 1 for what is done, 2 for each batch too."""
    logger = logging.getLogger("nutonic")
    logger.setLevel(logging.INFO if level == 1 else logging.DEBUG)
    if not any(isinstance(handler, _LogHandler) for handler in logger.handlers):
        logger.addHandler(_LogHandler())


class _LogHandler(logging.Handler):
    """Prints the library's log; with JSON, events."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record, above a bar if there is one."""
        if logs.is_json():
            logs.emit("log", level=record.levelname, name=record.name, message=record.getMessage())
        else:
            console.print(f"{record.levelname.lower()} {record.name}: {record.getMessage()}", markup=False)


def note(line: str) -> None:
    """Print a line on stderr; with JSON, write an event."""
    if logs.is_json():
        logs.emit("note", message=line)
    else:
        console.print(line, markup=False)
