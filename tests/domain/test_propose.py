"""Drafting a plan: oldest first, from what the customer demonstrably managed, within the rails."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.calendar import Rhythm
from connector.domain.findings import Evidence, Finding
from connector.domain.paying import affordable, pay_days
from connector.domain.plan import BadPlan
from connector.domain.policy import InterestPolicy, Method, PlanPolicy
from connector.domain.propose import Wish, a_nudge_does, candidates, propose, sources
from connector.domain.receivables import Allocation, Invoice, Payment, Status

POLICY = PlanPolicy()
TODAY = date(2026, 11, 21)


def an_invoice(id="147", due=date(2026, 8, 31), total=115000, balance=85000, currency="USD", **more):
    status = more.pop("status", Status.OPEN)
    return Invoice(id, f"N{id}", "58", due - timedelta(30), due, currency, total, balance, status, **more)


def a_part(amount, day, invoice_id="147", **more):
    return Payment(f"p{day}", "58", day, "USD", amount, 0, (Allocation(invoice_id, amount),), **more)


PARTS = [
    a_part(30000, date(2026, 9, 20)),
    a_part(25000, date(2026, 10, 20)),
    a_part(35000, date(2026, 11, 10)),
]


def test_three_part_payments_of_about_three_hundred_make_three_installments():
    found = propose([an_invoice(total=175000)], POLICY, TODAY, "US", payments=PARTS)
    assert found.affordable == 30000
    assert [(r.due, r.principal) for r in found.rows] == [
        (date(2026, 11, 30), 28333),
        (date(2026, 12, 28), 28333),
        (date(2027, 1, 28), 28334),
    ]
    assert found.reasons == (
        "850.00 USD is open on invoice N147, 82 days past due.",
        "About 300.00 USD a month seems manageable (from 250.00 USD to 350.00 USD), based on 3 part-payments; an estimate.",
        "That makes 3 installments.",
        "No interest and no fees.",
    )


@pytest.mark.parametrize(("amount", "count"), [(30000, 3), (21000, 5), (15000, 6)])
def test_what_is_affordable_sets_the_number(amount, count):
    found = propose([an_invoice(total=175000)], POLICY, TODAY, payments=[a_part(amount, date(2026, 10, 1))])
    assert len(found.rows) == count


def test_over_the_usual_length_a_person_is_asked():
    found = propose([an_invoice(total=175000)], POLICY, TODAY, payments=[a_part(12000, date(2026, 10, 1))])
    assert len(found.rows) == 6
    assert (
        "At that pace it would take 8; the policy's usual length allows 6, so each is about 141.67 USD."
        in found.reasons[2]
    )


def test_without_any_sign_the_policy_decides():
    found = propose([an_invoice()], POLICY, TODAY, "US")
    assert len(found.rows) == 3
    assert found.rows[0].due == date(2026, 11, 30)  # seven days on is a Saturday
    assert "3 installments by the policy; no payments show what the customer can manage." in found.reasons
    assert found.affordable is None
    assert (found.terms.tolerance_amount, found.terms.grace_days) == (100, 5)


def test_at_a_months_end_the_first_date_never_falls_before_today():
    saturday = date(2026, 10, 31)
    today = replace(POLICY, first_payment_days=0)
    assert propose([an_invoice()], today, saturday, "US").rows[0].due == date(2026, 11, 2)
    asked = Wish(first=saturday)
    assert propose([an_invoice()], POLICY, date(2026, 10, 20), "US", wish=asked).rows[0].due == date(
        2026, 10, 30
    )


def test_small_balances_get_fewer_installments():
    assert len(propose([an_invoice(balance=6000)], POLICY, TODAY).rows) == 2
    assert len(propose([an_invoice(balance=1)], POLICY, TODAY).rows) == 1
    free = replace(POLICY, minimum_payment=Decimal(0), minimum_share=Decimal(0))
    assert len(propose([an_invoice(balance=2)], free, TODAY).rows) == 2


def test_invoices_are_taken_oldest_first():
    found = propose([an_invoice("2", date(2026, 10, 1)), an_invoice("1", date(2026, 7, 1))], POLICY, TODAY)
    assert [i.id for i in found.invoices] == ["1", "2"]
    assert sum(r.principal for r in found.rows) == 170000
    assert found.reasons[0] == "1,700.00 USD is open on 2 invoices; the oldest, N1, is 143 days past due."
    assert "not yet due" in propose([an_invoice(due=TODAY)], POLICY, TODAY).reasons[0]


def test_what_stays_outside_the_plan_is_said():
    chosen, newer = an_invoice(), an_invoice("2", date(2026, 11, 1))
    others = [
        an_invoice("3", TODAY),
        an_invoice("4", balance=0),
        an_invoice("5", marker="plan=PP-1"),
        newer,
        an_invoice("6", date(2026, 8, 1)),
        chosen,
    ]
    reasons = propose([chosen], POLICY, TODAY, invoices=others).reasons
    assert "2 more of their invoices are overdue and not in this plan." in reasons
    one = propose([chosen], POLICY, TODAY, invoices=[newer, chosen]).reasons
    assert "1 more invoice of theirs is overdue and not in this plan." in one


def test_what_a_person_asks_for_counts():
    wish = Wish(installments=4, rhythm=Rhythm.TWO_WEEKLY, first=date(2026, 12, 1), deposit=25000)
    found = propose([an_invoice()], POLICY, TODAY, "US", wish=wish)
    assert [(r.due, r.principal) for r in found.rows] == [
        (date(2026, 12, 1), 25000),
        (date(2026, 12, 15), 15000),
        (date(2026, 12, 29), 15000),
        (date(2027, 1, 12), 15000),
        (date(2027, 1, 26), 15000),
    ]
    assert "4 installments, as asked for." in found.reasons
    assert "A deposit of 250.00 USD comes first." in found.reasons
    assert (
        "1 installment, as asked for."
        in propose([an_invoice()], POLICY, TODAY, wish=Wish(installments=1)).reasons
    )


def test_the_policys_deposit_and_interest():
    policy = PlanPolicy(
        deposit_percent=Decimal(20),
        method=Method.FLAT,
        interest=InterestPolicy(clause="Terms 7", flat_percent=Decimal(5), cap=Decimal(40)),
    )
    found = propose([an_invoice()], policy, TODAY)
    assert [r.principal for r in found.rows] == [17000, 22666, 22667, 22667]
    assert sum(r.interest for r in found.rows) == 3400
    assert (found.terms.flat_percent, found.terms.annual_percent, found.terms.deposit) == (5, 0, 17000)
    assert "No interest and no fees." not in found.reasons
    declining = replace(
        policy, method=Method.ANNUITY, interest=replace(policy.interest, annual_percent=Decimal(4))
    )
    assert propose([an_invoice()], declining, TODAY).terms.annual_percent == 4


@pytest.mark.parametrize(
    ("chosen", "wish", "code"),
    [
        ([], None, "NO_INVOICE"),
        ([an_invoice("1"), an_invoice("2", currency="EUR")], None, "MIXED_CURRENCY"),
        ([an_invoice(balance=0)], None, "NOT_OPEN"),
        ([an_invoice()], Wish(installments=0), "NO_INSTALLMENTS"),
        ([an_invoice()], Wish(installments=-3), "NO_INSTALLMENTS"),
        ([an_invoice()], Wish(installments=400), "TOO_MANY_INSTALLMENTS"),
        ([an_invoice(balance=2)], Wish(installments=3), "TOO_MANY_INSTALLMENTS"),
        ([an_invoice()], Wish(first=date(2026, 11, 20)), "PAST_DATE"),
        ([an_invoice()], Wish(first=date(9999, 12, 31)), "TOO_LONG"),
        ([an_invoice()], Wish(deposit=9999900), "DEPOSIT"),
        ([an_invoice()], Wish(deposit=85000), "DEPOSIT"),
        ([an_invoice()], Wish(deposit=85001), "DEPOSIT"),
        ([an_invoice()], Wish(deposit=-1), "DEPOSIT"),
    ],
)
def test_what_cannot_be_a_plan_hears_why(chosen, wish, code):
    with pytest.raises(BadPlan) as caught:
        propose(chosen, POLICY, TODAY, wish=wish)
    assert caught.value.code == code
    assert str(caught.value).endswith(".")


# Affordability


def able(payments, rhythm=Rhythm.MONTHLY, invoices=None):
    known = invoices or [an_invoice(total=175000), an_invoice("9", date(2026, 12, 31), 50000, 0)]
    return affordable(known, payments, "USD", rhythm, POLICY, TODAY)


def test_only_part_payments_on_overdue_invoices_show_what_is_manageable():
    assert able([]) is None
    assert able([a_part(30000, date(2026, 8, 31))]) is None  # on the due date: not late
    assert able([a_part(175000, date(2026, 10, 1))]) is None  # paid in full
    assert able([a_part(30000, date(2026, 10, 1), void=True)]) is None
    assert able([a_part(30000, date(2026, 12, 1))]) is None  # still to come
    assert able([a_part(30000, date(2026, 10, 1), "unknown")]) is None
    old = [an_invoice(due=date(2026, 1, 1), total=175000)]
    assert able([a_part(30000, date(2026, 5, 1))], invoices=old) is None  # before the last 180 days
    assert able([replace(a_part(30000, date(2026, 10, 1)), currency="EUR")]) is None


def test_payments_of_one_period_count_together():
    both = [a_part(10000, date(2026, 10, 1)), a_part(15000, date(2026, 10, 28))]
    assert able(both).amount == 25000
    assert able(both, Rhythm.WEEKLY).amount == 12500
    assert "a fortnight" in able(both, Rhythm.TWO_WEEKLY).reason
    assert "based on 1 part-payment;" in able(both[:1]).reason


def test_only_the_last_six_periods_count():
    old = [an_invoice(due=date(2026, 1, 1), total=900000)]
    months = [date(2026, m, 25) for m in (5, 6, 7, 8, 9, 10)] + [date(2026, 11, 20)]
    payments = [
        a_part(a, d) for a, d in zip((1, 10000, 20000, 30000, 30000, 40000, 50000), months, strict=True)
    ]
    assert able(payments, invoices=old).amount == 30000


def test_their_usual_month_limits_what_the_part_payments_suggest():
    usual = [a_part(80000, date(2026, m, 5), "9") for m in (3, 4, 5)]
    found = able([*usual, *PARTS])
    assert found.amount == 20000
    assert found.reason == (
        "About 200.00 USD a month seems manageable, 25 % of what they pay in a usual month; an estimate."
    )
    assert able([*usual[:2], *PARTS]).amount == 30000
    assert able(usual, Rhythm.WEEKLY).amount == 4615


def test_who_pays_once_a_quarter_is_not_thought_to_pay_as_much_each_month():
    quarterly = [a_part(1200000, date(2026, m, 4), "9") for m in (1, 4, 7, 10)]
    assert able(quarterly).amount == 100000  # a quarter of 4,000.00
    twice = [a_part(1200000, date(2026, m, 4), "9") for m in (1, 6, 11)]
    assert able(twice).amount < 100000


def test_one_large_payment_shows_nothing_about_a_month():
    monthly = [a_part(40000, date(2026, m, 4), "9") for m in range(1, 11)]
    once = a_part(9000000, date(2026, 5, 20), "9")
    found = able([*monthly, once])
    assert (found.amount, found.low, found.high) == (10000, 10000, 10000)


# How they pay


def every(days, count=10, amount=40000, last=date(2026, 11, 20)):
    return [a_part(amount, last - timedelta(days * n), "9") for n in range(count)]


def test_the_rhythm_is_their_own():
    assert pay_days(every(7), "USD", TODAY).rhythm is Rhythm.WEEKLY
    assert pay_days(every(14), "USD", TODAY).rhythm is Rhythm.TWO_WEEKLY
    assert pay_days(every(30), "USD", TODAY).rhythm is Rhythm.MONTHLY
    assert pay_days(every(7, count=5), "USD", TODAY) is None
    assert pay_days(every(10), "USD", TODAY) is None
    assert pay_days(every(7, last=date(2026, 8, 1)), "USD", TODAY) is None
    assert pay_days(every(7), "EUR", TODAY) is None


def test_a_plan_follows_their_fridays():
    found = propose([an_invoice()], POLICY, TODAY, "US", payments=every(7, 20))
    assert found.terms.rhythm is Rhythm.WEEKLY
    assert {r.nominal.weekday() for r in found.rows} == {4}
    assert found.rows[0].due == date(2026, 11, 27)
    assert "They pay about once a week, so the plan does, too." in found.reasons
    asked = propose([an_invoice()], POLICY, TODAY, "US", payments=every(7, 20), wish=Wish(installments=3))
    assert asked.terms.rhythm is Rhythm.MONTHLY


def test_who_pays_on_the_25th_begins_on_the_25th():
    monthly = [a_part(40000, date(2026, m, 25), "9") for m in range(3, 11)]
    dates = [r.nominal for r in propose([an_invoice()], POLICY, TODAY, "US", payments=monthly).rows]
    assert dates[:2] == [date(2026, 11, 25), date(2026, 12, 25)]


def test_the_reliable_get_fewer_and_larger_payments():
    usual = propose([an_invoice(total=175000)], POLICY, TODAY, payments=PARTS, segment="squeezed")
    fewer = propose(
        [an_invoice(total=175000, balance=70000)], POLICY, TODAY, payments=PARTS, segment="reliable"
    )
    assert (usual.affordable, fewer.affordable) == (30000, 35000)
    assert len(fewer.rows) == 2
    assert "They pay reliably: the upper end of that." in fewer.reasons[1]


def test_who_was_late_for_long_begins_with_a_deposit_within_the_usual_length():
    slow = [a_part(15000, date(2026, 10, 1))]
    found = propose([an_invoice(total=175000)], POLICY, TODAY, "US", payments=slow, segment="chronic")
    assert [r.principal for r in found.rows] == [17000, 13600, 13600, 13600, 13600, 13600]
    assert "A deposit of 170.00 USD comes first, because they have paid late for long." in found.reasons
    assert (
        len(propose([an_invoice(total=175000)], POLICY, TODAY, payments=slow, segment="squeezed").rows) == 6
    )
    for wish in (Wish(deposit=0), Wish(installments=5)):
        said = propose([an_invoice(total=175000)], POLICY, TODAY, payments=slow, segment="chronic", wish=wish)
        assert not said.terms.deposit
    # One that is smaller than the payments after it shows nothing; and where one payment does, one does.
    for amount, count in ((30000, 3), (90000, 1)):
        few = [a_part(amount, date(2026, 10, 1))]
        said = propose([an_invoice(total=175000)], POLICY, TODAY, payments=few, segment="chronic")
        assert (len(said.rows), said.terms.deposit) == (count, 0)


def test_a_first_slip_needs_a_nudge_until_the_ladder_ends():
    slip = Finding("first_miss", date(2026, 10, 10), (Evidence("1", date(2026, 10, 9), 5),), "USD", "")
    assert a_nudge_does([slip], "forgetful", TODAY)
    assert not a_nudge_does([slip], "squeezed", TODAY)
    assert not a_nudge_does([slip], "forgetful", date(2026, 12, 9))
    assert not a_nudge_does([replace(slip, kind="overdue")], "forgetful", TODAY)


# Which invoices


def test_one_old_invoice_brings_a_plan_over_all_that_is_late():
    invoices = [
        an_invoice("2", date(2026, 10, 1)),
        an_invoice("1", date(2026, 10, 22)),  # thirty days
        an_invoice("3", date(2026, 11, 17)),  # four days: late by now
        an_invoice("0", date(2026, 11, 18)),  # within the grace that nobody calls late
        an_invoice("d", date(2026, 11, 1)),  # in dispute
        an_invoice("4", balance=0, status=Status.PAID),
        an_invoice("5", status=Status.VOID),
        an_invoice("6", marker="plan=PP-0001 v=1 role=inst n=1 src=1 h=0"),
        an_invoice("7"),
        an_invoice("8", currency="EUR"),
        an_invoice("9", balance=100, status=Status.PARTLY_PAID),  # a trifle
    ]
    found = candidates(invoices, POLICY, TODAY, frozenset({"7"}), frozenset({"d"}))
    assert {c: [i.id for i in group] for c, group in found.items()} == {"EUR": ["8"], "USD": ["2", "1", "3"]}
    young = [an_invoice("3", date(2026, 11, 17)), an_invoice("4", date(2026, 10, 23))]  # 29 days at the most
    assert candidates(young, POLICY, TODAY) == {}


def test_the_snapshot_is_what_the_books_say():
    (snapshot,) = sources([an_invoice(tax=15000, version="4")])
    assert (snapshot.invoice_id, snapshot.balance, snapshot.tax, snapshot.version) == (
        "147",
        85000,
        15000,
        "4",
    )
    assert snapshot.settled
    assert not sources([an_invoice(balance=115000)])[0].settled


@pytest.mark.parametrize(
    ("balance", "wish", "rows"),
    [
        (850000, Wish(installments=3), [283330, 283330, 283340]),
        (850000, Wish(installments=2, deposit=100000), [100000, 375000, 375000]),
        (850005, Wish(installments=3), [283335, 283335, 283335]),
    ],
)
def test_where_the_sum_has_no_thousandths_no_installment_has(balance, wish, rows):
    """Ledgers keep two decimals of every currency: 283.333 would come back as 283.33, and the plan be taken back."""
    invoice = an_invoice(due=date(2026, 5, 1), total=balance, balance=balance, currency="KWD")
    found = propose([invoice], POLICY, TODAY, "KW", wish=wish)
    assert [r.principal for r in found.rows] == rows


@given(
    st.integers(1, 10**9),
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 170)), max_size=8),
    st.sampled_from(list(Rhythm)),
    st.sampled_from(["USD", "JPY", "KWD"]),
    st.sampled_from(["reliable", "squeezed", "chronic"]),
    st.booleans(),
)
def test_every_draft_covers_the_balance_and_respects_the_rails(
    balance, parts, rhythm, currency, segment, weekly
):
    from connector.domain.plan import Plan
    from connector.domain.policy import Mode
    from connector.domain.rails import problems

    invoice = an_invoice(due=date(2026, 5, 1), total=balance * 10, balance=balance, currency=currency)
    payments = [replace(a_part(a, TODAY - timedelta(d)), currency=currency) for a, d in parts]
    if weekly:
        payments = [replace(p, currency=currency) for p in every(7, amount=balance // 99 + 1)]
    found = propose(
        [invoice],
        POLICY,
        TODAY,
        "US",
        payments=payments,
        wish=None if weekly else Wish(rhythm=rhythm),
        segment=segment,
    )
    plan = Plan(
        "PP-1", 1, "58", currency, Mode.NOTES, sources(found.invoices), found.rows, TODAY, found.terms
    )
    assert problems(plan, TODAY, POLICY) == []
    assert min(r.principal for r in found.rows) >= POLICY.minimum(balance, currency) or len(found.rows) == 1
