"""How long a ledger asks us to wait, in every form that HTTP knows, and in some that it does not."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from adapters import waiting


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("30", 30), (" 1.5 ", 1.5), ("-4", 0), ("1e12", waiting.MOST), ("Wed, 21 Oct 2015 07:28:00 GMT", 0)],
)
def test_what_can_be_waited_for(header: str, seconds: float) -> None:
    assert waiting.seconds(header) == seconds


@pytest.mark.parametrize("header", [None, "", "soon", "nan", "inf"])
def test_what_says_nothing(header: str | None) -> None:
    assert waiting.seconds(header) is None


def test_a_date_far_ahead_is_not_waited_for_longer_than_a_number() -> None:
    assert (
        waiting.seconds(format_datetime(datetime.now(UTC) + timedelta(days=400), usegmt=True)) == waiting.MOST
    )
