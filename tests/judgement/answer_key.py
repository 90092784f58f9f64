"""The answer key: customers made by hand, with the judgement a careful bookkeeper would give, and why.

It was written before the rules were tried on it. An answer is changed only when a bookkeeper would say it is
wrong, never because the rules give another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from tests.judgement.builder import Books

TODAY = date(2026, 11, 20)  # a Friday


@dataclass(frozen=True)
class Case:
    """`findings` must be there, `never` must not, whatever else is found."""

    name: str
    why: str
    segment: str
    books: Callable[[], Books]
    findings: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()
    path: str | None = None
    today: date = TODAY


CASES: list[Case] = []


def case(
    segment: str,
    why: str,
    *,
    findings: str = "",
    never: str = "",
    path: str | None = None,
    today: date = TODAY,
) -> Callable[[Callable[[], Books]], Callable[[], Books]]:
    def add(build: Callable[[], Books]) -> Callable[[], Books]:
        CASES.append(
            Case(
                build.__name__,
                why,
                segment,
                build,
                frozenset(findings.split()),
                frozenset(never.split()),
                path,
                today,
            )
        )
        return build

    return add


ALARMS = (
    "overdue silent slowing shrinking_payments broken_promise repeatedly_short first_miss bounced disputed"
)


def good(months: int = 9) -> Books:
    """On time each month up to the invoice of September, due on 1 October."""
    first = 2026 * 12 + 9 - months
    return Books().monthly(first // 12, first % 12 + 1, [-2] * months)


# ---------------------------------------------------------------- too little to judge


@case("not_enough_data", "One invoice that is not due yet says nothing.", never=ALARMS, path="wait")
def brand_new() -> Books:
    return Books().invoice("1", date(2026, 11, 10), 500)


@case(
    "not_enough_data",
    "The first invoice is three weeks overdue: call, but nobody knows yet who they are.",
    findings="overdue",
    never="silent slowing first_miss",
    path="talk",
)
def first_invoice_overdue() -> Books:
    return Books().invoice("1", date(2026, 9, 30), 500)


@case(
    "not_enough_data",
    "Two late payments are two late payments, not a pattern.",
    never="slowing repeatedly_short",
)
def two_paid_late() -> Books:
    return Books().monthly(2026, 6, [40, 40])


@case("not_enough_data", "Two invoices on time are no record either.", never=ALARMS)
def two_paid_on_time() -> Books:
    return Books().monthly(2026, 8, [-1, 0])


@case(
    "not_enough_data",
    "The same shop under a second name: this name has one open invoice. We do not judge by a guess about names.",
    findings="overdue",
    never="first_miss slowing",
)
def one_customer_under_two_names() -> Books:
    return (
        Books()
        .customer("twin", "Brook Ltd")
        .monthly(2025, 11, [0] * 11, of="twin")
        .invoice("x", date(2026, 9, 25), 700)
    )


@case(
    "not_enough_data",
    "Never paid anything for four months: serious, yet no history of how they pay.",
    findings="overdue silent",
)
def never_paid_anything() -> Books:
    return Books().monthly(2026, 6, [None, None, None, None])


# ---------------------------------------------------------------- reliable


@case("reliable", "Every month on time.", never=ALARMS + " recovered", path="none")
def always_on_time() -> Books:
    return good(11)


@case("reliable", "Three invoices on time are a first record.", never=ALARMS)
def three_on_time() -> Books:
    return good(3)


@case("reliable", "Two days late is how banks work, not how customers are.", never=ALARMS)
def two_days_late_every_time() -> Books:
    return Books().monthly(2026, 1, [2] * 9)


@case(
    "reliable",
    "Five days past due for once: a friendly line is enough.",
    findings="overdue",
    never="first_miss slowing silent",
    path="nudge",
)
def good_payer_five_days_overdue() -> Books:
    return good().invoice("x", date(2026, 10, 16), 1000)


@case("reliable", "Due on Saturdays and paid on the Mondays after: on time.", never=ALARMS)
def pays_on_the_monday() -> Books:
    books = Books()
    for n in range(8):
        books.invoice(str(n), date(2026, 1, 1) + timedelta(28 * n), 400).paid(
            str(n), 2
        )  # 31 January 2026 is a Saturday
    return books


@case(
    "reliable",
    "Due on Saturday, and today is Monday: they have all of today.",
    never="overdue",
    today=date(2026, 11, 16),
)
def due_dates_monday_is_today() -> Books:
    return good().invoice("x", date(2026, 10, 15), 900)


@case(
    "reliable",
    "The money is there, it is only not set against the invoice.",
    findings="unapplied",
    never="first_miss silent slowing",
)
def unapplied_payment_covers_it() -> Books:
    return good().invoice("x", date(2026, 9, 1), 1000).pay(date(2026, 9, 29), {}, spare=1000)


@case(
    "reliable",
    "A credit that nobody applied covers the overdue invoice.",
    findings="unapplied",
    never="first_miss silent",
)
def unapplied_credit_covers_it() -> Books:
    return good().invoice("x", date(2026, 8, 20), 300).credit(date(2026, 9, 10), {}, spare=300)


@case("reliable", "The dispute was settled and paid.", never="disputed overdue")
def dispute_settled() -> Books:
    books = good().invoice("x", date(2026, 8, 20), 300).state("x", date(2026, 9, 1), "disputed")
    return books.event("dispute_closed", date(2026, 9, 12), "x").pay(date(2026, 9, 18), {"x": 300})


@case("reliable", "They named a day and kept it.", never="broken_promise overdue")
def promise_kept() -> Books:
    books = good().invoice("x", date(2026, 9, 18), 800)
    return books.event("promise", date(2026, 10, 16), "x", promised=date(2026, 10, 20)).pay(
        date(2026, 10, 20), {"x": 800}
    )


@case(
    "reliable",
    "A large buyer over the limit who pays on time needs a higher limit, not a warning.",
    findings="over_credit_limit",
    never="overdue silent",
)
def over_the_limit_on_time() -> Books:
    return _good_with(credit_limit=150000).invoice("x", date(2026, 11, 1), 2500)


@case(
    "reliable",
    "Most of what is owed is with them; that is the book's risk, not their fault.",
    findings="concentration",
    never=ALARMS,
)
def much_of_the_book() -> Books:
    books = good().invoice("x", date(2026, 11, 1), 9000)
    for n in range(5):
        books.customer(f"c{n}", f"Customer {n}").invoice(f"o{n}", date(2026, 11, 1), 500, of=f"c{n}")
    return books


@case("reliable", "With two customers, one always owes most.", never="concentration")
def half_of_a_tiny_book() -> Books:
    books = good().invoice("x", date(2026, 11, 1), 900)
    return books.customer("c", "Other").invoice("o", date(2026, 11, 1), 500, of="c")


@case("reliable", "The invoice was voided: nothing is owed.", never="overdue silent")
def voided_invoice() -> Books:
    return good().invoice("x", date(2026, 7, 1), 5000).state("x", date(2026, 7, 20), "voided")


@case("reliable", "Goods were returned and credited late; that is no late payment.", never="overdue slowing")
def closed_by_a_credit() -> Books:
    return good().invoice("x", date(2026, 6, 15), 700).credit(date(2026, 10, 30), {"x": 700})


@case(
    "reliable",
    "Two transfers because of a bank limit, both in time.",
    never="repeatedly_short partly_paid shrinking_payments",
)
def two_transfers_each() -> Books:
    books = Books()
    for n in range(6):
        id, issued = f"{n}", date(2026, 3 + n, 1)
        books.invoice(id, issued, 4000).pay(issued + timedelta(24), {id: 2500}).pay(
            issued + timedelta(26), {id: 1500}
        )
    return books


@case("reliable", "They pay ahead; the money waits for the invoice.", never=ALARMS)
def pays_in_advance() -> Books:
    books = Books()
    for n in range(6):
        books.invoice(f"{n}", date(2026, 4 + n, 10), 600).pay(date(2026, 4 + n, 2), {f"{n}": 600})
    return books


@case("reliable", "A customer of two years ago who always paid; nothing is owed.", never=ALARMS)
def long_gone() -> Books:
    return Books().monthly(2024, 1, [0] * 8)


@case("reliable", "Yen have no cents; on time all the same.", never=ALARMS)
def pays_in_yen() -> Books:
    return Books(currency="JPY").monthly(2026, 1, [-3] * 9, amount=250000)


@case("reliable", "Due on Christmas Day, paid after the holidays.", never=ALARMS)
def due_on_a_holiday() -> Books:
    return good().invoice("x", date(2025, 11, 25), 300).paid("x", 4)


@case("reliable", "They asked once for a week; everybody does.", never="asks_for_time overdue")
def asked_once() -> Books:
    books = good().invoice("x", date(2026, 10, 22), 500)
    return books.event("extension_asked", date(2026, 11, 12), "x")


@case(
    "reliable",
    "On time for nine months, the last invoice a cent short: nobody misses a cent.",
    findings="partly_paid",
    never="silent first_miss slowing repeatedly_short shrinking_payments",
    path="none",
)
def a_cent_left_open() -> Books:
    return good().invoice("x", date(2026, 8, 20), 1000).pay(date(2026, 9, 18), {"x": 999.99})


@case(
    "reliable",
    "The last invoice was paid on time but for a cent, and the cent came two months later.",
    never=ALARMS,
    path="none",
)
def a_cent_came_later() -> Books:
    books = good().invoice("x", date(2026, 8, 10), 1000).pay(date(2026, 9, 8), {"x": 999.99})
    return books.pay(date(2026, 11, 10), {"x": 0.01})


# ---------------------------------------------------------------- forgetful


@case("forgetful", "Ten days late every month: it works, with a nudge.", never="slowing silent", path="nudge")
def ten_days_late_every_time() -> Books:
    return Books().monthly(2026, 1, [10] * 9)


@case(
    "forgetful",
    "Years of good payment and one invoice missed: assume forgetting first.",
    findings="overdue first_miss",
    never="slowing silent",
    path="nudge",
)
def first_miss_of_a_good_payer() -> Books:
    return good().invoice("x", date(2026, 9, 28), 1000)


@case(
    "forgetful",
    "A stray small invoice of spring that nobody looked at; all else is on time.",
    findings="overdue",
    never="slowing silent",
    path="nudge",
)
def one_small_stray() -> Books:
    return good(11).invoice("x", date(2026, 3, 20), 12)


@case(
    "forgetful",
    "Net 14, but all of it is paid with the statement on the last of the month. Regular; talk about terms.",
    never="slowing silent repeatedly_short first_miss",
    path="nudge",
)
def pays_by_statement() -> Books:
    books = Books(terms=14)
    for month in range(4, 11):
        last = date(2026, month + 1, 1) - timedelta(1)
        ids = [f"{month}-{day}" for day in (2, 9, 16)]
        for id, day in zip(ids, (2, 9, 16), strict=True):
            books.invoice(id, date(2026, month, day), 400)
        books.pay(last, dict.fromkeys(ids, 400.0))
    return books


@case(
    "forgetful",
    "A promise of a good payer was not kept, and it is one invoice.",
    findings="overdue broken_promise",
    never="slowing",
)
def one_broken_promise() -> Books:
    books = good().invoice("x", date(2026, 9, 26), 900)
    return books.event("promise", date(2026, 11, 2), "x", promised=date(2026, 11, 10))


@case(
    "forgetful",
    "Three weeks overdue, and the promised day is next week: wait for it.",
    findings="overdue",
    never="broken_promise silent",
)
def promise_still_running() -> Books:
    books = good().invoice("x", date(2026, 9, 29), 900)
    return books.event("promise", date(2026, 11, 16), "x", promised=date(2026, 11, 25))


@case(
    "forgetful",
    "A payment came back and was made again: watch, nothing more.",
    findings="bounced",
    never="overdue slowing",
)
def one_returned_payment() -> Books:
    books = good().invoice("x", date(2026, 9, 10), 900)
    return books.event("bounced", date(2026, 10, 9), "x").pay(date(2026, 10, 14), {"x": 900})


@case(
    "forgetful",
    "They were two months late all winter and have been on time since summer.",
    findings="recovered",
    never="slowing overdue",
)
def back_on_track() -> Books:
    return Books().monthly(2025, 9, [55, 60, 50, 58, 52, 45, 0, -1, 0, 0, -2, -1, 0])


@case("forgetful", "Much better than they were: from two months to twelve days.", never="slowing recovered")
def improving() -> Books:
    return Books().monthly(2025, 9, [60, 55, 60, 50, 50, 55, 12, 12, 12, 12, 12, 12, 12])


@case(
    "forgetful",
    "The last two were two weeks late. Keep an eye on it; it is no crisis.",
    never="slowing silent",
)
def slipping_a_little() -> Books:
    return Books().monthly(2026, 1, [0, 0, -1, 0, 0, 0, 0, 15, 15])


@case(
    "forgetful",
    "The one invoice abroad is late; the home ones are paid. A bank matter until shown otherwise.",
    findings="overdue",
    never="slowing silent",
)
def one_invoice_in_euros() -> Books:
    return good().invoice("x", date(2026, 9, 10), 800, currency="EUR")


@case(
    "forgetful",
    "They asked twice for time on one invoice, and still pay the others.",
    findings="asks_for_time overdue",
    never="slowing silent",
)
def asked_twice() -> Books:
    books = good().invoice("x", date(2026, 9, 28), 900)
    return books.event("extension_asked", date(2026, 10, 27), "x").event(
        "extension_asked", date(2026, 11, 9), "x"
    )


# ---------------------------------------------------------------- squeezed


@case(
    "squeezed",
    "A year on time, and now three invoices in a row far behind: something happened.",
    findings="overdue slowing",
    never="first_miss",
    path="plan",
)
def sudden_trouble() -> Books:
    return Books().monthly(2025, 9, [0, -2, 0, -1, 0, 0, -3, 0, 0, 41, None, None, None])


@case(
    "squeezed",
    "The small ones are paid on time and the big one stays open: they pay what they can.",
    findings="overdue",
    path="plan",
)
def the_big_one_is_open() -> Books:
    return Books().monthly(2026, 1, [0] * 9, amount=50).invoice("big", date(2026, 8, 30), 5000)


@case(
    "squeezed",
    "A lodge without guests in autumn: slow each autumn, settled each winter, on time in between.",
    findings="overdue",
    path="plan",
)
def slow_every_autumn() -> Books:
    spring, autumn = [0] * 6, [75, 70, 65, 45]
    return Books().monthly(2025, 1, [*spring, *autumn, 0, 0, *spring, 75, None, None])


@case(
    "squeezed",
    "Smaller and smaller parts on an old invoice, after a good year.",
    findings="overdue partly_paid shrinking_payments",
    never="repeatedly_short",
    path="plan",
)
def shrinking_parts() -> Books:
    books = Books().monthly(2025, 8, [0] * 9).invoice("x", date(2026, 7, 20), 6000)
    return (
        books.pay(date(2026, 9, 4), {"x": 900})
        .pay(date(2026, 10, 5), {"x": 600})
        .pay(date(2026, 11, 5), {"x": 300})
    )


@case(
    "squeezed",
    "Good for long, then everything stops, and so do they: reach out first.",
    findings="overdue silent slowing",
    path="plan",
)
def gone_quiet() -> Books:
    return Books().monthly(2025, 6, [0] * 12 + [None, None, None, None])


@case(
    "squeezed",
    "Two promises broken in a row and still open: no longer forgetting.",
    findings="broken_promise overdue",
)
def two_broken_promises() -> Books:
    books = (
        good()
        .invoice("x", date(2026, 9, 15), 900)
        .event("promise", date(2026, 10, 20), "x", promised=date(2026, 10, 27))
    )
    return books.event("promise", date(2026, 10, 30), "x", promised=date(2026, 11, 6))


@case(
    "reliable",
    "Nine tenths on the day, twelve times, and the same tenth kept back: a contractor's retention is no trouble.",
    findings="kept_back partly_paid overdue",
    never="silent first_miss slowing shrinking_payments",
)
def a_tenth_kept_back_each_time() -> Books:
    books = Books()
    for n in range(12):
        issued = date(2025 + (n + 10) // 12, (n + 10) % 12 + 1, 1)
        whole = 3000 + 170.37 * n
        books.invoice(f"{n}", issued, whole).pay(issued + timedelta(30), {f"{n}": round(0.9 * whole, 2)})
    return books


@case(
    "chronic",
    "The tenth may be agreed; that the rest comes six weeks late each time is not.",
    findings="kept_back",
    never="first_miss",
)
def a_tenth_kept_back_and_late_with_the_rest() -> Books:
    books = Books()
    for n in range(9):
        issued = date(2025 + (n + 10) // 12, (n + 10) % 12 + 1, 1)
        books.invoice(f"{n}", issued, 3000).pay(issued + timedelta(75), {f"{n}": 2700})
    return books


@case(
    "squeezed",
    "In full for a year, lately a little short each time, and never by the same share: that is no agreement.",
    findings="repeatedly_short partly_paid",
    never="kept_back first_miss",
)
def a_little_short_lately() -> Books:
    books = Books().monthly(2025, 6, [0] * 12)
    for n, share in enumerate((0.94, 0.92, 0.9, 0.93, 0.91)):
        issued = date(2026, 6 + n, 1)
        books.invoice(f"{n}", issued, 3000).pay(
            issued + timedelta(30) if n < 4 else date(2026, 11, 18), {f"{n}": 3000 * share}
        )
    return books


# ---------------------------------------------------------------- chronic


@case(
    "chronic",
    "Six weeks late, always has been: terms have to change.",
    never="slowing recovered first_miss",
    path="stricter_terms",
)
def six_weeks_late_every_time() -> Books:
    return Books().monthly(2025, 9, [45] * 12)


@case(
    "chronic",
    "Almost a month late on every invoice is their term, not ours.",
    never="slowing",
    path="stricter_terms",
)
def twenty_five_days_late_every_time() -> Books:
    return Books().monthly(2025, 12, [25] * 9)


@case("chronic", "One on time does not undo a year.", never="recovered first_miss")
def one_good_month() -> Books:
    return Books().monthly(2025, 9, [50, 55, 60, 50, 50, 45, 50, 45, 50, 50, 45, 0])


@case(
    "squeezed",
    "The rent was paid in full for a year; since June 600 of 850 come each month, on the day.",
    findings="repeatedly_short partly_paid overdue",
    never="silent first_miss shrinking_payments",
    path="plan",
)
def rent_in_part_since_june() -> Books:
    books = Books()
    for n in range(17):
        issued = date(2025 + (n + 5) // 12, (n + 5) % 12 + 1, 20)
        due = issued + timedelta(12)
        books.invoice(f"{n}", issued, 850, terms=12).pay(due, {f"{n}": 600 if n >= 11 else 850})
    return books


@case(
    "chronic",
    "Every invoice begins with a part, and the rest comes six weeks later.",
    findings="repeatedly_short",
    never="first_miss",
)
def always_in_two_parts() -> Books:
    books = Books()
    for n in range(8):
        id, issued = f"{n}", date(2025, 12, 1) + timedelta(30 * n)
        books.invoice(id, issued, 2000).pay(issued + timedelta(30), {id: 1200}).pay(
            issued + timedelta(75), {id: 800}
        )
    return books


@case(
    "chronic",
    "Many overdue invoices, always so; the small dispute is beside the point.",
    findings="disputed overdue",
)
def chronic_with_a_small_dispute() -> Books:
    books = Books().monthly(2025, 9, [50, 50, 60, 55, 50, 50, 60, 50, 50, None, None, None])
    return books.invoice("x", date(2026, 8, 5), 100).state("x", date(2026, 9, 1), "disputed")


# ---------------------------------------------------------------- disputing


@case(
    "disputing",
    "They pay all but what they dispute.",
    findings="disputed",
    never="silent first_miss slowing",
    path="dispute_desk",
)
def only_the_disputed_is_open() -> Books:
    return good().invoice("x", date(2026, 8, 15), 1500).state("x", date(2026, 9, 1), "disputed")


@case(
    "disputing",
    "Most of what is overdue is in dispute; the rest waits for it.",
    findings="disputed overdue",
    never="silent",
)
def mostly_disputed() -> Books:
    books = good().invoice("x", date(2026, 8, 15), 1500).event("disputed", date(2026, 9, 20), "x")
    return books.invoice("y", date(2026, 9, 28), 200)


@case(
    "disputing",
    "Their first invoice is disputed: no history is needed to see that.",
    findings="disputed",
    never="silent",
)
def disputed_first_invoice() -> Books:
    return Books().invoice("x", date(2026, 8, 15), 1500).state("x", date(2026, 9, 1), "disputed")


def _good_with(**customer: object) -> Books:
    return Books(**customer).monthly(2026, 1, [-2] * 9)  # type: ignore[arg-type]
