"""Interest by law: a worked example, changes of rate, and what is not on file."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from connector.domain.late_interest import EU, UK, NoRate, Rate, claim, row_on

DUE, TODAY = date(2026, 8, 31), date(2026, 11, 21)


def test_the_worked_example():
    found = claim("GB", "GBP", DUE, 115000, [(date(2026, 9, 20), 30000)], TODAY)
    assert (found.interest, found.fixed, found.total) == (2437, 7000, 9437)
    assert [(s.days, s.open, s.rate) for s in found.spans] == [
        (20, 115000, Decimal("11.75")),
        (62, 85000, Decimal("11.75")),
    ]


@pytest.mark.parametrize(("debt", "fixed"), [(99999, 4000), (100000, 7000), (999999, 7000), (1000000, 10000)])
def test_the_fixed_sum_follows_the_size_of_the_debt(debt, fixed):
    assert claim("GB", "GBP", DUE, debt, [], TODAY).fixed == fixed


def test_an_850_debt_has_the_lowest_sum():
    assert claim("GB", "GBP", DUE, 85000, [], TODAY).fixed == 4000


def test_the_rate_changes_with_the_half_year():
    found = claim("GB", "GBP", date(2025, 12, 29), 1000000, [], date(2026, 1, 3))
    # 30 and 31 December at 12.25 %, 1 to 3 January at 11.75 %
    assert [(s.start, s.days, s.rate) for s in found.spans] == [
        (date(2025, 12, 29), 2, Decimal("12.25")),
        (date(2025, 12, 31), 3, Decimal("11.75")),
    ]
    assert found.interest == 1637  # 671.23 + 965.75


def test_nothing_before_the_day_after_the_due_date():
    assert claim("GB", "GBP", DUE, 115000, [], DUE).total == 0
    assert claim("GB", "GBP", DUE, 115000, [(DUE, 115000)], TODAY).total == 0
    assert claim("GB", "GBP", DUE, 115000, [], date(2026, 9, 1)).spans[0].days == 1


def test_after_it_is_settled_nothing_is_added():
    settled = [(date(2026, 9, 20), 115000)]
    found = claim("GB", "GBP", DUE, 115000, settled, TODAY)
    assert found.interest == 740


def test_what_is_not_on_file_is_refused_and_never_guessed():
    with pytest.raises(NoRate, match="on file for US"):
        claim("US", "USD", DUE, 115000, [], TODAY)
    with pytest.raises(NoRate, match="not in USD"):
        claim("GB", "USD", DUE, 115000, [], TODAY)
    with pytest.raises(NoRate, match="2027-01-02"):
        claim("DE", "EUR", DUE, 115000, [], date(2027, 1, 2))
    with pytest.raises(NoRate, match="2027-01-01"):
        row_on(UK, date(2027, 1, 1))
    with pytest.raises(NoRate):
        row_on(UK, date(2021, 12, 31))


def test_a_row_that_nobody_checked_is_never_applied():
    guessed = replace(EU, rates=(Rate(date(2026, 1, 1), Decimal("2.15"), "a guess", None),))
    with pytest.raises(NoRate, match="not checked against a public source"):
        row_on(guessed, date(2026, 3, 2))


def test_the_directive():
    found = claim("FR", "EUR", date(2026, 1, 31), 100000, [], date(2026, 3, 2))
    assert (found.interest, found.fixed) == (834, 4000)  # 30 days at 10.15 %
    own = [(date(2026, 1, 1), Decimal("2.15"), "our accountant")]
    found = claim("FR", "EUR", date(2026, 1, 31), 100000, [], date(2026, 3, 2), own=own)
    assert found.spans[0].source == "our accountant"


def test_the_directive_since_july_2025():
    assert [row_on(EU, date(y, m, 1)).percent for y, m in ((2025, 7), (2026, 1), (2026, 7))] == [
        Decimal("2.15"),
        Decimal("2.15"),
        Decimal("2.4"),  # the European Central Bank raised its rates in June 2026
    ]
