"""Pushing, by the real client to a stand-in of the Hub: all arrives, nothing twice, and the token is nowhere."""

from __future__ import annotations

import json
import logging
import shutil
import time
from pathlib import Path

import pytest
from support.cli import nutonic
from support.hub_writing import SIGNATURE, serve_written
from support.trees import tree as files_of

import nutonic as nt
from nutonic.errors import Corrupt, InputError, Refused, StoreError, Unreachable
from nutonic.run.packs import outgoing, push

hub_library = pytest.importorskip("huggingface_hub")
pytest.importorskip("huggingface_hub.constants")

#: Of the client's own calls of its HTTP library.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def hub(monkeypatch):
    """The stand-in, where the client finds it; pauses are noted, not made."""
    with serve_written() as written:
        monkeypatch.setenv("HF_ENDPOINT", written.url)
        monkeypatch.setenv("HF_TOKEN", written.token)
        monkeypatch.setattr(hub_library.constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(outgoing, "BATCH_FILES", 9)
        yield written


@pytest.fixture
def pauses(monkeypatch):
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    return made


@pytest.fixture(scope="module")
def packed(few, packs):
    """A pack of leap's form: rows, a configuration, and pictures."""
    return packs(few.out, "leap")


def on_hub(hub, repo: str = "owner/name", branch: str = "main") -> dict[str, bytes]:
    return hub.branches[repo][branch]


def test_all_of_a_pack_arrives_and_nothing_below_nutonic(hub, packed):
    pushed = nt.push(packed, "owner/name", private=True)
    assert on_hub(hub) == files_of(packed)
    assert (pushed.files, pushed.sent) == (len(files_of(packed)), len(files_of(packed)))
    assert hub.private == {"owner/name": True}
    assert max(map(len, hub.commits)) == 9
    assert hub.commits[-1][-1] == "README.md"
    assert hub.tokens == {None}


def test_a_second_push_sends_nothing(hub, packed):
    nt.push(packed, "owner/name")
    commits, puts = len(hub.commits), sum(hub.puts.values())
    assert nt.push(packed, "owner/name").sent == 0
    assert (len(hub.commits), sum(hub.puts.values())) == (commits, puts)


class Stops(nt.Callback):
    """Ends a push as Ctrl-C does, after some notes."""

    def __init__(self, after: int) -> None:
        self.left = after

    def on_note(self, event: nt.Note, /) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


def test_interrupted_twice_it_ends_complete_and_nothing_was_sent_twice(hub, packed, pauses):
    with pytest.raises(KeyboardInterrupt):
        nt.push(packed, "owner/name", callbacks=[Stops(1)])
    assert 0 < len(on_hub(hub)) < len(files_of(packed))
    # The second time in the middle of a commit: its large files are there, and the commit never comes.
    hub.faults += [("/commit/", "before", 503)] * 200
    with pytest.raises(
        Unreachable, match=r"owner/name on 127.0.0.1 cannot be written: status 503: run the same command again later"
    ):
        nt.push(packed, "owner/name")
    hub.faults.clear()
    assert nt.push(packed, "owner/name").files == len(files_of(packed))
    assert on_hub(hub) == files_of(packed)
    assert set(hub.puts.values()) == {1}
    assert set(hub.regular.values()) == {1}
    assert hub.put_bytes == sum(len(data) for data in hub.stored.values())


@pytest.mark.sampled(one_in=6)
@pytest.mark.parametrize("status", [429, 500, 502, 503])
@pytest.mark.parametrize(
    "where", ["/api/repos/create", "/tree/", "/preupload/", "/objects/batch", "/storage/", "/commit/"]
)
def test_what_may_pass_is_tried_again(hub, packed, pauses, status: int, where: str):
    hub.faults.append((where, "before", status))
    nt.push(packed, "owner/name")
    assert hub.faults == []
    assert on_hub(hub) == files_of(packed)
    assert set(hub.puts.values()) == set(hub.regular.values()) == {1}
    assert pauses


def test_a_commit_whose_answer_was_lost_is_not_made_again(hub, packed, pauses):
    hub.faults.append(("/commit/", "after", 500))
    nt.push(packed, "owner/name")
    assert on_hub(hub) == files_of(packed)
    assert set(hub.regular.values()) == {1}
    assert sorted(path for commit in hub.commits for path in commit) == sorted(files_of(packed))


def test_as_long_as_the_hub_says_is_waited(hub, packed, pauses):
    hub.retry_after = "7"
    hub.faults.append(("/commit/", "before", 429))
    nt.push(packed, "owner/name")
    assert max(pauses) >= 7


def test_a_file_that_changes_while_it_is_sent_is_told_and_not_committed(hub, packed, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(packed, tmp_path / "pack"))
    (victim,) = sorted(folder.glob("images/*/*.png"))[:1]
    real = hub_library.HfApi.preupload_lfs_files

    def sent(self, *args, **kwargs):
        sends = any(addition.path_or_fileobj == str(victim) for addition in kwargs["additions"])
        real(self, *args, **kwargs)
        if sends:
            victim.write_bytes(victim.read_bytes() + b"more")

    monkeypatch.setattr(hub_library.HfApi, "preupload_lfs_files", sent)
    with pytest.raises(
        StoreError, match=r"\.png changed while it was sent, and was not committed: run the same command"
    ):
        nt.push(folder, "owner/name")
    assert victim.relative_to(folder).as_posix() not in on_hub(hub)


def test_a_file_that_is_not_what_was_written_is_not_sent(hub, packed, tmp_path):
    folder = Path(shutil.copytree(packed, tmp_path / "pack"))
    (victim,) = sorted(folder.glob("images/*/*.png"))[:1]
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-1] + b" ")
    with pytest.raises(Corrupt, match="is not what was written"):
        nt.push(folder, "owner/name")
    victim.write_bytes(whole[:-1])
    with pytest.raises(Corrupt, match="nothing was sent"):
        nt.push(folder, "owner/name")
    assert victim.relative_to(folder).as_posix() not in on_hub(hub)


