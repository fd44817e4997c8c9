"""The report in a real browser: nothing that others wrote acts, no request leaves, and all of it can be used."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import pytest
from support.browser import needs_chromium
from support.trees import small_planet

import nutonic as nt
from nutonic.dataset.report.report import report

pytestmark = needs_chromium

#: Labels of which each would act where it were taken for markup.
HOSTILE = {
    1: "</script><script>document.title='owned'</script>",
    2: "<img src=x onerror=\"document.title='owned'\">",
    3: "\"><svg onload=document.title='owned'>",
    4: "{{ 7 * 7 }}${7*7}",
    5: "=cmd|'/c calc'!a1",
    6: "javascript:document.title='owned'",
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """The report of a tree whose classes are called so that they would act."""
    folder = tmp_path_factory.mktemp("hostile")
    recipe = small_planet(
        folder / "planet", (0, 1, 4, 8, 13), labels={"dataset": {"name": "hostile", "classes": HOSTILE, "unknown": 0}}
    )
    summary = nt.build(nt.load_recipe(recipe), folder / "tree", workers=0)
    assert summary.complete
    assert summary.chips
    return report(folder / "tree")


@pytest.fixture(scope="module")
def page(clean, tmp_path_factory) -> Path:
    return report(clean.out, tmp_path_factory.mktemp("report") / "page.html")


def nothing_happened(browser) -> None:
    """No complaint, and nothing was asked for but the page and the pictures in it."""
    assert browser.complaints == []
    left = {url for url in browser.requests if not url.startswith(("data:", "blob:"))}
    assert {url for url in left if not url.startswith("file:///")} == set()
    assert len(left) == 1


@pytest.mark.long
def test_a_hostile_label_does_nothing(hostile, browser):
    browser.look()
    browser.open(hostile)
    browser.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    browser.wait("document.querySelectorAll('.rows li').length > 0")
    assert browser.run("document.title") == "synthetic-planet: report"
    assert browser.run("document.querySelectorAll('script').length") == 2
    assert (
        browser.run("document.querySelectorAll('[onerror], [onload], img:not([src^=\"data:image/jpeg\"])').length") == 0
    )
    seen = browser.run("document.body.innerText")
    assert "</script><script>document.title='owned'</script>" in seen  # as words
    assert "{{ 7 * 7 }}" in seen
    nothing_happened(browser)


def test_even_markup_that_got_in_could_not_act(page, browser, tmp_path):
    """The page's own policy: a script or a picture from elsewhere is refused by the browser."""
    spoilt = tmp_path / "spoilt.html"
    inserted = (
        b"<script>document.title='owned'</script><img src='http://127.0.0.1:9/x.png' onerror=\"document.title='owned'\">"
        b"<form action='http://127.0.0.1:9/'></form><base href='http://127.0.0.1:9/'>"
    )
    spoilt.write_bytes(page.read_bytes().replace(b'<main id="main">', b'<main id="main">' + inserted))
    browser.open(spoilt)
    assert browser.run("document.title") != "owned"
    assert browser.run("document.querySelector('img[src^=\"http\"]').naturalWidth") == 0
    assert any("Content Security Policy" in each for each in browser.complaints)


def test_filters_show_what_fits(page, browser):
    browser.look()
    browser.open(page)
    cards = json.loads(browser.run("document.getElementById('data').textContent"))["gallery"]["cards"]
    ids = "[...document.querySelectorAll('.card h3')].map((h) => h.firstChild.textContent)"
    assert sorted(browser.run(ids)) == sorted(card["id"] for card in cards)

    def choose(key: str, value: str) -> list[str]:
        browser.run(
            f"(() => {{ const s = document.querySelector('select[name={key}]'); s.value = {json.dumps(value)};"
            "s.dispatchEvent(new Event('change')); })()"
        )
        return browser.run(ids)

    for split in {card["split"] for card in cards}:
        assert sorted(choose("split", split)) == sorted(card["id"] for card in cards if card["split"] == split)
    choose("split", "")
    label = cards[0]["labels"][-1]
    fit = sorted(card["id"] for card in cards if label in card["labels"])
    assert sorted(choose("labels", label)) == fit
    assert fit
    boxes = "[...document.querySelectorAll('.card .box title')].map((t) => t.textContent)"
    assert set(browser.run(boxes)) <= {label}  # of the class that was chosen alone
    choose("labels", "")
    assert len(browser.run(boxes)) == sum(len(card["boxes"]) for card in cards)
    browser.run("document.querySelector('input[name=boxes]').click()")
    assert browser.run(boxes) == []
    browser.run("document.querySelector('input[name=search]').focus()")
    browser.call("Input.insertText", text=cards[-1]["id"])
    assert browser.run(ids) == [cards[-1]["id"]]
    assert f"1 of {len(cards)} chips fit" in browser.run("document.getElementById('shown').textContent")
    nothing_happened(browser)


