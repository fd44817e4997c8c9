"""A written planet as it looks from afar."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import yaml


def remote_catalogue(folder: str | Path, url: str, prefix: str = "") -> Path:
    """Write ``items-http.json`` beside ``items.json``, with all hrefs absolute, and return its path.

    ``recipe-http.yaml`` goes beside it: the folder's recipe, with that catalogue and the server's address allowed.

    Parameters
    ----------
    folder
        Where ``SyntheticPlanet.write`` wrote.
    url
        Where it is served.
    prefix
        Path of the folder below `url`.
    """
    folder, base = Path(folder), "/".join(part.strip("/") for part in (url, prefix) if part)
    catalogue = json.loads((folder / "items.json").read_text(encoding="utf-8"))
    for asset in (asset for item in catalogue["features"] for asset in item["assets"].values()):
        asset["href"] = f"{base}/{asset['href']}"
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    recipe["imagery"] |= {"url": "items-http.json", "allow_hosts": [urlsplit(url).netloc]}
    (folder / "items-http.json").write_text(json.dumps(catalogue, indent=1), encoding="utf-8")
    (folder / "recipe-http.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return folder / "items-http.json"
