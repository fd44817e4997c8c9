"""What a shard's JSON and its rows of chat say of a patch."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
from collections.abc import Iterator

import pytest
from pyproj import Transformer
from support.patches import MADE, annotation, captions, content, described, element, image

from nutonic.chips.scene.description import Sea
from nutonic.dataset.report.patches import patch_card
from nutonic.dataset.shards.chat import PROMPTS, chat_row, prompt_of
from nutonic.dataset.shards.records import PatchRecord
from nutonic.dataset.shards.samples import Made, content_of
from nutonic.errors import InputError

REVISION = annotation(
    "A house.", task=3, element="node/9", index=1, annotator="small", model="org/model", temperature=0.7, seed=2**63 - 1
)


def test_a_sample_has_what_its_loaders_know_and_where_it_came_from():
    picture = image()
    # Right as pyproj has it, of the four corners and the centre of 268.8 m from (550000, 4180000).
    to_degrees = Transformer.from_crs("EPSG:32610", "EPSG:4326", always_xy=True)
    corners = [to_degrees.transform(x, y) for x in (550_000, 550_268.8) for y in (4_180_000, 4_179_731.2)]
    centre = to_degrees.transform(550_134.4, 4_179_865.6)
    elements = (element("relation/8", version=1), element(), element("node/9", kind="point", version=2))
    found = json.loads(
        content_of(
            picture, described(picture.patch_id, *elements), captions(picture.patch_id, [annotation(), REVISION]), MADE
        )
    )
    lon, lat = zip(*corners, strict=True)
    bbox = found["provenance"]["image"].pop("bbox_wgs84")
    assert bbox == pytest.approx([min(lon), min(lat), max(lon), max(lat)], abs=2e-7)
    assert found == {
        "metadata": {"patch_id": "m_3712213_00000", "image_name": "m_3712213_sw_10_060_20220518"},
        "annotations": [
            {"task": 1, "text": "A building in the centre.", "annotator": "templates"},
            {"task": 3, "text": "A house.", "annotator": "small"},
        ],
        "provenance": {
            "image": {
                "scene": "ca_m_3712213_sw_10_060_20220518",
                "collection": "naip",
                "datetime": "2022-05-18T16:00:00Z",
                "crs": "EPSG:32610",
                "transform": [0.6, 0.0, 550_000.0, 0.0, -0.6, 4_180_000.0],
                "longitude": round(centre[0], 7),
                "latitude": round(centre[1], 7),
                "resolution": 0.6,
                "split": "train",
            },
            "osm": {
                "date": "2022-06-01",
                "elements": [{"type": "way", "id": 7, "version": 3}, {"type": "node", "id": 9, "version": 2}],
            },
            "annotations": [
                {
                    "task": {"number": 1, "element": "way/7", "index": 0},
                    "annotator": "templates",
                    "request": "1" * 64,
                    "prompt": "2" * 64,
                    "seed": 5,
                    "elements": ["way/7"],
                    "model": "",
                    "temperature": 0.0,
                },
                {
                    "task": {"number": 3, "element": "node/9", "index": 1},
                    "annotator": "small",
                    "request": "1" * 64,
                    "prompt": "2" * 64,
                    "seed": 2**63 - 1,
                    "elements": ["node/9"],
                    "model": "org/model",
                    "temperature": 0.7,
                },
            ],
            "recipe_digest": "ab" * 32,
            "nutonic_version": "1.2.3",
        },
    }


def test_a_caption_of_the_sea_is_traced_to_its_coast_each_way_once():
    picture, shore = image(), element("way/12", version=4, kind="line")
    values = {each.name: getattr(element("sea/1", version=0), each.name) for each in dataclasses.fields(shore)}
    water = Sea(**values, coast=(("relation/3", 2), ("way/12", 4), ("way/15", 1)))
    said = [annotation(element="sea/1"), annotation(element="way/12"), annotation(element="sea/1", task=3)]
    told = json.loads(
        content_of(picture, described(picture.patch_id, water, shore), captions(picture.patch_id, said), MADE)
    )
    assert [(each["type"], each["id"], each["version"]) for each in told["provenance"]["osm"]["elements"]] == [
        ("relation", 3, 2),
        ("way", 12, 4),
        ("way", 15, 1),
    ]
    assert [each["task"]["element"] for each in told["provenance"]["annotations"]] == ["sea/1", "way/12", "sea/1"]
    coast = ["relation/3", "way/12", "way/15"]
    assert [each["elements"] for each in told["provenance"]["annotations"]] == [coast, ["way/12"], coast]


def test_a_caption_of_a_thing_in_pieces_is_traced_to_all_of_them():
    picture, pond = image(), element("way/9")
    street = dataclasses.replace(
        element("way/2", version=4, kind="line"), parts=(("way/2", 4), ("way/5", 1), ("way/11", 7))
    )
    said = [annotation(element="way/2"), annotation(element="way/9")]
    told = json.loads(
        content_of(picture, described(picture.patch_id, street, pond), captions(picture.patch_id, said), MADE)
    )["provenance"]
    assert [(each["type"], each["id"], each["version"]) for each in told["osm"]["elements"]] == [
        ("way", 2, 4),
        ("way", 5, 1),
        ("way", 11, 7),
        ("way", 9, 3),
    ]
    assert [each["elements"] for each in told["annotations"]] == [["way/2", "way/5", "way/11"], ["way/9"]]


def types(value: object, path: str = "") -> Iterator[tuple[str, type]]:
    """The type at each path of a document; items of a list share one."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from types(each, f"{path}.{key}")
    elif isinstance(value, list):
        for each in value:
            yield from types(each, f"{path}[]")
    else:
        yield path, type(value)