def test_boxes_lie_where_their_rows_say(page, browser):
    browser.look()
    browser.open(page)
    browser.run("document.querySelector('.card details').open = true")
    browser.wait("document.querySelector('.card .rows button') !== null")
    told = browser.run(
        """(() => {
        const card = document.querySelector('.card'), button = card.querySelector('.rows button');
        button.click();
        const picture = card.querySelector('img').getBoundingClientRect();
        const drawn = [...card.querySelectorAll('.box')].map((box) => {
            const r = box.getBoundingClientRect();
            return [(r.left - picture.left) / picture.width, (r.top - picture.top) / picture.height,
                    (r.right - picture.left) / picture.width, (r.bottom - picture.top) / picture.height];
        });
        return {id: card.querySelector('h3').firstChild.textContent, drawn, pressed: button.getAttribute('aria-pressed'),
                answer: [...button.parentElement.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join("")};
        })()"""
    )
    boxes = [each["bbox"] for each in json.loads(told["answer"])]
    assert told["pressed"] == "true"
    assert len(boxes) == len(told["drawn"]) > 0
    for box, drawn in zip(boxes, told["drawn"], strict=True):
        assert drawn == pytest.approx(box, abs=0.02)  # a line's width


# The check sheet


def upper(wrong: int, n: int) -> float:
    """Clopper and Pearson's one-sided bound, from the beta distribution."""
    from scipy.stats import beta  # a second and a half, for this bound alone

    return 1.0 if wrong >= n else float(beta.ppf(0.95, wrong + 1, n - wrong))


