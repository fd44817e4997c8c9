"""Lines that a person may copy say what they mean, whatever is in the names of folders and files."""

from __future__ import annotations

import ast
import shlex
from pathlib import Path

import pytest
import yaml
from support.cli import nutonic

import nutonic as nt
from nutonic.cli.paths import in_python, in_shell, in_yaml

NAMES = [
    "plain",
    "a b",
    'o"e$x',
    "it's",
    "back\\slash",
    "a, b: c #d",
    "{x}",
    "ä €",
    "2024",
    "1.0",
    "true",
    "null",
    "@a",
    "*",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_one_value_in_each_language(name):
    for path in (name, f"some/{name}/where"):
        assert ast.literal_eval(in_python(path)) == path
        assert shlex.split(f"nutonic verify {in_shell(path)} --deep") == ["nutonic", "verify", path, "--deep"]
        assert yaml.safe_load(f"osm: {{tags: {in_yaml(path)}}}") == {"osm": {"tags": path}}
        assert yaml.safe_load(f"tags: {in_yaml(path)}") == {"tags": path}


def test_what_is_plain_stays_so_and_no_path_is_an_option():
    assert (in_python("out/a"), in_shell("out/a"), in_yaml("out/a.yaml")) == ('"out/a"', "out/a", "out/a.yaml")
    assert shlex.split(in_shell("-x")) == ["./-x"]
    assert in_shell(Path("/a") / "-x") == "/a/-x"


@pytest.mark.long
@pytest.mark.parametrize("name", ['o"e$x \\n', "it's, here"])
def test_the_lines_after_a_build_do_what_they_say(recipe_path, tmp_path, name):
    out = tmp_path / name
    said = nutonic("build", recipe_path, "--out", out, "--workers", 0, "--limit", 1)
    assert said.code == 0, said.err
    lines = {line[:12].strip(): line[12:] for line in said.out.splitlines()}
    call = ast.parse(lines["load it"], mode="eval").body
    assert isinstance(call, ast.Call)
    assert ast.unparse(call.func) == "nutonic.open_dataset"
    assert len(nt.open_dataset(ast.literal_eval(call.args[0]))) > 0
    for step in ("look at it", "prove it"):
        program, *words = shlex.split(lines[step])
        assert program == "nutonic"
        assert nutonic(*words).code == 0
    assert (out / "report.html").is_file()
    (out / "README.md").unlink()
    told = nutonic("verify", out, "--fix").out
    assert str(out) in told


@pytest.mark.parametrize("name", ['o"e$x', "a, b", "it's"])
def test_the_lines_after_init_do_what_they_say(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for what, key, file in (
        ("tags", "osm", f"{name}.yaml"),
        ("wording", "rows", f"{name}-w"),
        ("prompts", "captions", f"{name}-p"),
    ):
        line = nutonic("init", what, file).out
        said = yaml.safe_load(line.partition(" say  ")[2].partition("  in a recipe")[0])
        assert said == {key: {what: file}}
    line = nutonic("init", "demo", f"{name}.yml").out
    assert shlex.split(line.partition("run  ")[2]) == ["nutonic", "plan", f"{name}.yml"]
