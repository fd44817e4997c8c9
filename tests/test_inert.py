"""What others wrote is shown inert: no terminal obeys it, no Markdown, YAML or HTML takes it for its own."""

from __future__ import annotations

import json
import logging
import re

import orjson
import pytest
import yaml
from rich.table import Table

from nutonic.cli import console, logs, screen
from nutonic.cli.main import main
from nutonic.core.showing import line, table
from nutonic.dataset.card_front import front_matter
from nutonic.dataset.card_text import CardFacts
from nutonic.dataset.card_text import table as _table
from nutonic.dataset.index import Totals
from nutonic.dataset.parts.guesses import Guesses
from nutonic.dataset.proof.findings import Finding
from nutonic.errors import InputError
from nutonic.inert import inert, inert_json, inert_lines, markdown_code, markdown_text, unseen
from nutonic.run.callbacks import LogCallback, Note
from nutonic.run.dask_report import without_secrets

ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")

CONTROLS = [
    *(
        "\x1b[2J",
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07",
        "\x1b]52;c;ZXZpbA==\x07",
        "\x1b]8;;http://evil\x1b\\x\x1b]8;;\x1b\\",
    ),
    *(
        "\x9b2J",
        "\x9d0;t\x9c",
        "\x90q\x9c",
        "\x1bc",
        "\x1b(0",
        "\x1bP+q\x1b\\",
        "\x1b[6n",
        "\x1b[?1049h",
        "\x1b[1A\x1b[2Kdone",
    ),
    *("a\rb", "a\x08\x08b", "a\x00b", "a\x07b", "a\x0bb", "a\x0cb", "a\x7fb", "a\x85b", "a\x84b", "a\x1ab"),
    *("a\u202eb", "a\u202db", "a\u2066b\u2069", "a\u200eb", "a\u200fb", "a\u061cb", "a\u2028b", "a\u2029b"),
    *(
        "a\u200bb",
        "a\ufeffb",
        "a\u2060b",
        "a\u00adb",
        "a\U000e0041b",
        "a\udc80b",
        "a\ud800b",
        "a\nnutonic: all is well",
    ),
]
MARKUP = [
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<!-- x -->", "</td>", "<a href='x'>y</a>", "<?php"),
    *(
        "![x](http://evil/x.png)",
        "[x](javascript:alert(1))",
        "`code`",
        "a | b | c",
        "**bold**",
        "*it*",
        "_it_",
        "__b__",
    ),
    *(
        "~~gone~~",
        "\\| x",
        "$x$",
        "https://evil.example/x",
        "www.evil.example",
        "@somebody",
        "&lt;b&gt;",
        "&#60;b&#62;",
    ),
    *("a\n\n# Heading", "a\n---\nlicense: mit\n---", "a\n| b | c |", "```\ncode", "``", "[^1]", "a\\"),
]
PLAIN = [
    *(
        "snow & ice",
        "bare / sparse vegetation",
        "flooded_vegetation",
        "built-up",
        "Wald & Wiese",
        "trees > 5 m",
        "< 10 %",
    ),
    *(
        "\u6c34\u4f53",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "for\u00eat",
        "50.5",
        "a (b), c: d; e = f!",
        "1:2:3",
        "#1",
        "S2A_MSIL2A_2024",
    ),
]


@pytest.mark.parametrize("text", CONTROLS)
def test_a_terminal_obeys_nothing(text: str, capsys, monkeypatch):
    shown = [inert(text), inert_lines(text), str(InputError(text)), Finding(text).message(fixing=True)]
    shown += [line("X", {"a": text}), table("X", {"a": text}), markdown_code(text), markdown_text(text)]
    with screen.console.capture() as captured:
        screen.note(text)
        screen.say([f"wrong {text}", *console._rejects({text: 1}, {text: text})], aside=True)
        screen.console.print(text, markup=False)
        cells = Table(box=None)
        cells.add_column("a")
        cells.add_row(text.replace("[", "\\["))
        screen.console.print(cells)
    logs.write(text)
    monkeypatch.setattr(logs, "_json", True)
    screen.note(text)
    with pytest.raises(SystemExit):
        main(["plan", f"{text.replace(chr(0), '')}.yaml", "--log-json"])
    with pytest.raises(SystemExit):
        main([f"no-{text}"])
    printed = capsys.readouterr()
    for each in (*shown, captured.get(), printed.out, printed.err):
        assert not ACTS.search(each), (text, each)
    assert "\nnutonic: all" not in captured.get()
    assert unseen(text) is None or unseen(text) in text


@pytest.mark.parametrize("text", [text for text in CONTROLS if not re.search("[\ud800-\udfff]", text)])
def test_json_says_the_same_in_codes(text: str):
    written = inert_json(orjson.dumps({"a": text}).decode())
    assert json.loads(written) == {"a": text}
    assert not ACTS.search(written)
    assert json.loads(logs.line("e", message=text))["message"] == text


@pytest.mark.parametrize("text", CONTROLS)
def test_logs_and_reports_hold_none_of_it(text: str, caplog):
    with caplog.at_level(logging.INFO, "nutonic"):
        LogCallback().on_note(Note(text=text))
    assert not ACTS.search(caplog.text)
    if not re.search("[\ud800-\udfff]", text):
        page = f'<script type="application/json">{orjson.dumps([text]).decode()}</script>'
        assert not ACTS.search(without_secrets(page))


@pytest.mark.parametrize("text", [*CONTROLS, *MARKUP])
def test_a_cell_of_the_card_is_one_cell_of_text(text: str):
    card = _table("Land cover", ("class", "share"), [(text, "1.00%")])
    assert not ACTS.search(card)
    last = card.splitlines()[-1]
    assert len(card.splitlines()) == 5
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", last)) == 3
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", last)  # without what is escaped nothing is left that acts
    assert not re.search(r"<[a-z/!?]|[`\[\]$~@]|://|www\.|&(?:#|\w+;)|\*\w|\b_\w", bare, re.IGNORECASE), last


@pytest.mark.parametrize("text", [*CONTROLS, *MARKUP])
def test_code_ends_where_it_is_said_to(text: str):
    code = markdown_code(text)
    fence = re.match("`+", code)[0]
    assert code.endswith(fence)
    assert fence not in re.findall("`+", code[len(fence) : -len(fence)])
    assert "\n" not in code


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_plain_stays_byte_for_byte(text: str):
    assert inert(text) == markdown_text(text) == text
    assert markdown_code(text) == f"`{text}`"
    assert str(InputError(text)) == text
    assert unseen(text) is None


@pytest.mark.parametrize("text", [*CONTROLS[:-4], *MARKUP])
def test_front_matter_holds_a_name_as_text(built, text: str):
    from dataclasses import replace

    from nutonic.io.objects import Store
    from nutonic.planning.plan_file import read_plan
    from nutonic.planning.spec import resolve

    spec = replace(resolve(built.recipe), name=text)
    nothing = Totals(chip_pixels=1), Guesses(kinds=(), places=0, of=0)
    matter = front_matter(CardFacts.of(spec, read_plan(Store(built.out)), *nothing))
    assert matter.startswith("---\n")
    assert matter.endswith("---\n")
    assert not re.search("^---$", matter[4:-4], re.MULTILINE)
    assert yaml.safe_load(matter[4:-4])["pretty_name"] == text
    assert not ACTS.search(matter)
