"""Each fault at writes of a plan's write-back, on both ledgers; the whole matrix is in docs/reliability.md."""

from __future__ import annotations

import pytest

from connector.domain.policy import Mode
from tests.stories.crashes import FAULTS, Case, crash_everywhere
from tests.stories.lives import Practice


@pytest.mark.parametrize("fault", FAULTS)
def test_every_write_survives(practice: Practice, platform: str, fault: str) -> None:
    cases = list(crash_everywhere(practice, platform, fault, only=lambda operation, writes: writes))
    assert len(cases) == 4
    assert bad(cases) == []


@pytest.mark.parametrize("fault", ["killed after the call", "two workers", "500, retry key forgotten"])
def test_notes_are_written_once(practice: Practice, platform: str, fault: str) -> None:
    cases = list(
        crash_everywhere(practice, platform, fault, mode=Mode.NOTES, only=lambda operation, writes: writes)
    )
    assert len(cases) == 2  # the note and the agreement
    assert bad(cases) == []


def test_a_worker_that_slept_through_the_preflight_changes_nothing(practice: Practice, platform: str) -> None:
    preflight = ("batch", "GET Organisation")
    cases = list(
        crash_everywhere(
            practice,
            platform,
            "two workers",
            only=lambda operation, writes: operation in preflight and not writes,
        )
    )
    assert cases[0].at == 0
    assert [c.state for c in cases] == ["running"] * len(cases)
    assert bad(cases) == []


def bad(cases: list[Case]) -> list[Case]:
    return [c for c in cases if not c.good]
