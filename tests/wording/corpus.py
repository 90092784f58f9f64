"""The labelled corpus: one text a line with its language, what should be said of it, and its source.

`development.tsv` was at hand while the rules were written. The others are only measured: `held_back.tsv` and
`unseen.tsv` were written before the rules (or their last widening), `last.tsv` after all of it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from connector.domain import wording


@dataclass(frozen=True)
class Line:
    language: str
    expected: str  # "ok", or the rule that refuses it
    text: str
    source: str


@dataclass(frozen=True)
class Measured:
    """How often a refusal was right, and how many of what should be refused were."""

    lines: int
    precision: float
    recall: float
    missed: tuple[Line, ...]
    nuisance: tuple[Line, ...]


def lines(part: str) -> list[Line]:
    with Path(__file__).with_name(f"{part}.tsv").open(encoding="utf-8", newline="") as file:
        return [Line(**row) for row in csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE)]


def measure(part: str) -> Measured:
    refused = {line: bool(wording.check(line.text, wording.Context(line.language))) for line in lines(part)}
    missed = tuple(x for x, no in refused.items() if x.expected != "ok" and not no)
    nuisance = tuple(x for x, no in refused.items() if x.expected == "ok" and no)
    right = sum(no and x.expected != "ok" for x, no in refused.items())
    return Measured(
        len(refused),
        right / max(1, right + len(nuisance)),
        right / max(1, right + len(missed)),
        missed,
        nuisance,
    )
