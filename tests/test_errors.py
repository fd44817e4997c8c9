"""Errors: one tree, each also the builtin people catch, picklable, and silent about what URLs hold but the address."""

from __future__ import annotations

import inspect
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nutonic import errors
from nutonic.errors import NutonicError
from nutonic.secrets import redact

#: The tree as errors.py draws it: each error and what it is, NutonicError above all.
TREE = {
    "InputError": {"ValueError"},
    "RecipeError": {"InputError"},
    "PoiError": {"InputError"},
    "GridError": {"InputError"},
    "NotAligned": {"GridError"},
    "OffLattice": {"GridError"},
    "SourceError": {"OSError"},
    "NoScene": {"SourceError", "LookupError"},
    "ReadFailed": {"SourceError"},
    "Gone": {"ReadFailed"},
    "FileMissing": {"ReadFailed"},
    "Damaged": {"ReadFailed"},
    "BadPixels": {"SourceError"},
    "Refused": {"SourceError", "PermissionError"},
    "Unreachable": {"SourceError", "ConnectionError"},
    "PlanError": {"ValueError"},
    "PlanTooLarge": {"PlanError"},
    "StoreError": {"OSError"},
    "RecipeChanged": {"StoreError"},
    "CubeChanged": {"StoreError"},
    "NotNutonic": {"StoreError"},
    "Corrupt": {"StoreError"},
    "StoreRefused": {"StoreError", "PermissionError"},
    "MissingExtra": {"ImportError"},
    "BrokenInstall": {"ImportError"},
    "WrongRow": {"ValueError"},
}
ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, NutonicError)]
SECRET = "S3CR3T"


def test_the_tree_is_as_drawn():
    found = {kind.__name__: {b.__name__ for b in kind.__bases__} - {"NutonicError"} for kind in ALL}
    assert found.pop("NutonicError") == {"Exception"}
    assert found == TREE
    drawing = errors.__doc__
    assert drawing is not None
    assert [name for name in TREE if name not in drawing] == []


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_error_crosses_process_borders_with_its_message(kind):
    error = kind("cannot read https://me:pw@host/a.tif?sig=1\nbecause of 'x'", band="red")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(error, protocol))
        assert (type(again), again.band) == (kind, "red")
        assert str(again) == str(error) == "cannot read https://host/a.tif\nbecause of 'x'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"https://h.example/a.tif?sig={SECRET}", "https://h.example/a.tif"),
        (f"https://h.example/a.tif#token={SECRET}", "https://h.example/a.tif"),
        (f"https://h.example/a.tif?x=1#{SECRET}", "https://h.example/a.tif"),
        (f"https://me:{SECRET}@h.example/a.tif", "https://h.example/a.tif"),
        (f"https://{SECRET}@h.example/a.tif", "https://h.example/a.tif"),
        (f"https://me:{SECRET}@h.example:8443/a.tif?x={SECRET}", "https://h.example:8443/a.tif"),
        (f"https://me:p@{SECRET}@h.example/a.tif", "https://h.example/a.tif"),  # an @ that nobody encoded
        (f"https://h.example?sig={SECRET}", "https://h.example"),
        (f"HTTPS://h.example/a?sig={SECRET}", "HTTPS://h.example/a"),
        (f"s3://bucket/key.tif?versionId={SECRET}", "s3://bucket/key.tif"),
        (f"/vsicurl/https://h.example/a.tif?sig={SECRET}", "/vsicurl/https://h.example/a.tif"),
        (f"hf://datasets/me/d?token={SECRET}", "hf://datasets/me/d"),
        (f"https://h.example/a@2x.tif?sig={SECRET}", "https://h.example/a@2x.tif"),
        (f"https://[::1]:80/a?sig={SECRET}", "https://[::1]:80/a"),
    ],
)
def test_of_a_url_only_the_address_is_told(text, expected):
    assert redact(text) == expected


