"""Captions many patches at an endpoint, by threads: in this process, or as a process of its own that can be killed."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

from nutonic.dataset.annotate import annotate
from nutonic.io.objects import Store
from nutonic.recipe.annotation import Annotator, Captions
from nutonic.recipe.texts import builtin
from nutonic.sources.annotators.answers import Answers
from nutonic.sources.annotators.endpoint import Endpoints, Patience
from support.scenes import POND, TASKS, revision

QUICK = Patience(pause_s=0.01)


def model(url: str, name: str = "model", **settings) -> Annotator:
    return Annotator(**{"name": name, "base_url": url, "model": "planted", "timeout_s": 5.0, **settings})


def patches(count: int):
    return [replace(POND, patch_id=f"patch-{index}") for index in range(count)]


def captioned(root, annotators, count: int, threads: int, captions: Captions | None = None):
    """What annotate makes of so many patches, in their order; with one revision each."""
    asked, texts = captions or Captions(), builtin("prompts")
    tasks = [TASKS["pond"], revision(TASKS["pond"])]
    with Endpoints(annotators, patience=QUICK) as endpoints, ThreadPoolExecutor(threads) as pool:
        answers = Answers(Store(root), endpoints.ask)
        work = [pool.submit(annotate, each, tasks, annotators, answers, asked, texts=texts) for each in patches(count)]
        return [each.result() for each in work]


if __name__ == "__main__":
    url, root, count, threads = sys.argv[1:]
    made = captioned(root, [model(url, max_in_flight=int(threads))], int(count), int(threads))
    print(json.dumps([asdict(each) for each in made]))
