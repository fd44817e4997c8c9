"""Recipes, secrets, and names that would act where they are shown."""

from __future__ import annotations

import json

from hostile.row import BUILD, PLAN, Here, Row, Tree, both
from hostile.worlds import (
    CANARY,
    Fault,
    answering,
    api,
    assets,
    damaged,
    features,
    file,
    item,
    items,
    landing,
    line,
    page_of,
    part,
    properties,
    served,
    text,
)

CLEAN, RESUMED, EMPTY = Tree.CLEAN, Tree.RESUMED, Tree.EMPTY


def many(count: int, template: str) -> str:
    return "\n".join(template.format(i=i, j=i - 1) for i in range(1, count))


def swollen(key: str) -> str:
    return f"{key}: &a [" + "x, " * 900 + "]\n" + many(900, key + "{i}: *a")


#: Text that is a recipe, or a line more of one.
TEXTS = {
    "aliases in a merge list": (line("x: &x {a: 1}\ny: {<<: [" + "*x, " * 20_000 + "*x]}"), "nutonic:"),
    "aliases in keys": (text("a: &a [x]\n" + many(60_000, "b{i}: *a")), "nutonic:"),
    "aliases in a set": (text("a: &a {x: 1}\nb: !!set {" + "*a, " * 60_000 + "}"), "nutonic:"),
    "aliases of a long text": (text("a: &a " + "x" * 9_000 + "\n" + many(40_000, "b{i}: *a")), "nutonic:"),
    "aliases through documents": (text(many(100, "--- &a{i} [1]")), "nutonic:"),
    "a square of aliases": (text(swollen("k")), "nutonic:"),
    "deep block lists": (text("a:\n" + "".join("  " * i + "-\n" for i in range(900))), "nutonic:"),
    "deep question marks": (text("? " * 5_000 + "a"), "nutonic:"),
    "deep brackets in a value": (line("x: " + "[" * 9_000 + "]" * 9_000), "nutonic:"),
    "deep quotes": (text('"' * 9_999), "nutonic:"),
    "anchors alone": (text("&a " * 20_000), "nutonic:"),
    "tags alone": (text("!a " * 20_000), "nutonic:"),
    "a tag of a megabyte": (text("a: !" + "x" * 900_000 + " b"), "nutonic:"),
    "an anchor of a megabyte": (text("a: &" + "x" * 900_000 + " b"), "nutonic:"),
    "a key of a megabyte": (text("x" * 900_000 + ": b"), "nutonic:"),
    "a comment of a megabyte": (line("#" + "x" * 900_000 + "\nx: 1"), "x is not a key"),
    "a million line breaks": (text("\n" * 1_000_000), "holds NoneType"),
    "a million spaces": (text(" " * 1_000_000), "holds NoneType"),
    "a million dashes": (text("-" * 1_000_000), "nutonic:"),
    "a directive of a megabyte": (text("%TAG ! " + "x" * 900_000 + "\n---\na: 1"), "nutonic:"),
    "folded text of a megabyte": (line("x: >\n" + "  x\n" * 200_000), "nutonic:"),
    "percent signs": (text("%" * 100_000), "nutonic:"),
    "an environment tag": (line("x: !ENV ${HOME}"), "constructor"),
    "an include tag": (line("x: !include /etc/passwd"), "constructor"),
    "an object to make": (line("x: !!python/object/new:os.system [touch ran]"), "constructor"),
    "a name to import": (line("x: !!python/name:os.system"), "constructor"),
    "a tuple": (line("x: !!python/tuple [1]"), "constructor"),
    "a tag with a percent": (line("x: !%62 y"), "nutonic:"),
    "a time of no day": (line("x: 0000-00-00"), "nutonic:"),
    "a time in year 0": (line("x: 0000-01-01T00:00:00Z"), "nutonic:"),
    "a time zone of 99 hours": (line("x: 2024-01-01T00:00:00+99:99"), "nutonic:"),
    "a second of 61": (line("x: 2024-01-01T00:00:61Z"), "nutonic:"),
    "a fraction of 9,000 digits": (line("x: 0." + "9" * 9_000), "nutonic:"),
    "an exponent of 9,000 digits": (line("x: 1.0e+" + "9" * 9_000), "nutonic:"),
    "a binary of 9,000 digits": (line("x: 0b" + "1" * 9_000), "64 bits"),
    "an octal of 9,000 digits": (line("x: 0" + "7" * 9_000), "64 bits"),
    "underscores": (line("x: 1" + "_" * 9_000), "nutonic:"),
    "sixties without an end": (line("x: 1" + ":59" * 3_000), "64 bits"),
    "NaN for a key": (line(".nan: 1\n.nan: 2"), "nutonic:"),
    "true for a key": (line("true: 1"), "nutonic:"),
    "a float for a key": (line("1.5: 1"), "nutonic:"),
    "a null character": (text("name: a\0b"), "nutonic:"),
    "a lone surrogate": (text("name: \ud800"), "utf-8"),
    "latin-1": (text("name: Größe".encode("latin-1")), "utf-8"),
    "a byte order mark within": (line("x: \ufeff"), "nutonic:"),
    "a next-line break": (line("x: a\x85y: b"), "nutonic:"),
    "a line separator": (line("x: a\u2028y: b"), "nutonic:"),
    "a backspace": (line('x: "\\b"'), "x is not a key"),
    "a key that moves the cursor": (line('"\\e[2Jx": 1'), "is not a key"),
    "a key that turns text around": (line('"\u202eyek": 1'), "nutonic:"),
    "a key with a line break": (line('"a\\nnutonic: all is well": 1'), "is not a key"),
    "a merge of a text": (line("x: {<<: abc}"), "nutonic:"),
    "a merge of a number": (line("<<: 5"), "nutonic:"),
    "a merge of itself": (text("&a\n<<: *a"), "alias"),
    "JSON with a key twice": (text('{"name": "a", "name": "b"}'), "written twice"),
    "TOML": (text("[pois]\npath = 'a'"), "nutonic:"),
    "XML": (text("<recipe/>"), "nutonic:"),
    "a shell script": (text("#!/bin/sh\nrm -rf x"), "nutonic:"),
    "nothing but a null": (text("~"), "NoneType"),
    "infinity": (text(".inf"), "float"),
    "a date": (text("2024-01-01"), "date"),
}

