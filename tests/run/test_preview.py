"""A preview against the build that follows it; and what it leaves alone."""

from __future__ import annotations

import base64
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.cli import listing, nutonic
from support.trees import small_planet

import nutonic as nt
from nutonic.core.units import counted
from nutonic.errors import InputError, NotNutonic


def data(page: Path) -> dict:
    text = page.read_text(encoding="utf-8")
    return json.loads(text.partition('id="data">')[2].partition("</script>")[0])


def picture(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))).astype(int)


@pytest.fixture(scope="module")
def shown(clean):
    return nt.preview(nt.load_recipe(clean.recipe), 4)


def test_its_chips_are_those_of_the_build(shown, clean):
    """Boxes, captions and rows are the tree's, and the pictures are, but for JPEG."""
    cards = {card["id"]: card for card in shown.report.gallery.cards}
    assert len(cards) == 4
    assert len({name.rpartition("_t")[0] for name in cards}) == 4  # of four places
    of_tree = nt.report(clean.out, clean.out.parent / "whole.html")
    built = {card["id"]: card for card in data(of_tree)["gallery"]["cards"]}
    for name, card in cards.items():
        assert json.loads(json.dumps(card)) == built[name]
        chip = np.asarray(Image.open(clean.out / card["picture"])).astype(int)
        seen = picture(shown.report.pictures[card["picture"]])
        assert 3 * np.abs(seen - chip).mean() < np.abs(seen[:, ::-1] - chip).mean()


def test_it_is_the_same_again(shown, clean, tmp_path):
    again = nt.preview(clean.recipe, 4)
    assert again.save(tmp_path / "a.html").read_bytes() == shown.save(tmp_path / "b.html").read_bytes()
    more = nt.preview(clean.recipe, 5)
    assert {c["id"] for c in shown.report.gallery.cards} < {c["id"] for c in more.report.gallery.cards}


def test_it_searches_and_reads_for_few_places_alone(clean, monkeypatch):
    from nutonic.sources.stac.imagery import StacSource

    asked, search = [], StacSource.search
    monkeypatch.setattr(
        StacSource, "search", lambda self, lon, *a, **k: asked.append(len(lon)) or search(self, lon, *a, **k)
    )
    nt.preview(clean.recipe, 1)
    assert asked == [4]


