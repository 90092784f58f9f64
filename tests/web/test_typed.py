"""Amounts as people type them: the same sum on either side of the Atlantic, and never a hundred times of it."""

import pytest

from web.typed import amount


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("150", "USD", 15000),
        ("283,33", "EUR", 28333),
        ("1,490.00", "USD", 149000),
        ("1.490,00", "EUR", 149000),
        (" 1 490,5 ", "EUR", 149050),
        ("1.490", "EUR", 149000),
        ("1490.00", "USD", 149000),
        ("12’000.05", "CHF", 1200005),
        ("1,490", "JPY", 1490),
        ("1234.567", "KWD", 1234567),
    ],
)
def test_it_is_read_as_it_was_meant(text: str, currency: str, minor: int) -> None:
    assert amount(text, currency) == minor


@pytest.mark.parametrize(
    "text", ["", "0", "0,00", "two", "-5", "1e3", "NaN", "1,23,456", "1490.5.0", "0.500", "9" * 14]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        amount(text, "USD")


def test_no_part_of_a_yen() -> None:
    with pytest.raises(ValueError, match="finer"):
        amount("10,50", "JPY")