#: A part of a recipe, and what is said of it.
VALUES = {
    "a name of null": (part("name", None), "name"),
    "a name of 10,000 letters": (part("name", "x" * 10_000), "name"),
    "a name that climbs": (part("name", "../../x"), "name"),
    "no name": (part("name", ""), "name"),
    "places in a list": (part("pois", [1, 2]), "pois"),
    "places that are a number": (part("pois", 5), "pois"),
    "a path that is a number": (part("pois", path=5), "pois.path"),
    "a path of null": (part("pois", path=None), "pois.path"),
    "a path that is nothing": (part("pois", path=""), "nutonic:"),
    "a limit of 0": (part("pois", limit=0), "pois.limit"),
    "a limit below 0": (part("pois", limit=-(2**63)), "pois.limit"),
    "a limit that is true": (part("pois", limit=True), "pois.limit"),
    "a limit of 2^64": (part("pois", limit=2**64), "64 bits"),
    "a spacing of infinity": (part("pois", min_spacing_m=float("inf")), "finite"),
    "jitter without an end": (part("pois", jitter={"variants": 10**9}), "variants"),
    "an extent of 0": (part("grid", extent_m=0), "extent_m"),
    "an extent of -1": (part("grid", extent_m=-1.0), "extent_m"),
    "an extent that is NaN": (part("grid", extent_m=float("nan")), "extent_m"),
    "an extent in words": (part("grid", extent_m="five"), "extent_m"),
    "pixels of 1e308": (part("grid", resolution_m=1e308), "resolution_m"),
    "pixels of 1e-308": (part("grid", resolution_m=1e-308), "resolution_m"),
    "tiles larger than the square": (part("tiles", size=8192, stride=8192), "nutonic:"),
    "tiles of 2^40": (part("tiles", size=2**40), "tiles.size"),
    "a stride of 0": (part("tiles", stride=0), "tiles.stride"),
    "a cloud cover of 101": (part("imagery", max_cloud_cover=101), "max_cloud_cover"),
    "a cloud cover of NaN": (part("imagery", max_cloud_cover=float("nan")), "max_cloud_cover"),
    "a time before time": (part("imagery", datetime="-9999-01-01/2024-01-01"), "datetime"),
    "a time the wrong way round": (part("imagery", datetime="2025-01-01/2024-01-01"), "datetime"),
    "a time of three ends": (part("imagery", datetime="2024/2025/2026"), "datetime"),
    "a time that is open": (part("imagery", datetime="../.."), "nutonic:"),
    "a time of 99,999": (part("imagery", datetime="99999-01-01"), "datetime"),
    "a time of null": (part("imagery", datetime=None), "datetime"),
    "a thousand assets": (part("imagery", assets=["a"] * 1000), "assets"),
    "an asset within an asset": (part("imagery", assets=[{"asset": {"asset": "a"}}, "b", "c"]), "assets"),
    "a band of 0": (part("imagery", assets=[{"asset": "a", "band": 0}, "b", "c"]), "band"),
    "a host that is all hosts": (part("imagery", allow_hosts=["*"]), "allow_hosts"),
    "a host with a path": (part("imagery", allow_hosts=["a.org/x"]), "allow_hosts"),
    "a host that is an address": (part("imagery", allow_hosts=["http://a.org"]), "allow_hosts"),
    "a catalogue of a disk": (part("imagery", url="file:///etc/passwd"), "nutonic:"),
    "a catalogue of a bucket": (part("imagery", url="s3://bucket/items.json"), "nutonic:"),
    "a catalogue of a home": (part("imagery", url="~root/items.json"), "nutonic:"),
    "a catalogue that is no URL": (part("imagery", url="http://[::1"), "no URL"),
    "a catalogue with a line break": (part("imagery", url="http://a.org/\n/b"), "nutonic:"),
    "a table without classes": (part("labels", dataset={"name": "a", "classes": {}, "unknown": 0}), "classes"),
    "a class of 256": (part("labels", dataset={"name": "a", "classes": {256: "a"}, "unknown": 0}), "classes"),
    "a class of -1": (part("labels", dataset={"name": "a", "classes": {-1: "a"}, "unknown": 0}), "classes"),
    "two classes of one name": (
        part("labels", dataset={"name": "a", "classes": {1: "a", 2: "A"}, "unknown": 0}),
        "label",
    ),
    "a class that is not seen": (
        part("labels", dataset={"name": "a", "classes": {1: "\u200b"}, "unknown": 0}),
        "not seen",
    ),
    "a class of 20,000 letters": (
        part("labels", dataset={"name": "a", "classes": {1: "x" * 20_000}, "unknown": 0}),
        "letters",
    ),
    "shares of 2": (part("splits", train=2.0), "splits"),
    "shares of NaN": (part("splits", train=float("nan")), "splits"),
    "blocks of 0": (part("splits", by="block", block_km=0), "block_km"),
    "files per folder of 0": (part("output", files_per_dir=0), "files_per_dir"),
    "a stretch upside down": (part("stretch", low=98, high=2), "stretch"),
    "a part that there is not": (part("secrets", a=1), "secrets is not a key"),
    "a thousand parts that there are not": (line(many(1000, "k{i}: 1")), "and 996 more"),
}