def test_what_somebody_else_changes_there_is_told(hub, packed, monkeypatch):
    real = hub_library.HfApi.create_commit

    def committed(self, *args, **kwargs):
        made = real(self, *args, **kwargs)
        for path in on_hub(hub):
            if path.endswith(".png"):
                on_hub(hub)[path] = b"another"
        return made

    monkeypatch.setattr(hub_library.HfApi, "create_commit", committed)
    with pytest.raises(StoreError, match="files on the Hub are not those that were sent, such as images/"):
        nt.push(packed, "owner/name")


def test_files_of_others_in_the_repository_stay(hub, packed):
    hub.branches["owner/name"] = {"main": {"theirs.txt": b"theirs"}}
    nt.push(packed, "owner/name")
    assert on_hub(hub)["theirs.txt"] == b"theirs"


def test_a_branch_of_its_own(hub, packed):
    nt.push(packed, "owner/name", revision="v2")
    assert on_hub(hub, branch="v2") == files_of(packed)
    assert on_hub(hub) == {}


def test_a_tree_arrives_as_it_is(hub, few):
    nt.push(few.out, "owner/name")
    assert on_hub(hub) == files_of(few.out)


def test_a_tree_of_many_files_is_packed_first_and_it_is_said(hub, few, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(few.out, tmp_path / "tree"))
    monkeypatch.setattr(push, "MOST_FILES", 10)
    said = nutonic("push", folder, "--repo", "owner/name", "--json")
    assert said.code == 0, said.err
    assert "has more than 10 files, and the Hub advises fewer than 100,000: it is packed as Parquet" in said.err
    assert json.loads(said.out)["folder"].endswith("tree-parquet")
    assert on_hub(hub) == files_of(tmp_path / "tree-parquet")
    assert all(path.endswith((".parquet", "README.md", "croissant.json")) for path in on_hub(hub))


def test_a_dry_run_asks_nobody(hub, packed, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    said = nutonic("push", packed, "--repo", "owner/name", "--dry-run")
    assert said.code == 0, said.err
    assert f"{len(files_of(packed))} files" in said.out
    assert "nothing was sent" in said.out
    assert hub.asked == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--repo", "name"), "'name' is no name of a repository: write OWNER/NAME"),
        (("--repo", "owner/../name"), "is no name of a repository"),
        (("--repo", "owner/name.git"), "is no name of a repository"),
        (("--repo", "owner/a--name"), "is no name of a repository"),
        (("--repo", "owner-/name"), "is no name of a repository"),
        (("--repo", "owner/name", "--revision", "../x"), "is no name of a branch"),
        (("--repo", "owner/name", "--revision", "a..b"), "is no name of a branch"),
        (("--repo", "owner/name", "--revision", "x" * 300), "is no name of a branch"),
        (("--repo", "owner/name", "--revision", "a.lock"), "is no name of a branch"),
    ],
)
def test_names_are_looked_at_first(hub, packed, words: tuple[str, ...], told: str):
    said = nutonic("push", packed, *words)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert told in said.err
    assert hub.asked == []


def test_without_a_token_or_with_one_that_may_not_write(hub, packed, monkeypatch):
    hub.token = "another"
    with pytest.raises(Refused, match=r"owner/name on 127.0.0.1 may not be written \(status 401\): set HF_TOKEN"):
        nt.push(packed, "owner/name")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(Refused, match="HF_TOKEN is not set"):
        nt.push(packed, "owner/name")
    monkeypatch.setenv("HF_TOKEN", "x")
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")
    with pytest.raises(InputError, match="plain http, and would show HF_TOKEN"):
        nt.push(packed, "owner/name")


def test_what_is_not_finished_or_not_ours_is_refused(hub, packed, tmp_path):
    folder = Path(shutil.copytree(packed, tmp_path / "pack"))
    (folder / "_nutonic" / "packed.json").unlink()
    with pytest.raises(InputError, match="is not finished: run nutonic pack again"):
        nt.push(folder, "owner/name")
    with pytest.raises(StoreError, match="neither a pack nor a dataset"):
        nt.push(tmp_path, "owner/name")
    assert hub.branches == {}


def test_the_token_is_in_no_log_error_or_file(hub, packed, caplog, pauses, tmp_path):
    folder = Path(shutil.copytree(packed, tmp_path / "pack"))
    caplog.set_level(logging.DEBUG)
    hub.faults += [("/commit/", "before", 500), ("/storage/", "before", 503)]
    said = nutonic("push", folder, "--repo", "owner/name", "--json")
    assert said.code == 0, said.err
    hub.faults += [("/tree/", "before", 403)]
    refused = nutonic("push", folder, "--repo", "owner/name")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    shown = said.out + said.err + refused.err
    for secret in (hub.token, SIGNATURE):
        assert secret not in shown
        assert secret not in "\n".join(
            record.getMessage() for record in caplog.records if record.name.startswith("nutonic")
        )
        assert all(secret.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
