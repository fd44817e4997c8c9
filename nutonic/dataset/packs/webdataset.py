"""Chips as WebDataset: tars of one chip after the other, with its pictures, and all its rows and its sidecar as JSON.

A loader puts files with one name before the first dot together. A key is the chip's id; ids have no dots, but where one has,
it becomes a dash and a short hash, so that two never become one. Archives of a split are numbered without gaps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import orjson

from nutonic.core.model import Json
from nutonic.dataset.packs.boxes import AS_BUILT, BoxForm, with_boxes
from nutonic.dataset.packs.forms import Loading, Put, Shards, config_of, refuse_unknown
from nutonic.dataset.packs.shards import Picture, Sample, Shard
from nutonic.dataset.packs.tree import TreeFacts
from nutonic.dataset.shards.tar import ending, member
from nutonic.errors import Corrupt
from nutonic.io.objects import sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class WebDataset:
    """``data/train-00000-of-00012.tar``."""

    name: str = "webdataset"
    boxes: BoxForm = AS_BUILT

    def options(self) -> Json:
        """How boxes are written."""
        return {"boxes": self.boxes.name}

    def needs(self) -> tuple[str, ...]:
        """Nothing else."""
        return ()

    def write(self, shard: Shard, samples: Iterable[Sample], facts: TreeFacts, put: Put) -> Json:
        """One archive."""
        counted: list[str] = []
        put(f"data/{shard.name}.tar", self._pieces(samples, counted))
        return {"chips": len(counted)}

    def _pieces(self, samples: Iterable[Sample], counted: list[str]) -> Iterator[bytes]:
        length = 0
        for chip, group in groupby(samples, key=lambda sample: sample.chip):
            found = list(group)
            key = key_of(chip)
            if key in counted[-1:]:
                raise Corrupt(f"rows of {chip} do not follow each other: run nutonic verify --deep")
            counted.append(key)
            piece = b"".join(member(f"{key}.{suffix}", data) for suffix, data in self._files(chip, found))
            length += len(piece)
            yield piece
        yield ending(length)

    def _files(self, chip: str, samples: list[Sample]) -> Iterator[tuple[str, bytes]]:
        """Pictures by how they end, the chip's first; then what is said of them."""
        pictures = {picture.path: picture for sample in samples for picture in sample.pictures}
        names = {path: suffix_of(picture, chip) for path, picture in pictures.items()}
        for path in sorted(pictures, key=lambda path: path != chip):
            yield names[path], pictures[path].data
        rows = []
        for sample in samples:
            refuse_unknown(sample.row)
            row = with_boxes(sample, self.boxes)
            rows.append({**row, "messages": [_named(message, names) for message in row["messages"]]})
        about = {"split": samples[0].split, "path": chip, "rows": rows, "metadata": samples[0].sidecar}
        yield "json", orjson.dumps(about)

    def finish(self, shards: Shards, facts: TreeFacts, put: Put) -> None:
        """An index of counts, in the form of `wids`, for each split."""
        for split in shards.splits:
            entries = [
                {"url": f"{record.shard}.tar", "nsamples": record.form_facts["chips"], "filesize": size}
                for record in shards.of_split(split)
                for size, _ in record.files.values()
            ]
            index = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "name": f"{facts.name} {split}"}
            text = orjson.dumps({**index, "shardlist": entries}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
            put(f"data/{split}.json", text)

    def loading(self, shards: Shards, facts: TreeFacts) -> Loading:
        """By webdataset; others read the same archives."""
        split = shards.splits[0]
        last = len(shards.of_split(split)) - 1
        name = f"{split}-{{00000..{last:05d}}}-of-{last + 1:05d}.tar"
        layout = (
            f"- `data/*.tar`: a chip each sample: `{facts.picture}`, and `still.png` or `still.jpg` where rows show one;\n"
            "  `json` has all its rows, whose parts name these endings, and its sidecar\n"
            "- `data/train.json` and so on: how many samples each archive has"
        )
        code = _CODE.format(name=name, picture=facts.picture)
        return Loading(configs=config_of(shards, "data/{split}-*.tar"), layout=layout, code=code, of_chips=True)


_CODE = """```python
import webdataset as wds

samples = wds.WebDataset("/path/to/this/folder/data/{name}", shardshuffle=False).decode("pil")
for sample in samples:
    print(sample["__key__"], sample["{picture}"].size, sample["json"]["rows"][0]["messages"])
```
"""


def key_of(chip: str) -> str:
    """The key of a chip: its id, as far as loaders take it.

    >>> key_of("images/s00000/poi_000012_t0003.png")
    'poi_000012_t0003'
    """
    name = chip.rsplit("/", 1)[-1].rpartition(".")[0]
    if re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return name
    return f"{re.sub('[^A-Za-z0-9_-]', '-', name)}-{sha256(name.encode())[:8]}"


def suffix_of(picture: Picture, chip: str) -> str:
    """What a picture is called after the key."""
    return picture.suffix if picture.path == chip else f"still.{picture.suffix}"


def _named(message: Json, names: dict[str, str]) -> Json:
    parts = [
        {**part, "image": names[part["image"]]} if part["type"] == "image" else part for part in message["content"]
    ]
    return {**message, "content": parts}