RECIPES = [
    *(Row(f"a recipe of {name}", world, PLAN, 2, says, Tree.NONE, 15, 100) for name, (world, says) in TEXTS.items()),
    # A host that nobody knows is asked for six times, with waits of 14 s between them.
    *(Row(f"a recipe with {name}", world, PLAN, 2, says, Tree.NONE, 30, 100) for name, (world, says) in VALUES.items()),
]


# Secrets

#: Ways to carry one.
KEYS = (
    "api_key",
    "key",
    "password",
    "auth",
    "AWSAccessKeyId",
    "Policy",
    "st",
    "se",
    "code",
    "hdnea",
    "Key-Pair-Id",
    "u",
    "q",
    "X-Amz-Security-Token",
    "access%5Ftoken",
    "__token__",
    "expires",
    "md5",
    "sv",
    "",
)


def where(href: str) -> object:
    """The links of all items hold it, and fields of others."""

    def change(each: dict) -> None:
        each["links"] = [{"rel": "license", "href": href}, {"rel": "x", "href": "a", "headers": {"X": CANARY}}]
        each["properties"] |= {"vendor:url": href, "vendor:deep": [{"a": href}]}
        each["assets"]["thumbnail"] = {"href": href}
        each["assets"]["red"]["alternate"] = {"s3": {"href": href}, "https": {"href": f"west/red.tif?{CANARY}"}}
        each["assets"]["red"]["title"] = f"see {href}"

    return items(change)


