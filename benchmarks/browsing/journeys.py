"""The browser tests, run once: how many of the journeys that they walk came through, and what axe found."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def count() -> tuple[int | None, int | None, int | None]:
    """(passed, in all, violations on all pages in both themes); None without a browser.

    A journey is a name that a test marks itself with; one that is walked on two ledgers counts twice.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "tests/browser",
                "-q",
                "-p",
                "no:cacheprovider",
                f"--junitxml={report}",
            ],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        if not report.exists():
            return None, None, None
        cases = ET.parse(report).getroot().iter("testcase")  # noqa: S314 - our own file
        return _read(list(cases))


def _read(cases: list[ET.Element]) -> tuple[int | None, int | None, int | None]:
    passed = total = 0
    violations: int | None = None
    for case in cases:
        if case.find("skipped") is not None:
            continue
        failed = case.find("failure") is not None or case.find("error") is not None
        if failed:
            print(f"  failed: {case.get('name')}")
        for found in case.iter("property"):
            if found.get("name") == "journey":
                total, passed = total + 1, passed + (not failed)
            elif found.get("name") == "axe_violations":
                violations = int(found.get("value", ""))
    return (passed, total, violations) if total else (None, None, None)
