"""Forms of trainers: rows in JSON Lines beside their pictures, or Parquet, each with the file that starts the trainer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import orjson

from nutonic.core.model import Json
from nutonic.dataset.catalogue.entries import slug
from nutonic.dataset.packs.boxes import AS_BUILT, BoxForm
from nutonic.dataset.packs.forms import Loading, Put, Shards, config_of, refuse_unknown
from nutonic.dataset.packs.layout import ROWS
from nutonic.dataset.packs.parquet import Parquet
from nutonic.dataset.packs.shards import Sample, Shard
from nutonic.dataset.packs.trainers import configs, rows
from nutonic.dataset.packs.trainers.evals import METRICS, TESTED, benchmarks_of, benchmarks_with_rows, eval_file
from nutonic.dataset.packs.tree import TreeFacts

#: Files that start a trainer, by path.
Configure = Callable[[configs.Start], dict[str, str]]

_SHAPES: Mapping[str, tuple[rows.Shape, Configure, str]] = {
    "leap": (rows.leap_row, configs.leap, "uv run leap-finetune leap.yaml"),
    "ms-swift": (rows.swift_row, configs.swift, "sh swift.sh"),
    "llama-factory": (rows.llama_factory_row, configs.llama_factory, "llamafactory-cli train llama_factory.yaml"),
    "axolotl": (rows.axolotl_row, configs.axolotl, "axolotl train axolotl.yaml"),
    "qwen": (rows.qwen_row, configs.qwen, "# see qwen_data.py"),
}

_INSIDE: Mapping[str, tuple[Configure, str]] = {
    "trl": (configs.trl, "trl sft --config trl.yaml"),
    "unsloth": (configs.unsloth, "python train.py"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """``data/train.jsonl`` and ``images/``, with the file that starts the trainer."""

    name: str
    boxes: BoxForm = AS_BUILT

    def options(self) -> Json:
        """How boxes are written."""
        return {"boxes": self.boxes.name}

    def needs(self) -> tuple[str, ...]:
        """Nothing else."""
        return ()

    def write(self, shard: Shard, samples: Iterable[Sample], facts: TreeFacts, put: Put) -> Json:
        """Pictures, each once, and rows, which are put together once all are there."""
        shape, _, _ = _SHAPES[self.name]
        lines, evals, written = list[bytes](), defaultdict[str, list[bytes]](list), set[str]()
        for sample in samples:
            refuse_unknown(sample.row)
            for picture in sample.pictures:
                if picture.path not in written:
                    put(picture.path, picture.data)
                    written.add(picture.path)
            row = shape(sample, self.boxes)
            lines.append(_line(row))
            if self.name == "leap" and shard.split in TESTED:
                for name, asked in benchmarks_of(row).items():
                    evals[name].append(_line(asked))
        put(f"{ROWS}/{shard.number:05d}-rows.jsonl", b"".join(lines))
        for name, asked_lines in sorted(evals.items()):
            put(f"{ROWS}/{shard.number:05d}-{name}-eval.jsonl", b"".join(asked_lines))
        return {"evals": {name: len(found) for name, found in sorted(evals.items())}}

    def finish(self, shards: Shards, facts: TreeFacts, put: Put) -> None:
        """Rows by split, benchmarks, and the trainer's own files."""
        for split in shards.splits:
            put(f"data/{split}.jsonl", shards.joined("-rows.jsonl", split))
        found = benchmarks_with_rows(shards)
        for split, name in found:
            put(eval_file(name, split), shards.joined(f"-{name}-eval.jsonl", split))
        benchmarks = tuple(
            {"name": f"{split}_{name}", "path": f"./{eval_file(name, split)}", "metric": METRICS[name]}
            for split, name in found
            if split == "validation"
        )
        _, configure, _ = _SHAPES[self.name]
        for path, text in configure(_start(shards, facts, self.boxes, benchmarks)).items():
            put(path, text.encode())

    def loading(self, shards: Shards, facts: TreeFacts) -> Loading:
        """By the trainer itself."""
        evals = "\n- `evals/*.jsonl`: rows of validation and test by metric" if benchmarks_with_rows(shards) else ""
        layout = f"- `data/*.jsonl`: rows for {self.name}\n- `images/`: the pictures that they show{evals}"
        command = _SHAPES[self.name][2]
        code = f"```sh\n{command}   # in this folder\n```\n"
        return Loading(configs=config_of(shards, "data/{split}.jsonl"), layout=layout, code=code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """Parquet with pictures inside, and the file that starts the trainer: of those that want open pictures."""

    name: str
    boxes: BoxForm

    @property
    def _files(self) -> Parquet:
        return Parquet(name=self.name, boxes=self.boxes)

    def options(self) -> Json:
        """How boxes are written."""
        return self._files.options()

    def needs(self) -> tuple[str, ...]:
        """What writes Parquet."""
        return self._files.needs()

    def write(self, shard: Shard, samples: Iterable[Sample], facts: TreeFacts, put: Put) -> Json:
        """One file."""
        return self._files.write(shard, samples, facts, put)

    def finish(self, shards: Shards, facts: TreeFacts, put: Put) -> None:
        """The trainer's own file."""
        self._files.finish(shards, facts, put)
        configure, _ = _INSIDE[self.name]
        for path, text in configure(_start(shards, facts, self.boxes)).items():
            put(path, text.encode())

    def loading(self, shards: Shards, facts: TreeFacts) -> Loading:
        """By the trainer, or as Parquet is."""
        loaded = self._files.loading(shards, facts)
        code = f"```sh\n{_INSIDE[self.name][1]}   # in this folder\n```\n\n{loaded.code}"
        return replace(loaded, code=code)


def _start(shards: Shards, facts: TreeFacts, boxes: BoxForm, benchmarks: tuple[Json, ...] = ()) -> configs.Start:
    return configs.Start(name=slug(facts.name), splits=shards.splits, boxes=boxes, benchmarks=benchmarks)


def _line(row: Json) -> bytes:
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
