"""One definition of what a secret is, and all who keep to it: messages, assets, trees, reports."""

from __future__ import annotations

import html
import shutil

import orjson
import pytest

from nutonic.dataset.verify import verify
from nutonic.errors import Refused
from nutonic.io.access import Access
from nutonic.run.dask_report import without_secrets
from nutonic.secrets import environment_secrets, holds_secret, redact
from nutonic.sources.item import Item
from nutonic.sources.stac.assets import asset_of
from nutonic.sources.stac.bands import Located

CANARY = "canary0123456789"
PARAMETERS = (
    *("sig", "signature", "token", "access_token", "key", "api_key", "apikey", "subscription-key"),
    *("X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "x-goog-signature", "X-Goog-Credential", "SIG"),
)
SIGNED = [f"https://h.example/a.tif?x=1{mark}{name}={CANARY}" for name in PARAMETERS for mark in ("&", ";")]
USERS = [f"https://{CANARY}@h.example/a.tif", f"https://me:{CANARY}@h.example/a.tif", f"ftp://me:{CANARY}@h/a.tif"]
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n{CANARY}==\n-----END RSA PRIVATE KEY-----"
KEYS = ["AKIA" + CANARY.upper(), PEM, PEM[:60], PEM.replace("\n", "\\n"), PEM.replace("RSA ", "")]
NAMES = (
    *("GITHUB_TOKEN", "client_secret", "DB_PASSWORD", "DB_PASSWD", "MY_API_KEY", "MYAPIKEY", "GOOGLE_CREDENTIALS"),
    *("PC_SDK_SUBSCRIPTION_KEY", "PASSPHRASE", "REQUEST_SIGNATURE", "HTTPS_PROXY", "AZURE_STORAGE_SAS"),
)
HARMLESS = [
    *("https://h.example/a.tif?v=2&tokens=3", "https://h.example/a@2x.tif", "me@example.org", "what is the key? = 3"),
    *("s3://bucket/monkey=1/a.tif", '{"url":"https://h.example","mail":"me@h.example"}', "AKIA", "BEGIN PRIVATE KEY"),
]


def item(href: str) -> Item:
    content = {"id": "s", "properties": {"datetime": "2024-05-01T00:00:00Z"}, "assets": {"red": {"href": href}}}
    return Item(content=content, footprint=None, base="https://h.example/items/s")  # type: ignore[arg-type]


@pytest.mark.parametrize("secret", [*SIGNED, *USERS, *KEYS])
def test_a_secret_is_one_to_all(secret: str):
    sentence = f"cannot read {secret}, 403"
    assert holds_secret(sentence)
    assert holds_secret(sentence.encode())
    told = redact(f"cannot read {secret}")
    assert CANARY.lower() not in told.lower()
    assert told.startswith("cannot read ")
    page = f'<p>{html.escape(secret)}</p><script type="application/json">{orjson.dumps([secret]).decode()}</script>'
    assert CANARY.lower() not in without_secrets(page).lower()


@pytest.mark.parametrize("secret", [*SIGNED, *USERS])
def test_an_asset_with_a_secret_in_its_address_is_refused(secret: str):
    with pytest.raises(Refused, match="give URLs without a user, a signature or a token") as error:
        asset_of(item(secret), Located("red"), Access(), name="red")
    assert CANARY not in str(error.value)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_none_stays(text: str):
    assert not holds_secret(text)
    assert redact(text).startswith(text.partition("?")[0])


@pytest.mark.parametrize("name", NAMES)
def test_values_of_the_environment_are_secret_by_their_names(monkeypatch, name: str):
    monkeypatch.setenv(name, CANARY)
    assert CANARY in environment_secrets()
    assert CANARY not in without_secrets(f"<p>{CANARY}</p>")


def test_words_and_other_names_are_no_secrets():
    assert environment_secrets({"A_TOKEN": "short", "HOME": CANARY, "LANG": CANARY}) == []
    assert environment_secrets({"A_KEY": "abcdef", "B_KEY": "abcdefgh"}) == ["abcdefgh", "abcdef"]


def test_a_tree_is_searched_for_all_of_them(built, tmp_path, monkeypatch):
    copy = shutil.copytree(built.out, tmp_path / "copy")
    assert verify(copy, deep=True).whole
    names = {name: f"{CANARY}-{name}" for name in NAMES}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    planted = [*SIGNED, *USERS, *KEYS, *names.values()]
    for k, secret in enumerate(planted):
        (copy / f"note{k:03d}.txt").write_text(f"note: {secret}\n")
    problems = verify(copy, deep=True).problems
    found = {line.partition(" ")[0] for line in problems if "secret" in line or "token" in line}
    assert found == {f"note{k:03d}.txt" for k in range(len(planted))}
    assert CANARY not in "".join(problems)