S3 = (
    "https://b.s3.eu-central-1.amazonaws.com/t/a.tif?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
    f"AKIAIOSFODNN7EXAMPLE%2F20240501&X-Amz-Date=20240501T000000Z&X-Amz-Signature={SECRET}"
)
AZURE = (
    f"https://acc.blob.core.windows.net/c/a.tif?st=2024-05-01T00%3A00%3A00Z&se=2024&sp=rl&sv=2024&sr=c&sig={SECRET}%3D"
)
GCS = f"https://storage.googleapis.com/b/a.tif?X-Goog-Algorithm=GOOG4&X-Goog-Credential=a%40b&X-Goog-Signature={SECRET}"


@pytest.mark.parametrize("url", [S3, AZURE, GCS], ids=["s3", "azure", "gcs"])
@pytest.mark.parametrize(
    "sentence",
    [
        "cannot open {}: HTTP response code: 403",
        "cannot open '{}': HTTP response code: 403",
        'cannot open "{}" (403), tried 3 times',
        "<{}> answered 403",
        '{{"href": "{}", "status": 403}}',
        "two of them: {0} and {0}, 403",
        "first line\n{}\n403",
    ],
)
def test_a_signed_url_in_a_sentence_keeps_the_sentence(url, sentence):
    text, address = redact(sentence.format(url)), url.partition("?")[0]
    assert text.count(address) == sentence.format(url).count(url)
    assert "403" in text
    for secret in (SECRET, "AKIA", "sig=", "Signature", "Credential"):
        assert secret not in text


def test_the_path_that_requests_complains_about_has_no_query_either():
    # urllib3 splits the address: its message holds the query, but no "https://" in front of it.
    text = f"HTTPSConnectionPool(host='h', port=443): Max retries exceeded with url: /a.tif?sig={SECRET} (Caused by x)"
    assert SECRET not in redact(text)
    assert "/a.tif" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        r"C:\data\what?\a#1.tif is missing",
        "C:/data/me@home/a.tif",
        "/srv/data/me@home/a#1.tif does not exist",
        "what is this? me@example.org does not know; see #12",
        "stetch is not a key of a recipe: did you mean stretch?",
        "12 > 3 & 'x' <y> \"z\" \N{DEGREE SIGN} 50%",
        "https://h.example/a/b.tif: no such file (404)",
        "file:///srv/data/a.tif and s3://bucket/key.tif, both",
        "",
    ],
)
def test_nothing_else_is_touched(text):
    assert redact(text) == text


@given(st.text("abé\\/.:@?#'\" \n<>%", max_size=60).filter(lambda text: "://" not in text))
def test_text_without_a_url_is_left_as_it_is(text):
    assert redact(text) == text


WORD = st.text("abcXYZ019-._~%=&+", max_size=12)


@given(
    before=st.sampled_from(["", "cannot read ", "'", '"', "("]),
    user=st.none() | WORD.map(lambda word: f"u:{SECRET}{word}"),
    path=WORD,
    query=WORD,
    mark=st.sampled_from(["?", "#"]),
    after=st.sampled_from(["", " today", "' today", '" today', "\ntoday"]),
)
def test_no_secret_survives_and_redaction_is_done_once(before, user, path, query, mark, after):
    text = f"{before}https://{user + '@' if user else ''}h.example/{path}{mark}t={SECRET}{query}{after}"
    assert redact(text) == f"{before}https://h.example/{path}{after}"
    assert redact(redact(text)) == redact(text)


class _Stuck(Exception):
    """Like GDAL's errors: written, and never read back."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


@pytest.mark.parametrize("how", ["cause", "context", "suppressed", "a chain"])
@pytest.mark.parametrize("name", TREE)
def test_an_error_crosses_to_another_process_whatever_it_was_raised_from(name, how):
    """As dask sends it, with what it was raised from, once `tblib` is at work."""
    from tblib import pickling_support

    stuck, error = _Stuck("of GDAL", "more"), getattr(errors, name)("what is wrong", band="red")
    if how == "cause":
        error.__cause__ = stuck
    elif how == "a chain":
        error.__cause__ = ValueError("between")
        error.__cause__.__cause__ = stuck
    else:
        error.__context__, error.__suppress_context__ = stuck, how == "suppressed"
    pickling_support.install(error, type(error))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.band) == (str(error), "red")