def signed(status: int) -> object:
    """An API that tells secrets in each answer, and fails."""
    told = {"code": "NotFound", "description": f"no such token {CANARY} in http://h.example/?k={CANARY}"}
    return answering(lambda *_: (status, {"WWW-Authenticate": f"Bearer {CANARY}"}, json.dumps(told).encode()))


def paged(here: Here, number: int) -> object:
    """Pages that are signed; the second one fails."""
    if number > 1:
        return f"no page with token {CANARY}".encode()
    return page_of(features(here), f"search?token={CANARY}&page=2")


SECRETS = [
    *(
        Row(
            f"an href with {key or 'no key'}",
            assets(href=f"https://h.example/{{0}}.tif?{key}={CANARY}"),
            BUILD,
            2,
            "nutonic:",
        )
        for key in KEYS
    ),
    *(
        Row(f"elsewhere in items: {form.replace(CANARY, '…')}", where(form), BUILD, 0, "built 3 places", Tree.CLEAN)
        for form in (
            f"https://h.example/a?k={CANARY}",
            f"https://me:{CANARY}@h.example/a",
            f"https://h.example/a#t={CANARY}",
            f"s3://{CANARY}@bucket/a?x={CANARY}",
            f"https://h.example/a;jsessionid={CANARY}",
            f"//h.example/a?k={CANARY}",
            f"HTTPS://h.example/A?K={CANARY}",
            f"https://h.example/a?{CANARY}",
            f"/vsicurl/https://h.example/a?k={CANARY}",
            f"https://h.example/a%3Fsig%3D{CANARY}",
        )
    ),
    Row("an href with a user", assets(href=f"https://me:{CANARY}@h.example/a.tif"), BUILD, 2, "(user)"),
    Row("an href with a token as its fragment", assets(href=f"https://h.example/a.tif#{CANARY}"), BUILD, 2, "(value)"),
    Row(
        "an href with an encoded query", assets(href=f"https://h.example/a.tif%3Fsig%3D{CANARY}"), BUILD, 2, "(encoded)"
    ),
    Row("a local href with a query", assets(href=f"west/{{0}}.tif?sig={CANARY}"), BUILD, 2, "sig"),
    Row("a catalogue with a user", part("imagery", url=f"https://me:{CANARY}@h.example/v1"), PLAN, 2, "nutonic:"),
    Row(
        "a catalogue with a key",
        part("imagery", url=f"https://10.0.0.1/v1?key={CANARY}"),
        PLAN,
        1,
        "nutonic: https://10.0.0.1/v1",
    ),
    Row("labels with a key", part("labels", path=f"https://10.0.0.1/a.tif?key={CANARY}"), PLAN, 2, "nutonic:"),
    Row("labels with a user", part("labels", path=f"https://me:{CANARY}@10.0.0.1/a.tif"), PLAN, 2, "nutonic:"),
    Row("places with a key", part("pois", path=f"https://10.0.0.1/a.csv?key={CANARY}"), PLAN, 2, "nutonic:"),
    Row("a key of a recipe", part("imagery", token=CANARY), PLAN, 2, "imagery.token is not a key"),
    Row(
        "a scheduler with a password",
        lambda here: None,
        f"build recipe.yaml --out out --scheduler tcp://me:{CANARY}@127.0.0.1:1",
        2,
        "nutonic:",
    ),
    Row("an API whose errors tell secrets", signed(500), PLAN, 1, "500, 6 times"),
    Row("an API that tells secrets and denies access", signed(401), PLAN, 2, "denies access (401)"),
    Row("pages that are signed", api(paged), PLAN, 1, "no JSON, 6 times"),
    Row(
        "a landing page with a key in its search",
        answering(
            lambda *_: (
                200,
                {},
                json.dumps(
                    landing(
                        links=[
                            {"rel": "search", "href": f"http://10.0.0.1/s?key={CANARY}", "type": "application/geo+json"}
                        ]
                    )
                ).encode(),
            )
        ),
        PLAN,
        2,
        "nutonic:",
    ),
    Row(
        "a redirect to a signed address",
        served(Fault("redirect", path="/west/*", times=None, to=f"http://10.0.0.1/a.tif?sig={CANARY}")),
        BUILD,
        1,
        "10.0.0.1",
        RESUMED,
    ),
]


# Names that act

