"""A report as a page: one file with its style, its script and its pictures, from which no request leaves.

The page's own policy (Content-Security-Policy) names the hashes of its one style and its one script, and of pictures lets
in none but those that are written into it. So what an id, a label or a caption says is text, whatever it says.
"""

from __future__ import annotations

import base64
import hashlib
import math
from functools import cache
from importlib import resources

import jinja2
import orjson
from markupsafe import Markup

from nutonic.core.model import Json
from nutonic.core.units import counted, counted_of
from nutonic.dataset.report import world
from nutonic.dataset.report.values import Histogram, Report, number
from nutonic.inert import inert_lines

#: First lines of every report: a file that begins otherwise is not replaced.
MARK = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="nutonic report">
"""

#: Width and height of histograms, in their own units.
_WIDE, _HIGH = 480, 120


def render(report: Report) -> bytes:
    """The page; the same report gives the same bytes."""
    style, script = _text("report.css"), _text("report.js")
    page = _environment().get_template("report.html.jinja")
    html = page.render(
        report=report,
        maps=world.maps(report.places),
        outlines=world.outlines(),
        credit=world.credit(),
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
        data=_data(_of_script(report)),
        recipe=inert_lines(report.recipe),
        number=number,
        counted=counted,
        counted_of=counted_of,
        bars=bars,
    )
    return MARK + html.encode()


def _of_script(report: Report) -> Json:
    """What the script shows: cards, rows to judge, pictures."""
    gallery, sample = report.gallery, report.sample
    return {
        "name": report.name,
        "digest": report.digest,
        "gallery": {"cards": gallery.cards, "filters": gallery.filters, "noun": gallery.noun},
        "sample": None if sample is None else {"rows": sample.rows, "of": sample.of, "seed": sample.seed},
        "pictures": report.pictures,
    }


def _data(value: Json) -> Markup:
    """JSON within a script element, which no text in it can end."""
    return Markup(orjson.dumps(value).replace(b"<", b"\\u003c").decode())


def _policy(style: str, script: str) -> str:
    """What the page lets in: its own style and script, and the pictures in it."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_hashed(style)}'; script-src '{_hashed(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hashed(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def bars(histogram: Histogram) -> Json:
    """Where the bars of a histogram stand: each with its edges, its count and a title; and the ticks of its axis."""
    most, bins = max(histogram.counts, default=0), max(1, len(histogram.counts))
    bar, step = _WIDE / bins, (histogram.high - histogram.low) / bins
    found = []
    for k, chips in enumerate(histogram.counts):
        high = math.ceil(_HIGH * chips / most) if most else 0
        edges = f"{_edge(histogram, k * step)} to {_edge(histogram, (k + 1) * step)}"
        found.append(
            {"x": round(k * bar + 1, 2), "y": _HIGH - high, "high": high, "title": f"{edges}: {number(chips)}"}
        )
    ticks = [
        {"x": round(k * bar, 2), "text": _edge(histogram, k * step)} for k in range(0, bins + 1, max(1, bins // 4))
    ]
    return {"bars": found, "ticks": ticks, "wide": _WIDE, "high": _HIGH, "bar": round(bar - 2, 2), "most": number(most)}


def _edge(histogram: Histogram, above: float) -> str:
    value = histogram.low + above
    return f"{value * 100:.0f} %" if histogram.percent else f"{value:.0f}"


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("nutonic.dataset.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _text(name: str) -> str:
    return (resources.files("nutonic.dataset.report") / "templates" / name).read_text(encoding="utf-8")
