"""How many requests outside the ledgers' own contracts the tests make us send: `python -m benchmarks.ledger.gate PATH...`

Runs those tests with the contract gate of `tests/contract_gate.py` and prints {"tests": n, "violations": n}.
"""

from __future__ import annotations

import json
import sys

import pytest


class Counting:
    def __init__(self) -> None:
        self.tests, self.violations = 0, 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.tests += report.when == "call" and not report.skipped
        said = report.longreprtext if report.failed and report.when == "teardown" else ""
        if "outside the contract" in said:
            self.violations += said.partition("outside the contract")[2].count("\nE  ") or 1


if __name__ == "__main__":
    counting = Counting()
    pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[counting])
    print()
    print(json.dumps({"tests": counting.tests, "violations": counting.violations}))
