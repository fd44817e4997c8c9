"""What lies in an output folder and is not nutonic's is never touched; what a slower or older run left does no harm."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.worlds import written

from nutonic import load_recipe
from nutonic.cli.main import main
from nutonic.dataset.commits import committed
from nutonic.dataset.verify import verify
from nutonic.errors import NotNutonic, Refused
from nutonic.io.objects import Store, sha256
from nutonic.planning.layout import COMMITS, PARTS
from nutonic.planning.prepare import prepare
from nutonic.planning.spec import resolve
from nutonic.run.run import build
from nutonic.testing import SyntheticPlanet


@pytest.fixture
def recipe(tmp_path):
    return load_recipe(written(SyntheticPlanet(), tmp_path / "planet"))


@pytest.mark.long
def test_the_users_own_files_survive_every_kind_of_build(recipe, tmp_path):
    out = tmp_path / "tree"
    build(recipe, out, workers=0, limit=3)
    mine = {out / "notes.txt": "mine", out / ".git" / "HEAD": "ref: refs/heads/main"}
    for path, text in mine.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    build(recipe, out, workers=0)
    assert {path: path.read_text() for path in mine} == mine
    assert len(verify(out).problems) == len(mine)  # they are told, not removed
    items = Path(recipe.imagery.url)
    items.write_text(items.read_text().replace('"eo:cloud_cover": 62', '"eo:cloud_cover": 61').replace("62.0", "61.0"))
    build(recipe, out, workers=0, replan=True)
    assert {path: path.read_text() for path in mine} == mine


def test_a_folder_of_the_same_name_makes_nobody_ours(recipe, tmp_path):
    out = tmp_path / "tree"
    (out / "_nutonic").mkdir(parents=True)
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(NotNutonic, match=r"not nutonic's"):
        build(recipe, out, workers=0)
    assert [path.name for path in sorted(out.iterdir())] == ["_nutonic", "thesis.txt"]


@pytest.mark.long
def test_two_items_with_one_id_are_two_scenes(recipe, tmp_path):
    """The second is the first, darker, and a little to the east; each place must get the pixels its sidecar names."""
    items = Path(recipe.imagery.url)
    catalogue = json.loads(items.read_text())
    for item in catalogue["features"]:
        item["id"] = "same"
    items.write_text(json.dumps(catalogue))
    summary = build(recipe, tmp_path / "tree", workers=0)
    assert summary.complete
    named = {
        tuple(json.loads(path.read_text())["imagery"]["assets"].values())
        for path in (tmp_path / "tree" / "metadata").rglob("*.json")
    }
    assert len(named) > 1
    original = build(load_recipe(written(SyntheticPlanet(), tmp_path / "again")), tmp_path / "clean", workers=0)
    assert original.complete
    for path in sorted((tmp_path / "clean" / "images").rglob("*.png")):
        assert path.read_bytes() == (tmp_path / "tree" / path.relative_to(tmp_path / "clean")).read_bytes()


@pytest.mark.long
def test_a_slow_driver_that_commits_late_leaves_no_hole(recipe, tmp_path):
    out, slow = tmp_path / "tree", tmp_path / "slow"
    build(recipe, slow, workers=0, limit=1)
    build(recipe, out, workers=0)
    # Its part was swept when the other finished; then it commits.
    for commit in (slow / COMMITS).iterdir():
        shutil.copy(commit, out / COMMITS)
    store = Store(out)
    assert committed(store).single
    assert not [path for path, _ in store.sizes(PARTS) if "-" in Path(path).name]
    build(recipe, out, workers=0)
    assert verify(out, deep=True).problems == ()


@pytest.mark.long
def test_rows_that_were_lost_are_made_again(recipe, tmp_path):
    out = tmp_path / "tree"
    build(recipe, out, workers=0)
    rows = (out / "data" / "train.jsonl").read_bytes()
    (out / "data" / "train.jsonl").unlink()
    build(recipe, out, workers=0)
    assert (out / "data" / "train.jsonl").read_bytes() == rows
    assert verify(out, deep=True).whole


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize("word", [b'"rows"', b'"ordinal"', b'"ordinals"'])  # of its header, a batch, its index
def test_a_plan_that_was_damaged_is_made_again_when_asked(recipe, tmp_path, capsys, word):
    out = tmp_path / "tree"
    prepare(resolve(recipe), out, workers=0)
    plan = out / "_nutonic" / "plan.jsonl"
    assert word in plan.read_bytes()
    plan.write_bytes(plan.read_bytes().replace(word, word.replace(b"o", b"0")))
    with pytest.raises(SystemExit) as stopped:
        main(["build", str(tmp_path / "planet" / "recipe.yaml"), "--out", str(out), "--workers", "0"])
    assert stopped.value.code == 2
    assert "--replan" in capsys.readouterr().err
    assert build(recipe, out, workers=0, replan=True).complete
    assert verify(out, deep=True).whole


@pytest.mark.long
def test_a_tree_of_another_version_of_the_plan_says_what_to_do(recipe, tmp_path, capsys):
    """A plan without an index, as earlier ones were."""
    out = tmp_path / "tree"
    prepare(resolve(recipe), out, workers=0)
    plan = out / "_nutonic" / "plan.jsonl"
    body = b"".join(plan.read_bytes().splitlines(keepends=True)[:-2])
    plan.write_bytes(body + json.dumps({"kind": "end", "sha256": sha256(body)}).encode() + b"\n")
    with pytest.raises(SystemExit) as stopped:
        main(["build", str(tmp_path / "planet" / "recipe.yaml"), "--out", str(out), "--workers", "0"])
    assert stopped.value.code == 2
    assert "plan.jsonl is not what was written: build again with --replan" in " ".join(capsys.readouterr().err.split())
    assert build(recipe, out, workers=0, replan=True).complete
    assert verify(out, deep=True).whole


@pytest.mark.parametrize(
    "href",
    ["https://me:pw@host/a.tif", "https://host/a.tif?sig=S3CR3T", "file:///etc/a.tif", "/vsicurl/http://h/a.tif"],
)
def test_hrefs_that_hold_a_secret_or_leave_the_catalogue_are_refused(recipe, tmp_path, href):
    items = Path(recipe.imagery.url)
    catalogue = json.loads(items.read_text())
    for item in catalogue["features"]:
        item["assets"]["red"]["href"] = href
    items.write_text(json.dumps(catalogue))
    with pytest.raises(Refused, match="red") as refused:
        prepare(resolve(recipe), tmp_path / "tree", workers=0)
    assert "S3CR3T" not in str(refused.value)
    assert "pw" not in str(refused.value)
    assert not (tmp_path / "tree").exists()


def test_the_name_of_a_crs_may_be_spelled_in_any_case(recipe, tmp_path):
    items = Path(recipe.imagery.url)
    text = items.read_text()
    catalogue = json.loads(text)
    for item in catalogue["features"]:
        item["properties"]["proj:code"] = f"epsg:{item['properties'].pop('proj:epsg')}"
    items.write_text(json.dumps(catalogue))
    assert build(recipe, tmp_path / "tree", workers=0).tiles == 43


def test_an_error_of_the_disk_is_no_missing_file(recipe, tmp_path):
    """A loop of links cannot be followed today; it is a failure that stays open, not another scene."""
    red = tmp_path / "planet" / "west" / "red.tif"
    red.unlink()
    red.symlink_to(red)
    summary = build(recipe, tmp_path / "tree", workers=0)
    assert {failure.asset for failure in summary.failures} == {"west/red"}


def test_init_takes_a_path_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main_ok(["init", "mine.yaml"])
    main_ok(["init", "nutonic", "other.yaml"])
    assert Path("mine.yaml").read_bytes() == Path("other.yaml").read_bytes()


def main_ok(args: list[str]) -> None:
    try:
        main(args)
    except SystemExit as stopped:
        assert not stopped.code  # noqa: PT017  the code is what is asked