@pytest.mark.long
def test_a_sample_is_judged_by_keys_kept_and_exported(hostile, browser, tmp_path):
    browser.look()
    browser.open(hostile)
    browser.run("localStorage.clear()")
    browser.open(hostile)
    rows = json.loads(browser.run("document.getElementById('data').textContent"))["sample"]["rows"]
    assert len(rows) > 12
    browser.run("document.querySelector('.sheet button').focus()")
    verdicts = ["right"] * 7 + ["wrong", "right", "unsure"]
    for verdict in verdicts:
        browser.press(verdict[0])
    told = browser.run("document.querySelector('.result').textContent")
    assert f"10 of {len(rows)} judged: 1 wrong, 1 unsure." in told
    assert f"at most {100 * upper(2, 10):.1f} %" in told
    assert browser.run("document.querySelector('.sheet h3').textContent").startswith("Row 11 of")
    browser.run("document.getElementById('note').focus()")
    browser.press("w")  # a letter of a note, no judgement
    assert "10 of" in browser.run("document.querySelector('.result').textContent")
    browser.open(hostile)
    assert f"10 of {len(rows)} judged" in browser.run("document.querySelector('.result').textContent")
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.run("document.getElementById('export').click()")
    path = tmp_path / "check-synthetic-planet.csv"
    browser.wait_for_file(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        exported = list(csv.DictReader(file))
    assert [line["id"] for line in exported] == [row["id"] for row in rows]
    assert [line["verdict"] for line in exported] == verdicts + [""] * (len(rows) - 10)
    assert [line["answer"].removeprefix("'") for line in exported] == [row["answer"] for row in rows]
    assert not any(cell.startswith(("=", "+", "-", "@")) for line in exported for cell in line.values())
    nothing_happened(browser)


@pytest.mark.long
def test_the_bound_is_clopper_and_pearsons(page, browser, tmp_path):
    """Through the page itself: so many right, then so many wrong, of its sample."""
    browser.look()
    browser.open(page)
    browser.run("localStorage.clear()")
    browser.open(page)
    browser.run("document.querySelector('.sheet button').focus()")
    n = wrong = 0
    for verdict in "rrrrrrrrrrwrrrrwrrrrrrrrrrrrrrrwwrrr":
        browser.press(verdict)
        n, wrong = n + 1, wrong + (verdict == "w")
        told = browser.run("document.querySelector('.result').textContent")
        assert f"at most {100 * upper(wrong, n):.1f} %" in told, (n, wrong)


# By whom it can be used


def contrast(one: str, other: str) -> float:
    """WCAG's ratio of two colours as browsers write them."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_words_can_be_read(page, browser, dark):
    browser.look(dark=dark)
    browser.open(page)
    browser.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    browser.wait("document.querySelectorAll('.rows li').length > 0")
    found = browser.run(
        """(() => {
        const back = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
            if (!c.startsWith("rgba(0, 0, 0, 0")) return c; } return "rgb(255, 255, 255)"; };
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = {};
        for (let n; (n = walker.nextNode());) {
            const e = n.parentElement;
            if (!n.data.trim() || !e.getClientRects().length || e.disabled || e.closest("svg, script, style")) continue;
            found[[getComputedStyle(e).color, back(e)].join(" on ")] = n.data.trim().slice(0, 40);
        }
        return found; })()"""
    )
    assert len(found) >= 4
    poor = {pair: text for pair, text in found.items() if contrast(*pair.split(" on ")) < 4.5}
    assert poor == {}
    assert len({pair.split(" on ")[1] for pair in found} & {"rgb(255, 255, 255)"}) == (not dark)


def test_it_fits_a_phone(page, browser):
    browser.look(width=360, height=740, mobile=True)
    browser.open(page)
    browser.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert browser.run("document.documentElement.scrollWidth") == 360
    small = browser.run(
        "[...document.querySelectorAll('button, select, input, summary, nav a')].filter((e) => e.getClientRects().length)"
        ".map((e) => [e.outerHTML.slice(0, 60), e.getBoundingClientRect().height]).filter(([, high]) => high < 24)"
    )
    assert [each for each in small if "checkbox" not in each[0]] == []


def test_who_does_not_see_it_hears_it(page, browser):
    """Names of all that can be used, texts of pictures, one first heading, headings in order, tables with heads."""
    browser.look()
    browser.open(page)
    browser.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert browser.run("document.documentElement.lang") == "en"
    levels = browser.run("[...document.querySelectorAll('h1, h2, h3')].map((h) => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    assert browser.run("[...document.images].filter((i) => !i.alt).length") == 0
    assert browser.run("document.querySelectorAll('svg:not([aria-hidden]):not([role=img])').length") == 0
    assert (
        browser.run(
            "[...document.querySelectorAll('svg[role=img]')].filter((s) => !s.getAttribute('aria-label')).length"
        )
        == 0
    )
    assert browser.run("[...document.querySelectorAll('table')].filter((t) => !t.caption).length") == 0
    ids = browser.run("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    browser.call("Accessibility.enable")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    used = [
        n
        for n in nodes
        if n.get("role", {}).get("value") in ("button", "combobox", "textbox", "searchbox", "checkbox", "link")
    ]
    assert len(used) > 20
    assert [n for n in used if not n.get("name", {}).get("value")] == []


def test_it_is_used_by_keyboard(page, browser):
    browser.look()
    browser.open(page)
    browser.press("Tab")
    assert browser.run("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(40):
        browser.press("Tab")
        if (tag := browser.run("document.activeElement.tagName")) == "BODY":  # behind the last of the page
            break
        reached.add(tag)
        outlined = browser.run("getComputedStyle(document.activeElement).outlineStyle")
        assert outlined != "none", browser.run("document.activeElement.outerHTML.slice(0, 80)")
    assert {"A", "SELECT", "INPUT", "SUMMARY"} <= reached
    browser.run("document.querySelector('.card summary').focus()")
    browser.press("Enter", "Enter")
    browser.wait("document.querySelector('.card details').open")