def test_a_value_has_one_type_in_all_samples():
    """Or a loader that infers columns from the first samples stumbles over a later one."""
    bare = image(datetime=None)
    plain = content_of(
        bare, described(bare.patch_id), captions(bare.patch_id), Made(osm_date=None, recipe_digest="", version="")
    )
    full = image()
    whole = content_of(
        full, described(full.patch_id, element(), element("node/9")), captions(full.patch_id, [REVISION]), MADE
    )
    assert dict(types(json.loads(plain))) == dict(types(json.loads(whole)))
    assert type(None) not in {kind for _, kind in types(json.loads(plain))}


def test_the_same_patch_has_the_same_bytes_and_no_day_of_making():
    assert content(image()) == content(image())
    assert str(dt.date.today().year) not in content(image()).decode()


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"said": []}, "patch m_3712213_00000 has no caption: it belongs in no shard"),
        ({"said": [annotation(" \n")]}, "has a caption without a word, by 'templates'"),
        ({"said": [annotation(element="way/8")]}, "a caption of patch m_3712213_00000 is about 'way/8', which is not"),
        ({"said": [annotation(seed=2**63)]}, "has the seed 9223372036854775808, beyond 64 bits"),
        ({"said": [annotation("half a \ud800")]}, "patch m_3712213_00000 cannot be written as JSON"),
        ({"of": "other"}, "captions of different patches: m_3712213_00000, other"),
    ],
)
def test_what_is_no_sample_is_refused(parts: dict, says: str):
    picture = image()
    said = captions("x", [annotation()])
    said = type(said)(patch_id=parts.get("of", picture.patch_id), annotations=tuple(parts.get("said", [annotation()])))
    with pytest.raises(InputError, match=re.escape(says)):
        content_of(picture, described(picture.patch_id), said, MADE)


def test_a_row_of_chat_asks_for_one_thing_in_a_picture_of_its_kind():
    row = chat_row(image(), REVISION, "images/m_3712213_00000.jpg")
    question = row["messages"][0]["content"][1].pop("text")
    assert "aerial photograph" in question
    assert row == {
        "id": "m_3712213_00000__brief_caption_1",
        "task": "brief_caption",
        "patch_id": "m_3712213_00000",
        "annotator": "small",
        "messages": [
            {
                "role": "user",
                "content": [{"type": "image", "image": "images/m_3712213_00000.jpg"}, {"type": "text"}],
            },
            {"role": "assistant", "content": [{"type": "text", "text": "A house."}]},
        ],
    }
    assert chat_row(image(), annotation(task=2), "x.jpg")["id"] == "m_3712213_00000__line_caption"
    other = chat_row(image(collection="sentinel-2-l2a"), annotation(), "x.jpg")
    assert "satellite image" in other["messages"][0]["content"][1]["text"]


@pytest.mark.parametrize("task", [1, 2, 3])
def test_questions_have_ten_wordings_and_more_and_all_of_them_come(task: int):
    assert len(set(PROMPTS[task])) >= 10
    assert all(prompt.count("{picture}") == 1 for prompt in PROMPTS[task])
    asked = [prompt_of(f"patch_{number}", task, "naip") for number in range(400)]
    assert len(set(asked)) == len(PROMPTS[task])
    assert asked == [prompt_of(f"patch_{number}", task, "naip") for number in range(400)]


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (1, "Of way/7, by templates"),
        (2, "Of way/7 with way/8, by templates"),
        (4, "Of way/7 with way/8, way/9, way/10, by templates"),
        (6, "Of way/7 with way/8, way/9, way/10 and 2 others, by templates"),
    ],
)
def test_the_report_names_the_pieces_of_a_thing(count: int, told: str):
    picture, parts = image(), tuple((f"way/{number}", 3) for number in range(7, 7 + count))
    street = element(parts=parts if count > 1 else ())
    record = PatchRecord(
        ordinal=0, image=picture, picture=b"", described=described(picture.patch_id, street), osm_date=None
    )
    (row,) = patch_card(record, captions(picture.patch_id, [annotation()]))["rows"]
    assert row["prompt"] == told
