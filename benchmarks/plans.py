"""Crashes, random lives, ledger calls and speed of writing a plan back, on both pretend ledgers over HTTP.

`make bench NAME=plans`; QUICK=1 for a form of a few minutes. `--table` writes the crash matrix into
docs/reliability.md; `--only-speed` counts calls and takes the time of a hundred plans on each ledger, nothing else.
The last line is one JSON object.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from connector.domain.policy import Mode  # noqa: E402
from tests.stories.crashes import FAULTS, Case, a_plan, crash_everywhere  # noqa: E402
from tests.stories.lives import APPROVAL, Practice, a_practice  # noqa: E402
from tests.stories.random_lives import live_many  # noqa: E402

PLATFORMS = ("quickbooks", "xero")
LABELS = {"quickbooks": "QuickBooks", "xero": "Xero"}
TABLE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- crash matrix: written by benchmarks/plans.py -->", "<!-- end of the crash matrix -->"


@dataclass(frozen=True)
class Form:
    """How much is measured: which calls are struck, random lives, and plans that are timed on each ledger."""

    every_call: bool
    modes: tuple[Mode, ...]
    lives: int
    timed: int


FULL = Form(every_call=True, modes=(Mode.SPLIT, Mode.NOTES), lives=1_000, timed=100)
QUICK = Form(every_call=False, modes=(Mode.SPLIT,), lives=20, timed=10)


def say(sentence: str) -> None:
    print(f"{dt.datetime.now():%H:%M:%S} {sentence}", flush=True)


def crashes(practice: Practice, form: Form) -> list[Case]:
    """Every fault at every call (the short form: at every write)."""
    found: list[Case] = []
    for platform in PLATFORMS:
        for mode in form.modes:
            for fault in FAULTS:
                practice.pass_to(APPROVAL)
                only = (
                    (lambda operation, writes: True)
                    if form.every_call
                    else (lambda operation, writes: writes)
                )
                cases = list(crash_everywhere(practice, platform, fault, mode=mode, only=only))
                found += cases
                bad = [c for c in cases if not c.good]
                say(f"{LABELS[platform]}, {mode}, {fault}: {len(cases)} cases, {len(bad)} bad")
                for case in bad:
                    say(f"  {case}")
    return found


def random_lives(practice: Practice, count: int) -> int:
    """Random lives, half on each ledger; raises on the first that breaks an invariant."""
    lived = 0
    for platform in PLATFORMS:
        lived += live_many(practice, platform, count // 2, fixed=False)
        say(f"{LABELS[platform]}: {lived} lives in all, every invariant held")
    return lived


def calls(practice: Practice, platform: str) -> tuple[int, int]:
    """Writes and reads for one plan of three installments on one invoice, in a company that has its clearing account."""
    company = practice.company(platform)
    company.answer()
    for number in ("A1", "A2"):
        company.approve(a_plan(company, number, Mode.SPLIT).id)
    writing = Counter(c.operation for c in company.calls if c.writes)
    reading = Counter(c.operation for c in company.calls if not c.writes)
    say(f"{LABELS[platform]}: writes {dict(writing)}; reads {dict(reading)}")
    return writing.total(), reading.total()


def speed(practice: Practice, count: int) -> list[float]:
    """Seconds from the approval to the stored proof with its note, no limits, the sandbox in the same process."""
    seconds = []
    for platform in PLATFORMS:
        company = practice.company(platform)
        company.answer()
        for n in range(count + 1):
            plan = a_plan(company, f"T{n}", Mode.SPLIT)
            company.watch = None
            began = time.perf_counter()
            company.approve(plan.id, deliver=False)
            company.watch = None  # nobody looks over the ledger's shoulder while time is taken
            company.deliver()
            seconds.append(time.perf_counter() - began)
            assert company.plan(plan.id).state == "running"
        del seconds[-count - 1]  # the first one makes the clearing account
    return seconds


def table(cases: list[Case]) -> str:
    """The crash matrix as Markdown: one table for each ledger and mode."""
    parts = []
    for platform in PLATFORMS:
        for mode in dict.fromkeys(c.mode for c in cases):
            mine = [c for c in cases if c.platform == platform and c.mode == mode]
            steps = sorted({(c.at, c.step) for c in mine})
            head = ["#", "call", *FAULTS]
            lines = [
                f"### {LABELS[platform]}, {mode}",
                "",
                f"| {' | '.join(head)} |",
                "| --- " * len(head) + "|",
            ]
            for at, step in steps:
                cells = []
                for fault in FAULTS:
                    case = next((c for c in mine if (c.at, c.fault) == (at, fault)), None)
                    cells.append(
                        ""
                        if case is None
                        else f"{case.found}/{case.expected}" + ("" if case.good else " **bad**")
                    )
                lines.append(f"| {at + 1} | {step} | {' | '.join(cells)} |")
            parts.append("\n".join(lines))
    good = sum(c.good for c in cases)
    total = (
        f"{len(cases)} cases, {good} good. Duplicates {sum(c.duplicates for c in cases)}, "
        f"orphans {sum(c.orphans for c in cases)}, drift {sum(c.drift for c in cases)} minor units."
    )
    return f"{total}\n\n" + "\n\n".join(parts)


def main() -> int:
    logging.disable(logging.WARNING)
    form = QUICK if os.environ.get("QUICK") else FULL
    only_speed = "--only-speed" in sys.argv
    with tempfile.TemporaryDirectory() as folder, a_practice(Path(folder)) as practice:
        cases = [] if only_speed else crashes(practice, form)
        if "--table" in sys.argv:
            text = TABLE.read_text()
            before, rest = text.split(BEGIN, 1)
            TABLE.write_text(f"{before}{BEGIN}\n\n{table(cases)}\n\n{END}{rest.split(END, 1)[1]}")
            if "--only-table" in sys.argv:
                return 0 if all(c.good for c in cases) else 1
        practice.pass_to(APPROVAL)
        counted = {platform: calls(practice, platform) for platform in PLATFORMS}
        seconds = sorted(speed(practice, form.timed))
        lived = 0 if only_speed else random_lives(practice, form.lives)
    for platform, (writing, reading) in counted.items():
        say(f"{LABELS[platform]}: {writing} writes and {reading} reads for one plan")
    figures = {
        "crash_cases": len(cases),
        "duplicates": sum(c.duplicates for c in cases),
        "orphans": sum(c.orphans for c in cases),
        "drift_minor_units": sum(c.drift for c in cases),
        "property_lives": lived,
        "calls_per_plan_quickbooks": sum(counted["quickbooks"]),
        "calls_per_plan_xero": sum(counted["xero"]),
        "writes_per_plan_quickbooks": counted["quickbooks"][0],  # three, and one for the note
        "writes_per_plan_xero": counted["xero"][0],
        "reads_per_plan_quickbooks": counted["quickbooks"][1],
        "reads_per_plan_xero": counted["xero"][1],
        "approval_to_proof_p50_s": round(statistics.median(seconds), 3),
        "approval_to_proof_p95_s": round(seconds[int(len(seconds) * 0.95) - 1], 3),
    }
    if only_speed:  # nothing is said of what was not done
        done = ("calls_", "writes_", "reads_", "approval_")
        figures = {name: value for name, value in figures.items() if name.startswith(done)}
    print(json.dumps(figures))
    return 0 if all(c.good for c in cases) else 1


if __name__ == "__main__":
    sys.exit(main())
