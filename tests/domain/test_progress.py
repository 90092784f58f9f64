"""A plan's life after approval (docs/accounting.md; I16, I18, I19, I24)."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.plan_writes import renegotiation_sources
from connector.domain.policy import Method, Mode
from connector.domain.progress import Pace, RowState, payoff, progress, write_off
from connector.domain.receivables import Allocation, CreditNote, Document, Invoice, Kind, Payment, Status
from tests.domain.story import INVOICE_1001, example

PLAN = example()
NOTES = example(mode=Mode.NOTES, waived=False)
FIRST, SECOND, THIRD = (r.due for r in PLAN.rows)


def an_invoice(id, total, balance, status=Status.OPEN, number=""):
    return Invoice(id, number or id, "58", date(2026, 11, 21), FIRST, "USD", total, balance, status)


def split(today, paid=None, **more):
    open_ = {r.n: r.principal - (paid or {}).get(r.n, 0) for r in PLAN.rows}
    installments = {r.n: an_invoice(f"i{r.n}", r.principal, open_[r.n]) for r in PLAN.rows}
    return progress(PLAN, today, installments=installments | more.pop("changed", {}), **more)


def notes(today, balance, **more):
    invoice = replace(an_invoice("147", 115000, balance), number="1001")
    return progress(NOTES, today, sources={"147": invoice}, **more)


def pay(id, day, amount, invoice_id):
    return Payment(id, "58", day, "USD", amount, 0, (Allocation(invoice_id, amount),))


def states(found):
    return [r.state.value for r in found.rows]


def test_on_the_approval_day_all_is_open():
    now = split(date(2026, 11, 21))
    assert (now.state, now.pace, now.open, now.paid) == ("running", Pace.ON_TRACK, 85000, 0)
    assert states(now) == ["open", "open", "open"]
    assert now.next.n == 1
    assert now.attention == ()


def test_a_payment_by_the_adjusted_date_is_on_time():
    monday = date(2027, 2, 22)  # the third row's nominal Sunday moved to it
    now = split(monday, {1: 28333, 2: 28333})
    assert (states(now), now.pace) == (["paid", "paid", "open"], Pace.ON_TRACK)


def test_each_payment_is_matched_early_late_short_and_over():
    payments = [
        pay("p1", date(2026, 12, 18), 28333, "i1"),
        pay("p2", date(2027, 1, 25), 10000, "i2"),
        replace(pay("p3", date(2027, 1, 25), 9999, "i2"), void=True),
    ]
    credits_ = [
        CreditNote("c1", "C1", "58", date(2027, 1, 26), "USD", 500, 0, (Allocation("i2", 500),)),
        CreditNote("c2", "C2", "58", date(2027, 1, 26), "USD", 500, 0, (Allocation("i2", 500),), void=True),
    ]
    now = split(date(2027, 1, 26), {1: 28333, 2: 10500}, payments=payments, credits=credits_)
    assert [(m.id, m.amount, m.days_after, m.is_credit) for r in now.rows for m in r.matched] == [
        ("p1", 28333, -3, False),
        ("p2", 10000, 4, False),
        ("c1", 500, 5, True),
    ]
    assert states(now) == ["paid", "late", "open"]
    assert (now.paid, now.open) == (38833, 46167)


@pytest.mark.parametrize(
    ("day", "state", "pace"),
    [
        (FIRST, "open", Pace.ON_TRACK),
        (FIRST + timedelta(3), "open", Pace.ON_TRACK),
        (FIRST + timedelta(4), "late", Pace.LATE),
        (FIRST + timedelta(10), "late", Pace.LATE),
        (FIRST + timedelta(11), "late", Pace.BROKEN),
    ],
)
def test_tolerance_in_days(day, state, pace):
    now = split(day)
    assert (now.rows[0].state, now.pace) == (RowState(state), pace)
    assert now.state == ("broken" if pace is Pace.BROKEN else "running")
    assert [r.n for r in now.late] == ([1] if state == "late" else [])


def test_tolerance_in_money():
    assert states(split(FIRST, {1: 28233}))[0] == "paid"  # 1.00 short
    assert states(split(FIRST, {1: 28232}))[0] == "partly_paid"  # 1.01 short
    tiny = replace(
        PLAN, rows=tuple(replace(r, principal=p) for r, p in zip(PLAN.rows, (50, 42475, 42475), strict=True))
    )
    unpaid = progress(
        tiny, FIRST, installments={r.n: an_invoice(f"i{r.n}", r.principal, r.principal) for r in tiny.rows}
    )
    assert unpaid.rows[0].state is RowState.OPEN  # a row below the tolerance still has to be paid


def test_paid_out_of_order_and_finished():
    assert states(split(FIRST, {3: 28334})) == ["open", "open", "paid"]
    done = split(date(2027, 1, 2), {1: 28333, 2: 28333, 3: 28334})
    assert (done.state, done.pace, done.open, done.next) == ("finished", Pace.FINISHED, 0, None)


def test_what_a_bookkeeper_changes_by_hand_is_met_with_a_proposal():
    gone = split(FIRST, changed={2: None})
    assert states(gone) == ["open", "gone", "open"]
    assert gone.attention == (
        "Installment 2 is no longer in the ledger. Draft the plan again for what is still owed.",
    )
    assert gone.open == 28333 + 28334
    void = split(FIRST, changed={2: an_invoice("i2", 28333, 0, Status.VOID)})
    assert "was voided in the ledger" in void.attention[0]
    edited = split(FIRST, changed={1: an_invoice("i1", 20000, 20000)})
    assert edited.attention == (
        "Installment 1 was changed to 200.00 USD in the ledger; the plan says 283.33 USD. Draft the plan again.",
    )
    reopened = split(FIRST, sources={"147": an_invoice("147", 115000, 85000)})
    assert "Invoice 1001 is open again with 850.00 USD" in reopened.attention[0]
    assert "Set it against the invoice again" in reopened.attention[0]
    theirs = CreditNote("c9", "C9", "58", FIRST, "USD", 85000, 0)
    lost = split(FIRST, sources={"147": an_invoice("147", 115000, 85000)}, credits=[theirs])
    assert "credit was deleted or voided. End the plan" in lost.attention[0]  # nothing is left to set
    assert split(FIRST, sources={"147": an_invoice("147", 115000, 0)}).attention == ()
    # Also behind other terms, which credit the installments of the first version alone.
    later = replace(
        PLAN, originals=PLAN.sources, sources=(replace(PLAN.sources[0], invoice_id="i9", number="1001-P1.1"),)
    )
    books = {"i9": an_invoice("i9", 85000, 0), "147": an_invoice("147", 115000, 85000)}
    rows = {r.n: an_invoice(f"i{r.n}", r.principal, r.principal) for r in PLAN.rows}
    told = progress(later, FIRST, installments=rows, sources=books).attention
    assert [t.startswith("Invoice 1001 is open again with 850.00 USD") for t in told] == [True]
    settled = an_invoice("147", 115000, 0)
    for invoice, what in (
        ({}, "is no longer"),
        ({"147": replace(settled, status=Status.VOID)}, "was voided"),
    ):
        (told,) = split(FIRST, sources=invoice).attention
        assert f"Invoice 1001 {what} in the ledger, and its installments still ask for it" in told
    ours = CreditNote("c", "1001-P1C", "58", FIRST, "USD", 85000, 0, (), marker=PLAN.marker("credit", "147"))
    for credit in (ours, replace(ours, marker="")):
        assert split(FIRST, sources={"147": settled}, credits=[credit]).attention == ()
    for credits_ in ([], [replace(ours, void=True)], [replace(ours, total=80000)]):
        (told,) = split(FIRST, sources={"147": settled}, credits=credits_).attention
        assert "and was 850.00 USD: the clearing account no longer comes to zero" in told
    nothing = progress(PLAN, FIRST, installments={})
    assert (nothing.pace, nothing.next) == (Pace.ON_TRACK, None)


@pytest.mark.parametrize(
    ("now_in_ledger", "paid", "state"),
    [
        (None, 0, "gone"),
        (an_invoice("i2", 0, 0, Status.VOID), 0, "gone"),
        (an_invoice("i2", 0, 0, Status.PAID), 0, "gone"),
        (an_invoice("i2", 20000, 20000), 0, "open"),
        (an_invoice("i2", 20000, 5000), 15000, "partly_paid"),
        (an_invoice("i2", 20000, 0), 20000, "paid"),
    ],
)
def test_what_an_installment_no_longer_asks_for_is_never_taken_for_paid(now_in_ledger, paid, state):
    now = split(FIRST, changed={2: now_in_ledger})
    assert (now.paid, now.rows[1].state) == (paid, state)


def test_a_plan_taken_back_has_received_nothing():
    voided = {n: an_invoice(f"i{n}", 0, 0, Status.VOID) for n in (1, 2, 3)}
    now = split(FIRST, changed=voided)
    assert (now.paid, now.open, now.next, now.state) == (0, 0, None, "running")


def test_voided_interest_is_not_received():
    billed = {1: an_invoice("f1", 1000, 400), 2: an_invoice("f2", 0, 0, Status.VOID)}
    now = split(FIRST, interest=billed)
    assert [(r.interest_paid, r.interest_open) for r in now.rows[:2]] == [(600, 400), (0, 0)]


def test_what_came_as_a_credit_is_told_apart_from_money():
    credit = CreditNote("c1", "C1", "58", FIRST, "USD", 500, 0, (Allocation("i1", 500),))
    now = split(FIRST, {1: 10500}, payments=[pay("p1", FIRST, 10000, "i1")], credits=[credit])
    assert (now.rows[0].paid, now.rows[0].credited) == (10500, 500)


# Notes mode


def test_notes_mode_pays_the_rows_in_their_order():
    payments = [pay("p0", date(2026, 9, 20), 30000, "147"), pay("p1", date(2026, 12, 20), 40000, "147")]
    now = notes(date(2026, 12, 22), 45000, payments=payments)
    assert [(r.paid, r.open) for r in now.rows] == [(28333, 0), (11667, 16666), (0, 28334)]
    assert states(now) == ["paid", "partly_paid", "open"]
    assert [(m.id, m.amount) for r in now.rows for m in r.matched] == [("p1", 28333), ("p1", 11667)]


def test_notes_mode_is_late_and_finished_like_a_split():
    assert notes(FIRST + timedelta(4), 85000).pace is Pace.LATE
    assert notes(THIRD, 0).state == "finished"


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ({}, "Invoice 1001 is no longer in the ledger."),
        ({"147": an_invoice("147", 0, 0, Status.VOID)}, "Invoice 1001 was voided in the ledger."),
        ({"147": an_invoice("147", 100000, 70000)}, "Invoice 1001 was changed in the ledger."),
        ({"147": an_invoice("147", 115000, 90000)}, "Invoice 1001 was changed in the ledger."),
    ],
)
def test_notes_mode_notices_changes_to_the_invoice(sources, words):
    now = progress(NOTES, FIRST, sources=sources)
    assert words in now.attention[0]
    assert now.paid == 0


def test_notes_mode_takes_a_smaller_invoice_for_less_to_pay_and_not_for_money():
    now = progress(NOTES, FIRST, sources={"147": an_invoice("147", 80000, 40000)})  # 350.00 off, 100.00 paid
    assert [(r.paid, r.open) for r in now.rows] == [(10000, 18333), (0, 21667), (0, 0)]
    assert states(now) == ["partly_paid", "open", "gone"]


# Settling early, writing off


def test_early_payoff_of_the_example():
    """566.67 after the first row and its interest were paid; 28.33 of interest never exists."""
    interest = {1: an_invoice("i1i", 1417, 0, Status.PAID)}
    now = split(date(2026, 12, 28), {1: 28333}, interest=interest)
    assert (payoff(now, "USD").principal, payoff(now, "USD").interest, payoff(now, "USD").to_pay) == (
        56667,
        0,
        56667,
    )
    discounted = payoff(now, "USD", Decimal(5))
    assert (discounted.discount, discounted.to_pay) == (2833, 53834)


def test_earned_interest_belongs_to_the_payoff_and_voided_interest_does_not():
    assert payoff(split(FIRST), "USD").interest == 1417
    assert payoff(split(FIRST - timedelta(1)), "USD").interest == 0
    assert payoff(split(FIRST, interest={1: an_invoice("x", 1417, 417)}), "USD").interest == 417
    assert payoff(split(FIRST, interest={1: an_invoice("x", 1417, 0, Status.VOID)}), "USD").interest == 0


def test_write_off_of_the_example():
    found = write_off(PLAN, split(date(2027, 3, 30), {1: 28333}))
    assert (found.gross, found.net, found.tax) == (56667, 49276, 7391)


def test_a_renegotiated_plan_remembers_the_tax_inside_it():
    ledger = {
        r.n: Document(
            Kind.INVOICE, f"i{r.n}", f"1001-P1.{r.n}", "58", date(2026, 11, 21), r.due, "USD", r.principal,
            0 if r.n == 1 else r.principal, 0, Status.OPEN,
        )
        for r in PLAN.rows
    }  # fmt: skip
    sources = renegotiation_sources(PLAN, ledger)
    assert [(s.tax, s.total) for s in sources] == [(3695, 28333), (3696, 28334)]
    new = replace(PLAN, sources=sources, rows=PLAN.rows[1:], version=2, supersedes=1)
    now = progress(
        new, THIRD, installments={2: an_invoice("j2", 28333, 28333), 3: an_invoice("j3", 28334, 28334)}
    )
    assert write_off(new, now).tax == 7391


# Properties


@given(st.data())
def test_tool_and_ledger_agree_whatever_is_paid(data):
    """I24 in both modes: what is open on the rows is what is open in the ledger."""
    paid = {r.n: data.draw(st.integers(0, r.principal)) for r in PLAN.rows}
    day = date(2026, 11, 21) + timedelta(data.draw(st.integers(0, 200)))
    now = split(day, paid)
    assert [r.open for r in now.rows] == [r.principal - paid[r.n] for r in PLAN.rows]
    pooled = notes(day, 85000 - sum(paid.values()))
    assert pooled.open == now.open
    assert payoff(now, "USD").to_pay == now.open + sum(r.interest for r in PLAN.rows if r.due <= day)  # I18


@given(st.lists(st.tuples(st.integers(1, 40000), st.integers(0, 120)), max_size=8))
def test_notes_mode_matches_each_unit_of_money_once(receipts):
    payments, left = [], 85000
    for n, (amount, after) in enumerate(sorted(receipts, key=lambda r: r[1])):
        amount = min(amount, left)
        if amount:
            payments.append(pay(f"p{n:02}", date(2026, 11, 22) + timedelta(after), amount, "147"))
        left -= amount
    now = notes(date(2027, 4, 1), left, payments=payments)
    matched: dict[str, int] = {}
    for row in now.rows:
        assert sum(m.amount for m in row.matched) == row.paid
        for m in row.matched:
            matched[m.id] = matched.get(m.id, 0) + m.amount
    assert matched == {p.id: p.amount for p in payments}


def test_a_plan_without_interest_owes_none():
    plain = example(method=Method.EQUAL)
    rows = {r.n: an_invoice(f"i{r.n}", r.principal, r.principal) for r in plain.rows}
    assert payoff(progress(plain, THIRD, installments=rows), "USD").interest == 0
    assert INVOICE_1001.balance == plain.total
