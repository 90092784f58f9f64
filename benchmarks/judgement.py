"""How good and how fast the judgement is; the last line is one JSON object.

`make bench NAME=judgement`; QUICK=1 takes 50,000 invoices for the speed instead of a million. Method and last
figures: docs/judgement.md. The report (calibration plots) goes to REPORT, or var/judgement.svg. Real books are
read from ../shared/data where they are; without them their figures are null.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks.judging import accuracy, parts, plots, speed  # noqa: E402
from benchmarks.judging.accuracy import Answers, auc, average_precision, brier, calibration_error  # noqa: E402
from tests.judgement.answer_key import CASES  # noqa: E402

DATA = ROOT.parent / "shared" / "data"


def main() -> None:
    figures: dict[str, Any] = dict.fromkeys(
        [
            "known_auc",
            "known_brier",
            "known_ece",
            "unseen_auc",
            "unseen_brier",
            "unseen_ece",
            "open_auc",
            "open_brier",
            "open_ece",
            "late30_ap",
            "late30_ap_baseline",
            "days_late_mae",
            "days_in_range",
            "part_paid_exact",
            "stays_open_error",
        ]
    )
    books = DATA / "highradius_until_cut.jsonl.gz"
    if books.is_file():
        figures |= real(books)
    else:
        print(f"{books} is not here: no figures on real books.")
    if (DATA / "rtfm_before_2007.jsonl.gz").is_file():
        for share in (0.5, 0.65, 0.9, 0.75):
            found = parts.measure(DATA / "rtfm_before_2007.jsonl.gz", share)
            print(
                f"open a year after a first part, cut at {share:.0%}: said {found.said:.3f}, "
                f"was {found.was:.3f} of {found.asked} later ones"
            )
        print(
            f"part-paid and open: {found.there} by addition, {found.found} by findings, the same: {found.exact}"
        )
        figures |= {"part_paid_exact": found.exact, "stays_open_error": abs(found.said - found.was)}
    figures |= key()
    figures |= fast(50_000 if os.environ.get("QUICK") else 1_000_000)
    print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()}))


def real(path: Path) -> dict[str, float]:
    """Accuracy on the real ledger, with the cuts and the subsets that could flatter or spoil it."""
    books = accuracy.read(path)
    every = accuracy.measure(books, unseen=False)
    known, unseen = every.only(every.seen), accuracy.measure(books, unseen=True)
    _tell("known customers", known)
    _tell("customers left out at the cut", unseen)
    largest = max(set(known.customer.tolist()), key=lambda c: int((known.customer == c).sum()))
    _tell("known, without the largest customer", known.only(known.customer != largest))
    _tell("fewer than three settled invoices", every.only(every.settled < 3))
    print(
        f"known, with a grace of 3 days: AUC {auc(known.was_late_3, known.late):.3f} (the chance is for no grace)"
    )
    for split in (0.6, 0.8):
        other = accuracy.measure(books, unseen=False, split=split)
        _tell(f"known, cut at {split:.0%} of the time", other.only(other.seen))
    now = accuracy.standing(books)
    print(
        f"open and not yet due, on nine days: {len(now.late)} invoices, AUC {auc(now.was_late, now.late):.3f} (own rate "
        f"{auc(now.was_late, now.rate):.3f}), Brier {brier(now.was_late, now.late):.4f} ({brier(now.was_late, now.rate):.4f}), "
        f"calibration error {calibration_error(now.was_late, now.late):.3f}; more than 30 days late, "
        f"{len(now.late_30)} invoices: calibration error {calibration_error(now.was_late_30, now.late_30):.3f}"
    )
    month = known.only(known.certain_30)
    paid = month.only(month.days_late == month.days_late)
    report = Path(os.environ.get("REPORT") or ROOT / "var" / "judgement.svg")
    report.parent.mkdir(parents=True, exist_ok=True)
    panels = {"Known customers": known, "Customers left out": unseen}
    report.write_text(
        plots.calibration({t: accuracy.calibration(a.was_late, a.late) for t, a in panels.items()})
    )
    print(f"calibration plots: {report}")
    print(
        f"days late: mean error {abs(paid.days_late - paid.days).mean():.2f}, the customer's usual {abs(paid.days_late - paid.usual_days).mean():.2f}"
    )
    in_range = (month.low <= month.days_late) & (month.days_late <= month.high)
    print(f"days late: {in_range.mean():.0%} within the range given (four of five are meant to be)")
    return {
        "known_auc": auc(known.was_late, known.late),
        "known_brier": brier(known.was_late, known.late),
        "known_ece": calibration_error(known.was_late, known.late),
        "unseen_auc": auc(unseen.was_late, unseen.late),
        "unseen_brier": brier(unseen.was_late, unseen.late),
        "unseen_ece": calibration_error(unseen.was_late, unseen.late),
        "open_auc": auc(now.was_late, now.late),
        "open_brier": brier(now.was_late, now.late),
        "open_ece": calibration_error(now.was_late, now.late),
        "late30_ap": average_precision(month.was_late_30, month.late_30),
        "late30_ap_baseline": average_precision(month.was_late_30, month.rate_30),
        "days_late_mae": float(abs(paid.days_late - paid.days).mean()),
        "days_in_range": float(in_range.mean()),
    }


def _tell(name: str, a: Answers) -> None:
    print(
        f"{name}: {len(a.late)} invoices, {a.was_late.mean():.0%} late; AUC {auc(a.was_late, a.late):.3f} "
        f"(own rate {auc(a.was_late, a.rate):.3f}), Brier {brier(a.was_late, a.late):.4f} "
        f"({brier(a.was_late, a.rate):.4f}), calibration error {calibration_error(a.was_late, a.late):.3f}"
    )


def key() -> dict[str, int]:
    """The answer key of hand-made customers."""
    passed = 0
    for case in CASES:
        me = case.books().judged(case.today)["me"]
        kinds = {f["kind"] for f in me["findings"]}
        right = (
            me["assessment"]["segment"] == case.segment and case.findings <= kinds and not case.never & kinds
        )
        right = right and case.path in (None, me["assessment"]["path"])
        passed += right
        if not right:
            print(f"answer key: {case.name} is {me['assessment']['segment']}, {sorted(kinds)}")
    return {"answer_key_passed": passed, "answer_key_total": len(CASES)}


def fast(invoices: int) -> dict[str, float]:
    """Time and memory on an invented book."""
    with tempfile.TemporaryDirectory() as folder:
        found = speed.measure(Path(folder), invoices)
    print(
        f"{found.invoices:,} invoices: read, judged and predicted in {found.full_pass.seconds:.1f} s, "
        f"{found.full_pass.learning:.1f} s of it learning and the year's record; aging in SQL "
        f"{found.sql_aging_s:.1f} s; all but the learning by object about {found.object_s:.0f} s"
    )
    return {
        "full_pass_s_1m": found.full_pass.seconds,
        "sql_aging_s_1m": found.sql_aging_s,
        "python_pass_ratio": found.full_pass.ratio(found.object_s),
        "python_pass_ratio_with_learning": found.object_s / found.full_pass.seconds,
        "full_pass_one_core_s_1m": found.one_core.seconds,
        "python_pass_ratio_one_core": found.one_core.ratio(found.object_s),
        "one_customer_p95_ms": found.one_customer_p95_ms,
        "peak_mb_1m": found.full_pass.peak_mb,
    }


if __name__ == "__main__":
    main()
