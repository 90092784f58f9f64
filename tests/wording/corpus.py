"""The labelled corpus: one text a line with its language, what should be said of it, and its source.

`development.tsv` was at hand while the rules were written. The others are only measured: `held_back.tsv` and
`unseen.tsv` were written before the rules (or their widening), `last.tsv` after all of it; then `fresh_usual.tsv` and
`fresh_hints.tsv` before one more widening, for hints, and `hints_after.tsv` after it. `look_development.tsv` was at hand
while the soft word (`wording_look`) was designed, `look_unseen.tsv` was written before it. All are by the author of the rules.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from connector.domain import wording
from connector.domain.wording_context import Context
from connector.domain.wording_look import look


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


def measure(*parts: str) -> Measured:
    all_lines = [line for part in parts for line in lines(part)]
    refused = {line: bool(wording.check(line.text, Context(line.language))) for line in all_lines}
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


def measure_looks(*parts: str) -> tuple[float, float]:
    """(how often a sentence that was pointed at deserved it; how many that deserve it were refused or pointed at)."""
    rows = [(line.expected != "ok", line) for part in parts for line in lines(part)]
    pointed = {line: bool(look(line.text, line.language)) for _, line in rows}
    bad = [line for deserves, line in rows if deserves]
    refused = sum(pointed[x] or bool(wording.check(x.text, Context(x.language))) for x in bad)
    return sum(pointed[line] for line in bad) / max(1, sum(pointed.values())), refused / max(1, len(bad))
