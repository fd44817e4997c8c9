"""How a command ends: its exit code, and what is told of an error: at most five lines on stderr, never a traceback."""

from __future__ import annotations

import io
import os
import sys
from traceback import walk_tb
from typing import Any, NoReturn

import click
import orjson

from nutonic.cli import logs
from nutonic.cli.lacks import lack_of, lose_results, lost_results, silence, unwritable
from nutonic.errors import Corrupt, NutonicError, StoreError, StoreRefused

OK, INCOMPLETE, MISTAKE, INTERRUPTED = 0, 1, 2, 130

#: What is told of a command that was interrupted.
GOES_ON = "the same command goes on from here"


def report_error(error: BaseException) -> int | None:
    """Tell what a command ended with; its exit code, or None for what nobody foresaw."""
    lack = lack_of(error)
    if lack is not None:
        print_error(lack)
        return INCOMPLETE
    if isinstance(error, click.ClickException):
        _print_click(error)
        return MISTAKE
    if isinstance(error, NutonicError):
        code = _code(error)
        print_error(str(error) + _what_next(error, code))
        return code
    if isinstance(error, RecursionError):
        print_error("something is nested too deep: a path of a thousand folders, or what is in a file; name another")
        return MISTAKE
    if isinstance(error, Warning):
        print_error(f"{type(error).__name__}: {str(error)[:200]}: see PYTHONWARNINGS, which makes an error of it")
        return INCOMPLETE
    if isinstance(error, ImportError):
        print_error(f"a library cannot be loaded: {' '.join(str(error).split())[:300]}; install nutonic anew")
        return MISTAKE
    if not isinstance(error, OSError):
        return None
    if error.filename is None and (_is_of_printing(error) or _is_stdout_unwritable()):
        silence(1)
        print_error(unwritable(error))
    else:
        where = f": {str(error.filename)[:200]}" if error.filename else ""
        print_error(f"{error.strerror or error}{where}")
    return INCOMPLETE


def _what_next(error: NutonicError, code: int) -> str:
    """What to do, where the message does not say it: what is damaged stays so, all else that ends with 1 goes on."""
    text = str(error)
    if " again" in text or "the same command" in text or "nutonic verify" in text:
        return ""
    if isinstance(error, Corrupt):
        return "; run nutonic verify with --fix, and build again"
    return "; run the same command again" if code == INCOMPLETE else ""


def _is_of_printing(error: OSError) -> bool:
    """Whether it was raised as something was printed: unbuffered (PYTHONUNBUFFERED), nothing of it is left to be flushed."""
    return any(frame.f_code is click.echo.__code__ for frame, _ in walk_tb(error.__traceback__))


def _is_stdout_unwritable() -> bool:
    """Whether what was written to the standard output is still on its way, and stays there."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        return True
    return False


def refuse_warnings_as_errors() -> None:
    """End with a line where any warning of any library would end a run half-way."""
    odd = next((option for option in sys.warnoptions if option.partition(":")[0] and "error".startswith(option)), None)
    if odd is not None:
        where = "PYTHONWARNINGS" if odd in os.environ.get("PYTHONWARNINGS", "").split(",") else "-W"
        print_error(f"{where} is {odd}, which makes errors of the warnings of all libraries: run without it")
        sys.exit(MISTAKE)


def _code(error: NutonicError) -> int:
    """The exit code of an error.

    1 if it may go well the next time, since a store, a cluster or a service failed, or since something was done that the
    same command goes on with; 2 if nothing was done, and would not be until something else is done first.
    """
    from nutonic.errors import CubeChanged, FileMissing, Gone, NotNutonic, ReadFailed, RecipeChanged, Unreachable

    if isinstance(error, StoreRefused | Corrupt):
        return INCOMPLETE if error.begun else MISTAKE
    is_final = isinstance(error, NotNutonic | RecipeChanged | CubeChanged | Gone | FileMissing)
    return INCOMPLETE if isinstance(error, StoreError | Unreachable | ReadFailed) and not is_final else MISTAKE


def _print_click(error: click.ClickException) -> None:
    if logs.is_json() or not isinstance(error, click.UsageError):
        print_error(error.format_message())
    else:
        error.show(shown := io.StringIO())
        logs.write(shown.getvalue())


def print_error(message: str, event: str = "error") -> None:
    """Tell of an error in at most five lines; with JSON as an event."""
    lines = message.splitlines()[:5]
    if logs.is_json():
        logs.emit(event, message="\n".join(lines))
    else:
        logs.write("\n".join(["nutonic: " + lines[0], *lines[1:], ""]))


def end_interrupted() -> NoReturn:
    """End the process as one that was interrupted does, and say that the same command goes on."""
    print_error(f"interrupted: {GOES_ON}", "interrupted")
    sys.exit(INTERRUPTED)


def plain_json(value: object) -> object:
    """A value of ours as JSON has it."""
    return orjson.loads(orjson.dumps(value))


def print_json(value: Any) -> None:
    """Print one JSON object on stdout; StoreError if it cannot be."""
    try:
        click.echo(logs.document(value, orjson.OPT_INDENT_2))
    except BrokenPipeError:  # whoever read it has gone, and needs no telling
        raise
    except OSError as error:
        silence(1)
        raise StoreError(unwritable(error)) from None


def print_text(text: str, *, nl: bool = True) -> None:
    """Print a result as it is; where it cannot be, the work goes on, and that is told at the end."""
    try:
        click.echo(text, nl=nl)
    except OSError as error:
        lose_results(error)


def with_results(code: Any) -> Any:
    """The exit code of a command that ends with `code`; one whose results found no room is not complete, and says so."""
    lost = lost_results()
    if lost is None:
        return code
    print_error(lost)
    return code or INCOMPLETE
