"""What QuickBooks remembers per company beside the books: answers by request id, and the meter of its price."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

MOST_ANSWERS = 10_000


class Answer(NamedTuple):
    """A finished answer, as it went over the wire."""

    status: int
    body: bytes
    content_type: str


class Meter(Counter[str]):
    """Calls of one company: `core` (data in, free) and `coreplus` (data out, metered). Nobody knows whether a
    batch counts once or per item, nor whether a write's answer counts: `coreplus_strict` counts all of them."""

    def write(self, many: int = 1) -> None:
        self["core"] += 1
        self["coreplus_strict"] += many

    def read(self, many: int = 1) -> None:
        self["coreplus"] += 1
        self["coreplus_strict"] += many


@dataclass(slots=True)
class Memory:
    """One company's. The body sent with a repeated request id is not compared."""

    answers: OrderedDict[str, Answer] = field(default_factory=OrderedDict)
    meter: Meter = field(default_factory=Meter)

    def remember(self, request_id: str, answer: Answer) -> None:
        self.answers[request_id] = answer
        while len(self.answers) > MOST_ANSWERS:
            self.answers.popitem(last=False)
