"""Schedule mathematics; the literals are worked out by hand."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain import money
from connector.domain.calendar import DueDate, Rhythm, due_dates
from connector.domain.installments import (
    Change,
    affordable_count,
    counts_months,
    deposit_amount,
    draft_rows,
    edit_rows,
    embedded_tax,
    has_large_end,
    rounded,
    settlement_discount,
    skipped_discount_percent,
    written_off_tax,
    yearly_percent,
)
from connector.domain.plan import BadPlan, Source
from connector.domain.policy import Method

START = date(2026, 11, 21)
DATES = due_dates(date(2026, 12, 21), Rhythm.MONTHLY, 3, "US")
FIVE = Decimal(5)


def principals(rows):
    return [r.principal for r in rows]


def interests(rows):
    return [r.interest for r in rows]


def totals(rows):
    return [r.total for r in rows]


@pytest.mark.parametrize(
    ("total", "parts", "expected"),
    [
        (85000, 3, [28333, 28333, 28334]),
        (100000, 7, [14285, 14285] + [14286] * 5),
        (5, 3, [1, 2, 2]),
        (56667, 4, [14166, 14167, 14167, 14167]),
    ],
)
def test_equal_parts(total, parts, expected):
    rows = draft_rows(total, due_dates(date(2026, 12, 21), Rhythm.MONTHLY, parts, ""), start=START)
    assert principals(rows) == expected
    assert interests(rows) == [0] * parts


def test_a_flat_charge_splits_the_total_first():
    rows = draft_rows(85000, DATES, method=Method.FLAT, flat_percent=FIVE, start=START)
    assert totals(rows) == [29750, 29750, 29750]
    assert principals(rows) == [28333, 28333, 28334]
    assert interests(rows) == [1417, 1417, 1416]
    assert [r.due for r in rows] == [date(2026, 12, 21), date(2027, 1, 21), date(2027, 2, 22)]


def test_five_percent_flat_over_three_months_is_far_above_five_percent_a_year():
    rows = draft_rows(85000, DATES, method=Method.FLAT, flat_percent=FIVE, start=START)
    # Present worth of 297.50 a month: 2.48 % a month for exact months; these periods are 30, 31 and 32 days.
    assert Decimal("29.0") < yearly_percent(85000, rows, START) < Decimal("30.0")
    equal = draft_rows(85000, DATES, start=START)
    assert yearly_percent(85000, equal, START) == 0
    overnight = draft_rows(
        100, [DueDate(START, START)], method=Method.FLAT, flat_percent=Decimal(50), start=START
    )
    assert yearly_percent(100, overnight, START) > 1000


def test_equal_principal_charges_the_declining_balance():
    rows = draft_rows(85000, DATES, method=Method.EQUAL_PRINCIPAL, annual_percent=FIVE, start=START)
    assert interests(rows) == [354, 236, 118]
    assert totals(rows) == [28687, 28569, 28452]


def test_days_count_when_the_first_period_is_no_whole_month():
    assert counts_months(START, DATES, Rhythm.MONTHLY)
    by_days = draft_rows(
        85000, DATES, method=Method.EQUAL_PRINCIPAL, annual_percent=FIVE, start=START, rhythm=Rhythm.WEEKLY
    )
    assert interests(by_days) == [349, 241, 124]
    early = due_dates(date(2026, 11, 27), Rhythm.MONTHLY, 2, "GB")
    assert not counts_months(START, early, Rhythm.MONTHLY)
    rows = draft_rows(85000, early, method=Method.EQUAL_PRINCIPAL, annual_percent=FIVE, start=START)
    assert interests(rows)[0] == 70  # six days: 850.00 × 5 % × 6/365


def test_annuity_pays_the_same_each_month():
    rows = draft_rows(85000, DATES, method=Method.ANNUITY, annual_percent=FIVE, start=START)
    assert totals(rows) == [28570, 28570, 28570]
    assert interests(rows) == [354, 237, 119]
    assert yearly_percent(85000, rows, START) == Decimal("5.0")


def test_an_annuity_that_pays_nothing_back_is_refused():
    dates = due_dates(date(2026, 12, 21), Rhythm.MONTHLY, 60, "")
    with pytest.raises(BadPlan, match="Choose fewer installments"):
        draft_rows(70, dates, method=Method.ANNUITY, annual_percent=Decimal(100), start=START)


def test_what_can_be_afforded_sets_the_number():
    assert [affordable_count(85000, a) for a in (30000, 21000, 12000)] == [3, 5, 8]
    with pytest.raises(ValueError, match="more than zero"):
        affordable_count(85000, 0)


def test_a_deposit_comes_first_and_carries_no_interest():
    rows = draft_rows(85000, DATES, method=Method.FLAT, flat_percent=FIVE, start=START, deposit=25000)
    assert principals(rows) == [25000, 30000, 30000]
    assert interests(rows) == [0, 1500, 1500]
    assert principals(draft_rows(85000, DATES, start=START, deposit=1)) == [1, 42499, 42500]
    assert deposit_amount(85001, Decimal(20)) == 17001
    for wrong in (-1, 85000):
        with pytest.raises(BadPlan, match="deposit"):
            draft_rows(85000, DATES, start=START, deposit=wrong)
    with pytest.raises(BadPlan, match="deposit"):
        draft_rows(85000, DATES[:1], start=START, deposit=100)


def test_a_large_last_payment_is_noticed():
    rows = draft_rows(85000, DATES, start=START)
    small = edit_rows(
        rows,
        {1: Change(amount=10000), 2: Change(amount=10000)},
        method=Method.EQUAL,
        start=START,
        currency="USD",
    )
    assert principals(small) == [10000, 10000, 65000]
    assert has_large_end(small)
    assert not has_large_end(rows)
    assert not has_large_end(small[:1])


def test_no_installments_or_more_than_the_balance_has_cents():
    with pytest.raises(BadPlan, match="at least one"):
        draft_rows(85000, [], start=START)
    with pytest.raises(BadPlan, match="Choose fewer"):
        draft_rows(2, DATES, start=START)


def test_a_settlement_discount_has_its_share_of_the_tax():
    discount = settlement_discount(56667, FIVE, 15000, 115000)
    assert (discount.gross, discount.net, discount.tax) == (2833, 2463, 370)
    no_tax = settlement_discount(56667, FIVE, 15000, 115000, reduces_tax=False)
    assert (no_tax.gross, no_tax.net, no_tax.tax) == (2833, 2833, 0)
    dinars = settlement_discount(566670, FIVE, 150000, 1150000, step=10)  # 28.3335 KWD, kept as 28.33
    assert (dinars.gross, dinars.net, dinars.tax) == (28330, 24630, 3700)


def test_the_price_of_skipping_two_ten_net_thirty():
    assert skipped_discount_percent(Decimal(2), 10, 30) == Decimal("37.2")
    assert skipped_discount_percent(Decimal(2), 10, 30, 360) == Decimal("36.7")
    assert skipped_discount_percent(Decimal(2), 10, 30, compounded=True) == Decimal("44.6")


INVOICE_1001 = Source("147", "1001", date(2026, 8, 1), date(2026, 8, 31), 115000, 15000, 85000)


def test_embedded_tax_of_the_example():
    assert embedded_tax([INVOICE_1001], [28333, 28333, 28334]) == [3696, 3695, 3696]
    assert [written_off_tax(u, 15000, 115000) for u in (85000, 56667, 28334)] == [11087, 7391, 3696]
    assert written_off_tax(0, 0, 0) == 0


def test_rounding_is_half_away_from_zero():
    assert [rounded(Decimal(x)) for x in ("0.5", "1.5", "-0.5", "-1.4", "0.49")] == [1, 2, -1, -1, 0]


# Editing rows


def edited(rows, changes, method=Method.EQUAL, percent=FIVE):
    return edit_rows(rows, changes, method=method, annual_percent=percent, start=START, currency="USD")


def test_a_changed_row_is_balanced_by_the_others():
    rows = draft_rows(85000, DATES, start=START)
    assert totals(edited(rows, {1: Change(amount=40000)})) == [40000, 22500, 22500]
    assert totals(edited(rows, {1: Change(amount=40001)})) == [40001, 22499, 22500]


def test_a_changed_date_is_kept_as_it_is():
    rows = edited(draft_rows(85000, DATES, start=START), {2: Change(due=date(2027, 1, 25))})
    assert [r.due for r in rows] == [date(2026, 12, 21), date(2027, 1, 25), date(2027, 2, 22)]
    assert totals(rows) == [28333, 28333, 28334]


def test_editing_a_flat_plan_keeps_its_charge():
    rows = draft_rows(85000, DATES, method=Method.FLAT, flat_percent=FIVE, start=START)
    after = edited(rows, {3: Change(amount=50000)}, Method.FLAT)
    assert totals(after) == [19625, 19625, 50000]
    assert (sum(principals(after)), sum(interests(after))) == (85000, 4250)


def test_editing_a_plan_on_the_declining_balance_recomputes_the_interest():
    rows = draft_rows(85000, DATES, method=Method.EQUAL_PRINCIPAL, annual_percent=FIVE, start=START)
    after = edited(rows, {1: Change(amount=45000)}, Method.EQUAL_PRINCIPAL)
    assert principals(after) == [45000, 20000, 20000]
    assert interests(after) == [354, 167, 83]
    moved = edited(rows, {1: Change(due=date(2026, 12, 11))}, Method.EQUAL_PRINCIPAL)
    assert interests(moved)[0] == 233  # twenty days, actual/365


def test_rows_that_cannot_add_up_are_refused():
    rows = draft_rows(85000, DATES, start=START)
    with pytest.raises(BadPlan, match=r"add up to 600\.00 USD; the plan is for 850\.00 USD"):
        edited(rows, {n: Change(amount=20000) for n in (1, 2, 3)})
    with pytest.raises(BadPlan, match="leave too little"):
        edited(rows, {1: Change(amount=85000)})
    for amount in (0, -5):
        with pytest.raises(BadPlan, match="Installment 2 must be more than zero"):
            edited(rows, {2: Change(amount=amount)})
    with pytest.raises(BadPlan, match="no installment 4"):
        edited(rows, {4: Change(amount=5)})
    fixed = edited(rows, {1: Change(amount=85000 - 2), 2: Change(amount=1), 3: Change(amount=1)})
    assert totals(fixed) == [84998, 1, 1]


def test_a_row_of_nothing_but_charge_is_refused():
    rows = draft_rows(10, DATES, method=Method.FLAT, flat_percent=Decimal(100), start=START)
    with pytest.raises(BadPlan, match="nothing of the balance"):
        edited(rows, {1: Change(amount=1), 2: Change(amount=1)}, Method.FLAT)


# Properties

money_amounts = st.integers(60, 10_000_000_00)
counts = st.integers(1, 60)
rhythms = st.sampled_from(list(Rhythm))


@given(money_amounts, counts, rhythms, st.decimals(0, 100, places=2))
def test_flat_plans_add_up_and_differ_by_at_most_one(principal, count, rhythm, percent):
    dates = due_dates(date(2026, 12, 21), rhythm, count, "US")
    rows = draft_rows(principal, dates, method=Method.FLAT, flat_percent=percent, start=START)
    assert sum(principals(rows)) == principal  # I6
    assert max(totals(rows)) - min(totals(rows)) <= 1  # I7
    assert min(totals(rows)) >= 1
    assert min(interests(rows)) >= 0
    assert sum(interests(rows)) == rounded(percent * principal / 100)


@given(money_amounts, counts, rhythms, st.decimals(0, 30, places=2), st.booleans())
def test_declining_plans_use_up_the_principal(principal, count, rhythm, percent, equal_payments):
    method = Method.ANNUITY if equal_payments else Method.EQUAL_PRINCIPAL
    dates = due_dates(date(2026, 12, 21), rhythm, count, "US")
    try:
        rows = draft_rows(principal, dates, method=method, annual_percent=percent, start=START, rhythm=rhythm)
    except BadPlan:
        assert equal_payments  # a long first period may eat up a whole small payment
        assert count > 3
        return
    assert sum(principals(rows)) == principal
    assert min(interests(rows)) >= 0
    assert min(principals(rows)) >= 1


@given(st.data())
def test_edited_rows_always_add_up(data):
    principal = data.draw(st.integers(12_00, 10**9))
    count = data.draw(st.integers(1, 12))
    method = data.draw(st.sampled_from(list(Method)))
    dates = due_dates(date(2026, 12, 21), Rhythm.MONTHLY, count, "US")
    rows = draft_rows(
        principal, dates, method=method, flat_percent=FIVE, annual_percent=Decimal(3), start=START
    )
    whole = sum(principals(rows)) if method in (Method.ANNUITY, Method.EQUAL_PRINCIPAL) else sum(totals(rows))
    changes = data.draw(
        st.dictionaries(
            st.integers(1, count), st.builds(Change, amount=st.integers(1, whole)), max_size=count
        )
    )
    try:
        after = edited(rows, changes, method, Decimal(3))
    except BadPlan:
        return
    assert sum(principals(after)) == principal
    assert min(interests(after)) >= 0
    assert [r.due for r in after] == [r.due for r in rows]


@given(
    st.lists(st.tuples(st.integers(1, 10**7), st.integers(0, 300)), min_size=1, max_size=5),
    st.integers(1, 20),
)
def test_embedded_tax_adds_up_to_the_tax_of_the_balance(invoices, count):
    sources = [
        Source(
            str(k), str(k), date(2026, 8, 1), date(2026, 8, 31), balance * 2, balance * rate // 1000, balance
        )
        for k, (balance, rate) in enumerate(invoices)
    ]
    whole = sum(s.balance for s in sources)
    parts = money.split(whole, min(count, whole))
    assert sum(embedded_tax(sources, parts)) == sum(rounded(Decimal(s.tax) / 2) for s in sources)  # I19


def test_edited_rows_of_three_decimals_stay_at_two():
    dates = due_dates(date(2026, 12, 21), Rhythm.MONTHLY, 3, "KW")
    rows = draft_rows(850000, dates, start=date(2026, 11, 21), step=10)
    asked = {1: Change(amount=300000)}
    made = edit_rows(rows, asked, method=Method.EQUAL, start=date(2026, 11, 21), currency="KWD")
    assert [r.principal for r in made] == [300000, 275000, 275000]
    two = {1: Change(amount=300010), 2: Change(amount=100000), 3: Change(amount=100000)}
    with pytest.raises(BadPlan, match=r"add up to 500.010 KWD; the plan is for 850.000 KWD"):
        edit_rows(rows, two, method=Method.EQUAL, start=date(2026, 11, 21), currency="KWD")
