"""Land cover of a few days whose right composite is known, and who may ask for it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from nutonic.core.classes import DYNAMIC_WORLD
from nutonic.core.model import Scene
from nutonic.io.session import current
from nutonic.sources.earthengine.labels import EarthEngineLabels
from nutonic.testing.earthengine import image_of_raster

DW, WC = "GOOGLE/DYNAMICWORLD/V1", "ESA/WorldCover/v200"
WHEN = dt.datetime(2024, 7, 1, 10, 0, 31, tzinfo=dt.UTC)

#: In zone 33, on the ten-metre lattice.
ORIGIN, SIDE = (500_000, 5_800_000), 300
TRANSFORM = Affine(10, 0, ORIGIN[0], 0, -10, ORIGIN[1])

#: Days between the images and the scene, in the collection's order; the windows are ±7, 14, 30, 60 and 120 days.
AWAY = (-119, 20, -6, 3, 45, -2.4, 12, 121)

#: No project, no key, nothing stored, and no look around for a machine of Google's.
NOBODY = {"NO_GCE_CHECK": "true", "CLOUDSDK_CONFIG": "/nonexistent"}
NAMES = ("EE_SERVICE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "EE_PROJECT", "GOOGLE_CLOUD_PROJECT")


def sign_out(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Make this a machine that nobody has signed in on."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in {**NOBODY, "HOME": str(home)}.items():
        monkeypatch.setenv(name, value)


def write(path: Path, pixels: np.ndarray, *, nodata: int | None, crs: str = "EPSG:32633", transform=TRANSFORM) -> Path:
    how = {"crs": crs, "transform": transform, "nodata": nodata, "dtype": pixels.dtype}
    height, width = pixels.shape
    with rasterio.open(path, "w", driver="GTiff", count=1, height=height, width=width, **how) as raster:
        raster.write(pixels, 1)
    return path


def days_of_land_cover(seed: int = 1) -> np.ndarray:
    """(images, rows, columns) uint8: classes 0 to 8, and 255 for clouds, which some corners have for weeks."""
    rng = np.random.default_rng(seed)
    stack = rng.choice(9, (len(AWAY), SIDE, SIDE), p=[0.4, 0.2, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05]).astype("u1")
    stack[rng.random(stack.shape) < 0.55] = 255
    for least, corner in ((7, 40), (14, 70), (30, 90), (60, 110), (120, 30)):
        rows = slice(0, 50) if least != 120 else slice(200, 240)
        stack[np.abs(AWAY) <= least, rows, corner - 30 : corner] = 255
    return stack


def composite(stack: np.ndarray, windows=(7, 14, 30, 60, 120)) -> tuple[np.ndarray, np.ndarray]:
    """Classes and days of the rule `mode`, worked out here: of equally frequent classes the smallest."""
    label, days = np.full(stack.shape[1:], 255, "u1"), np.full(stack.shape[1:], 255, "u1")
    for width in windows:
        near = stack[np.abs(AWAY) <= width]
        counts = np.stack([(near == each).sum(0) for each in range(9)])
        take = (label == 255) & (counts.sum(0) > 0)
        label[take], days[take] = counts.argmax(0)[take], width
    return label, days


def images(folder: Path, stack: np.ndarray) -> list:
    return [
        image_of_raster(
            write(folder / f"{k}.tif", pixels, nodata=255),
            f"{DW}/image{k}",
            start=(WHEN + dt.timedelta(days=away)).isoformat(),
        )
        for k, (away, pixels) in enumerate(zip(AWAY, stack, strict=True))
    ]


def dynamic_world(url: str, **how) -> EarthEngineLabels:
    whole = {"collection": DW, "band": "label", "classes": DYNAMIC_WORLD, "url": url, "project": "standin-project"}
    return EarthEngineLabels(**whole | how)


def scene_at(moment: dt.datetime | None = WHEN, collection: str = DW) -> tuple[Scene]:
    told = None if moment is None else moment.isoformat()
    how = {"collection": "dynamic-world", "source": "earthengine", "cloud_cover": None, "assets": ()}
    return (Scene(id=collection, datetime=told, **how),)


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """What is told of the network meanwhile."""
    current().clear()
    current().take_counts()
    told: dict[str, int] = {}
    yield told
    told.update(current().take_counts())


def key_of(folder: Path, token_uri: str, canary: str = "canary-of-a-key") -> Path:
    """A service account's key, as Google's console writes it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    content = {
        "type": "service_account",
        "project_id": "standin-project",
        "private_key_id": canary,
        "private_key": key.private_bytes(*form).decode(),
        "client_email": f"{canary}@standin-project.example",
        "token_uri": token_uri,
    }
    path = folder / "key.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
