"""Terms are suggested with their reason, and a squeezed customer keeps theirs."""

from datetime import date

import pytest

from connector.domain.receivables import Customer
from connector.domain.terms import suggestions

TODAY = date(2026, 11, 21)


def kinds(segment: str, open_: int, limit: int | None = 100000, terms: int | None = 30) -> list[str]:
    customer = Customer("58", "Brook Café", currency="USD", credit_limit=limit, terms_days=terms)
    return [s.kind for s in suggestions(customer, segment, {"USD": open_}, TODAY)]


@pytest.mark.parametrize(
    ("segment", "open_", "found"),
    [
        ("reliable", 50000, []),
        ("reliable", 90000, ["talk"]),
        ("reliable", 100001, ["talk", "deposit"]),
        ("squeezed", 100001, ["talk", "keep"]),
        ("squeezed", 50000, []),
        ("chronic", 50000, ["shorter_terms"]),
        ("chronic", 100001, ["talk", "deposit", "shorter_terms", "cash_on_delivery"]),
    ],
)
def test_what_is_suggested(segment, open_, found):
    assert kinds(segment, open_) == found


def test_no_limit_no_word_of_it_and_short_terms_stay():
    assert kinds("reliable", 10**9, limit=None) == []
    assert kinds("reliable", 10**9, limit=0) == []
    assert kinds("chronic", 1, terms=14) == []


def test_it_says_why_and_for_how_long():
    customer = Customer("58", "Brook Café", currency="USD", credit_limit=100000, terms_days=30)
    said = suggestions(customer, "chronic", {"USD": 120000}, TODAY)
    assert said[1].why == "1,200.00 USD of a limit of 1,000.00 USD is open."
    assert said[2].what == "Give 14 days to pay instead of 30, until 2027-02-19; then look again."