def test_nothing_is_written_but_the_page(clean, tmp_path, monkeypatch):
    folder = shutil.copytree(clean.recipe.parent, tmp_path / "planet")
    monkeypatch.chdir(tmp_path)
    before = listing(folder)
    said = nutonic("preview", folder / "recipe.yaml", "-n", 3)
    assert (said.code, said.err) == (0, "")
    assert "A preview: 3 chips of " in said.out
    assert "wrote preview.html" in said.out
    assert listing(folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["planet", "preview.html"]
    assert len(data(tmp_path / "preview.html")["gallery"]["cards"]) == 3
    assert nutonic("preview", folder / "recipe.yaml", "-n", 2).code == 0  # over its own page


def test_a_users_file_is_not_replaced(clean, tmp_path):
    mine = tmp_path / "preview.html"
    mine.write_text("<html>mine", encoding="utf-8")
    said = nutonic("preview", clean.recipe, "--out", mine)
    assert (said.code, said.out) == (2, "")
    assert "preview.html is there already" in said.err
    assert mine.read_text(encoding="utf-8") == "<html>mine"


def test_of_a_tree_it_shows_the_trees_own(clean, tmp_path):
    before = listing(clean.out)
    made = nt.preview(clean.out, 2)
    assert made.chips == 2
    assert {card["id"] for card in made.report.gallery.cards} <= {p.stem for p in (clean.out / "images").rglob("*.png")}
    assert listing(clean.out) == before
    with pytest.raises(NotNutonic):
        nt.preview(tmp_path)


def test_where_nothing_can_be_made_it_says_why(tmp_path):
    recipe = small_planet(tmp_path / "planet", (0, 1, 4), tiles={"min_label_fraction": 1.0, "min_valid_fraction": 1.0})
    said = nutonic("preview", recipe, "--out", tmp_path / "page.html")
    assert said.code == 1
    assert "gave 0 of 6 chips" in said.out
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "tiles.min_label_fraction decides" in page or "tiles.min_valid_fraction decides" in page


def test_where_there_are_fewer_chips_nothing_is_said_to_be_left_out(tmp_path):
    recipe = small_planet(tmp_path / "planet", (0,))
    made = nt.preview(recipe, 60).report
    of_one = len(made.gallery.cards)
    assert (made.state, made.complete) == (
        f"A preview: {counted(of_one, 'chip')} of 1 place, all that there are: 60 were asked for. Nothing is built yet.",
        True,
    )


def test_it_says_of_how_many_places_it_drew(clean, tmp_path):
    """Ten are in the file; one of them has no scene."""
    told = nt.preview(clean.recipe, 1).report.state  # of the first that is drawn the only tile is left out
    assert told == "A preview: 1 chip of 2 places that were drawn at random from 10. Nothing is built yet."
    assert nt.preview(clean.recipe, 2).report.state == (
        "A preview: 2 chips of 3 places that were drawn at random from 10. Nothing is built yet."
    )
    told = nt.preview(clean.recipe, 60).report.state
    assert told.startswith("A preview: 9 places, all that are left of 10, gave 8 of 60 chips that were asked for. See")
    few = small_planet(tmp_path / "planet", (0, 1))
    told = nt.preview(few, 1).report.state
    assert told == "A preview: 1 chip of 1 place that was drawn at random from 2. Nothing is built yet."
    assert (
        nt.preview(few, 2).report.state == "A preview: 2 chips of 2 places, all that there are. Nothing is built yet."
    )


@pytest.mark.parametrize("n", [0, 61, True, 2.0, "6"])
def test_strange_numbers_are_refused(clean, n):
    with pytest.raises(InputError, match="from 1 to 60"):
        nt.preview(clean.recipe, n)


def test_other_things_are_refused():
    with pytest.raises(TypeError, match="this is a int"):
        nt.preview(3)


# In a notebook


def test_a_preview_shows_itself(shown):
    html = shown._repr_html_()
    assert html.count("<img ") == html.count("data:image/jpeg") == 4
    assert "<script" not in html
    assert repr(shown).startswith("Preview(name=synthetic-planet, chips=4")


def test_chips_and_rows_show_themselves(few):
    dataset = nt.open_dataset(few.out)
    chip, row = dataset.chips[1], dataset.of(task="grounding")[2]
    for shown, boxes in (
        (chip, len(json.loads(chip.rows.of(task="grounding")[0].answer))),
        (row, len(json.loads(row.answer))),
    ):
        html = nt.show(shown)._repr_html_()
        assert shown._repr_html_() == html
        assert html.count("data:image/jpeg") == 1
        assert html.count("<title>") == boxes
        assert shown.id in html
    assert chip.sidecar["caption"] in nt.show(chip)._repr_html_()
    assert nt.show(dataset[:5])._repr_html_().count("<figure") == 5
    assert nt.show(dataset.chips[:3])._repr_html_().count("<figure") == 3
    assert len(repr(nt.show(dataset.chips[:3])).splitlines()) == 3
    for wrong in (3, "chip", object(), [1]):
        with pytest.raises(TypeError, match=r"nt\.show takes chips and rows"):
            nt.show(wrong)


def test_what_cannot_be_read_is_shown_in_words(few, tmp_path):
    out = shutil.copytree(few.out, tmp_path / "out")
    chip = nt.open_dataset(out).chips[0]
    (out / chip.path).unlink()
    assert "<img" not in chip._repr_html_()
    assert chip.id in chip._repr_html_()
