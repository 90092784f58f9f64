"""What every test shares: on CI a skip is a failure, but for what needs `../shared`."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from connector import config, db
from tests.contract_gate import contract_gate, sent_to_ledgers  # noqa: F401 - fixtures of every test

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
"""Real receivables and the ledgers' own schemas, where a developer has them; never in the repository."""

# Generated examples are the same each time, and a busy machine is no failure. `make night` tries others.
settings.register_profile(
    "suite",
    deadline=None,
    derandomize="FORBEAR_LIVES" not in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")

_skipped: list[str] = []


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        settings = config.load({"FORBEAR_DATA_DIR": folder})
        db.migrate(settings)
        db.engine(settings).dispose()  # the last connection writes everything into the one file
        return (Path(folder) / "forbear.sqlite3").read_bytes()


def migrate(settings: config.Config) -> None:
    """Give an installation without a database the migrated, empty one that this process made once."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    (settings.data_dir / "forbear.sqlite3").write_bytes(_migrated())


def shared(path: str) -> Path:
    """A file of `../shared`, or a visible skip."""
    found = SHARED / path
    if not found.exists():
        pytest.skip(f"../shared/{path} is not on this machine")
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What lasts longest first, so that at the end no process waits for another."""
    items.sort(key=lambda item: not item.nodeid.startswith(("tests/stories", "tests/browser")))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _skipped.append(f"{report.nodeid}: {reason}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    on_ci = os.environ.get("CI") == "true" and not hasattr(session.config, "workerinput")
    if on_ci and exitstatus == 0 and [s for s in _skipped if "../shared" not in s]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get("CI") == "true" and _skipped:
        terminalreporter.section("skipped on CI")
        for line in _skipped:
            terminalreporter.line(line)