TEXTS_THAT_ACT = {
    "a title": "\x1b]0;x\x07",
    "a clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "a C1 control": "a\x9b2Jb",
    "a bell": "a\x07",
    "a link": "\x1b]8;;http://evil\x07x\x1b]8;;\x07",
    "a line of its own": "a\nnutonic: all is well",
    "a return": "a\rnutonic: well",
    "text turned around": "a\u202egpj.exe",
    "isolates": "a\u2066b\u2069",
    "nothing seen": "a\u200b\u2060b",
    "markup": "[red]a[/red]",
    "Markdown": "![x](http://evil/x)|b|`c`",
    "HTML": "<script>alert(1)</script>",
    "YAML": "a: b\n---\nlicense: mit",
    "Rich": "[link=x]",
    "a format": "{0.__class__} %s %(x)s",
    "a template": "{{7*7}}${7*7}",
    "a shell": "$(touch ran)`touch ran`;touch ran",
    "a path": "../../../elsewhere/x",
    "a device": "CON",
    "a dot": ".",
    "a page": "x" * 5000,
    "tags": "a\U000e0041\U000e0042",
}


def ids(value: str) -> object:
    """A places file whose ids are these, and a number."""

    def world(here: Here) -> None:
        header, *lines = (here.folder / "pois.csv").read_text().splitlines()
        rows = [f'"{value} {i}",{row}' for i, row in enumerate(lines)]
        here.write("pois.csv", "\n".join([f"id,{header}", *rows, ""]))

    return world


def classes(value: str) -> object:
    def world(here: Here) -> None:
        table = here.values()["labels"]["dataset"]
        table["classes"][1] = value
        here.recipe(labels={"dataset": table})

    return world


INERT = [
    *(
        Row(f"an item's id is {what}", item(id=value), BUILD, 0, "built 3 places", Tree.WHOLE)
        for what, value in TEXTS_THAT_ACT.items()
    ),
    *(
        Row(
            f"an item's files are gone, and are called {what}",
            both(item(id=value), assets(href=f"{{0}} {value[:90]}.tif")),
            BUILD,
            2,
            "files that the items of imagery.url name is there",
        )
        for what, value in TEXTS_THAT_ACT.items()
        if "://" not in value and "ZX" not in value
    ),
    *(
        Row(f"a place's id is {what}", ids(value.replace('"', '""')), BUILD, 0, "built 3 places", Tree.WHOLE)
        for what, value in TEXTS_THAT_ACT.items()
    ),
    *(
        Row(
            f"a collection is {what}",
            both(item(collection=value), part("imagery", collection="c")),
            PLAN,
            2,
            "nutonic:",
        )
        for what, value in TEXTS_THAT_ACT.items()
    ),
    *(
        Row(f"a server says {what}", answering(lambda h, p, n, v=value: (400, {}, v.encode())), PLAN, 2, "400")
        for what, value in TEXTS_THAT_ACT.items()
    ),
    *(
        Row(f"a class is {what}", classes(TEXTS_THAT_ACT[what]), BUILD, 0, "built 3 places", Tree.WHOLE)
        for what in ("markup", "Markdown", "HTML", "a format", "a template", "a shell", "a path", "a device", "a dot")
    ),
    *(
        Row(
            f"a recipe is called {name!r}",
            lambda here, name=name: (here.folder / "recipe.yaml").rename(here.folder / name),
            f"build {name.replace(' ', '%20')} --out out --workers 0",
            0,
            "built 3 places",
            Tree.CLEAN,
        )
        for name in ("[red]r[link=x].yaml", "a\x1b[2Jb.yaml", "\u202ey.yaml", "{0}.yaml", "%s.yaml")
    ),
    Row("a time with an escape", properties(datetime="2024-06-01T00:00:00Z\x1b[2J"), PLAN, 2, "nutonic:"),
    Row(
        "a CRS with an escape",
        both(properties(proj__epsg=None, proj__code="EPSG:\x1b[2J32633")),
        BUILD,
        0,
        "built",
        Tree.CLEAN,
    ),
    Row(
        "a header of a places file with escapes",
        damaged("pois.csv", lambda b: b.replace(b"lon", b"l\x1b[2Jon", 1)),
        PLAN,
        2,
        "nutonic:",
    ),
    Row("cells with escapes", file("pois.csv", "lon,lat\n\x1b[2J,46\n\x9b1,2\n"), PLAN, 2, "nutonic:"),
    Row(
        "GeoJSON with escapes",
        both(file("p.geojson", json.dumps({"type": "\x1b[2J\u202e"})), part("pois", path="p.geojson")),
        PLAN,
        2,
        "nutonic:",
    ),
]
