"""The report's count of wordings does not grow with the names of classes, whatever letters and signs these have."""

from __future__ import annotations

from dataclasses import replace

from support.spoken import ALL, planted

from nutonic.core.classes import ClassTable
from nutonic.dataset.report.cards import wordings

ODD = ["water/lake", "trees", "trees and crops", "öd-land (bare)", "crops", "(built)", "100 %", "森林", "c++"]

#: As many of one and of many: verbs follow them.
PLAIN = ["ka", "kes", "kas", "ko", "kos", "la", "le", "li", "lo"]


def counted(names: list[str]) -> dict[str, int]:
    table = ClassTable(name="mine", labels=dict(enumerate(names)), unknown=255, colors={})
    rows = []
    for k in range(12):
        rows += replace(planted(), table=table, rows={**ALL, "prompt": ()}, name=f"poi_{k:06d}_t0003").lines()
    return {task: len(ways) for task, ways in wordings(rows, table).items()}


def test_names_of_classes_are_no_wordings():
    plain, odd = counted(PLAIN), counted(ODD)
    kinds = ("choice", "referring", "grounding", "class_grounding", "class_caption")
    assert {kind: odd[kind] for kind in kinds} == {kind: plain[kind] for kind in kinds}
