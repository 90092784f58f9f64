"""What must not change the judgement does not, and later payment never looks better than earlier payment."""

from __future__ import annotations

import copy
import json
import random
from datetime import date, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connector.domain.policy import Policy
from connector.mirroring import books_file
from connector.reviewing import replay

TODAY = date(2026, 11, 20)
RANK = {"reliable": 0, "forgetful": 1, "squeezed": 2, "chronic": 3}

one = st.tuples(
    st.integers(35, 700),  # days ago it was issued
    st.sampled_from([0, 14, 30]),  # terms
    st.integers(1, 20),  # hundreds of money
    st.one_of(st.integers(-10, 90), st.none()),  # days late, None: open
    st.booleans(),  # in two parts
)
histories = st.lists(one, min_size=1, max_size=12)


def company(history, customer="me", mark="i") -> dict[str, Any]:
    invoices, payments = [], []
    for n, (ago, terms, hundreds, late, parted) in enumerate(history):
        issued = TODAY - timedelta(ago)
        due = issued + timedelta(terms)
        cents = hundreds * 10000
        invoices.append(
            {
                "id": f"{mark}{n}",
                "customer_id": customer,
                "issue_date": str(issued),
                "due_date": str(due),
                "total_cents": cents,
            }
        )
        if late is not None:
            last = due + timedelta(late)
            parts = (
                [(last - timedelta(12), cents // 2), (last, cents - cents // 2)]
                if parted
                else [(last, cents)]
            )
            for k, (day, amount) in enumerate(parts):
                allocation = {"invoice_id": f"{mark}{n}", "amount_cents": amount}
                payments.append(
                    {
                        "id": f"p{mark}{n}-{k}",
                        "customer_id": customer,
                        "date": str(max(day, issued)),
                        "amount_cents": amount,
                        "allocations": [allocation],
                    }
                )
    return {
        "format": "books/1",
        "company": {"id": "co", "name": "Co", "home_currency": "USD"},
        "customers": [{"id": customer, "name": "Me", "currency": "USD"}],
        "invoices": invoices,
        "payments": payments,
    }


def judged(books: dict[str, Any], customer: str = "me", day: date = TODAY) -> dict[str, Any]:
    said = replay.company(books_file.read_line(json.dumps(books)), day, Policy())
    return next(c for c in said["customers"] if c["id"] == customer)


def shape(me: dict[str, Any], *, money: int = 1, days: int = 0) -> tuple[Any, ...]:
    """The judgement without names: kinds, days and amounts (moved back), segment, reasons, priority."""
    findings = [
        (
            f["kind"],
            str(date.fromisoformat(f["since"]) - timedelta(days)),
            sorted(
                (str(date.fromisoformat(e["date"]) - timedelta(days)), e["amount"] // money)
                for e in f["evidence"]
            ),
        )
        for f in me["findings"]
        if f["kind"] != "concentration"
    ]
    assessment = me["assessment"]
    return findings, assessment["segment"], assessment["reasons"], round(assessment["priority"] / money, 1)


def moved(books: dict[str, Any], days: int) -> dict[str, Any]:
    books = copy.deepcopy(books)
    for record in [*books["invoices"], *books["payments"]]:
        for field in ("issue_date", "due_date", "date"):
            if field in record:
                record[field] = str(date.fromisoformat(record[field]) + timedelta(days))
    return books


@settings(max_examples=40, deadline=None)
@given(histories, st.integers(-60, 60))
def test_moving_all_dates_by_weeks_changes_nothing(history, weeks):
    books = company(history)
    there = judged(moved(books, 7 * weeks), day=TODAY + timedelta(weeks=weeks))
    assert shape(there, days=7 * weeks) == shape(judged(books))


@settings(max_examples=40, deadline=None)
@given(histories, st.sampled_from([2, 7, 1000]))
def test_scaling_all_amounts_changes_nothing(history, factor):
    books, large = company(history), company(history)
    for record in large["invoices"]:
        record["total_cents"] *= factor
    for record in large["payments"]:
        record["amount_cents"] *= factor
        record["allocations"][0]["amount_cents"] *= factor
    assert shape(judged(large), money=factor) == shape(judged(books))


@settings(max_examples=40, deadline=None)
@given(histories, st.randoms(use_true_random=False))
def test_other_names_and_another_order_change_nothing(history, chance):
    books = company(history)
    names = [f"n{n}" for n in range(len(history))]
    chance.shuffle(names)
    other = json.loads(
        json.dumps(books),
        object_hook=lambda o: {
            k: names[int(v[1:])] if k in ("id", "invoice_id") and v[0] == "i" else v for k, v in o.items()
        },
    )
    chance.shuffle(other["invoices"])
    chance.shuffle(other["payments"])
    assert shape(judged(other)) == shape(judged(books))


@settings(max_examples=40, deadline=None)
@given(histories, histories)
def test_an_unrelated_customer_changes_nothing(history, others):
    books = company(history)
    more = company(others, "other", "o")
    both = {**books, **{key: books[key] + more[key] for key in ("customers", "invoices", "payments")}}
    assert shape(judged(both)) == shape(judged(books))


@settings(max_examples=60, deadline=None)
@given(histories, st.data(), st.booleans())
def test_a_cent_that_is_missing_or_comes_late_changes_nothing(history, data, comes):
    books = company(history)
    before = judged(books)
    for invoice in books["invoices"]:
        own = [p for p in books["payments"] if p["allocations"][0]["invoice_id"] == invoice["id"]]
        if own and data.draw(st.booleans()):
            for amount in (own[-1], own[-1]["allocations"][0]):
                amount["amount_cents"] -= 1
            if comes and own[-1]["date"] < str(TODAY):
                cent = {"invoice_id": invoice["id"], "amount_cents": 1}
                late = {"id": f"late {own[-1]['id']}", "date": str(TODAY), "amount_cents": 1}
                books["payments"].append({**own[-1], **late, "allocations": [cent]})
    after = judged(books)
    for said in ("segment", "reasons", "path"):
        assert after["assessment"][said] == before["assessment"][said]
    about_open = {"overdue", "partly_paid", "silent"}  # a payment, though of a cent, breaks a silence
    kinds = [{f["kind"] for f in me["findings"]} - about_open for me in (before, after)]
    assert kinds[0] == kinds[1]


@settings(max_examples=100, deadline=None)
@given(histories, st.data())
def test_paying_later_never_improves_the_assessment(history, data):
    n = data.draw(st.integers(0, len(history) - 1))
    ago, terms, hundreds, late, _ = history[n]
    if late is None or ago - terms <= 10:
        return
    later = data.draw(st.one_of(st.integers(late, late + 100), st.none()))
    history[n] = (ago, terms, hundreds, late, False)
    before = judged(company(history))["assessment"]
    history[n] = (ago, terms, hundreds, later, False)
    after = judged(company(history))["assessment"]
    if before["segment"] in RANK and after["segment"] in RANK:
        assert RANK[after["segment"]] >= RANK[before["segment"]], (before, after)


@settings(max_examples=100, deadline=None)
@given(histories, st.integers(5, 60), st.integers(-14, 3), st.integers(1, 20))
def test_another_invoice_paid_on_time_never_worsens_the_assessment(history, ago, early, hundreds):
    before = judged(company(history))["assessment"]
    history.append((ago + 14, 14, hundreds, min(early, ago), False))
    after = judged(company(history))["assessment"]
    if before["segment"] in RANK and after["segment"] in RANK:
        assert RANK[after["segment"]] <= RANK[before["segment"]], (before, after)


def test_the_days_of_predictions_hold_nothing_from_later_days():
    chance = random.Random(4)
    history = [
        (chance.randint(30, 400), 14, chance.randint(1, 9), chance.choice([-3, 0, 5, 20, None]), False)
        for _ in range(80)
    ]
    books = company(history)
    day = TODAY - timedelta(100)
    known = copy.deepcopy(books)
    known["invoices"] = [i for i in books["invoices"] if i["issue_date"] <= str(day)]
    there = {i["id"] for i in known["invoices"]}
    known["payments"] = [
        p for p in books["payments"] if p["date"] <= str(day) and p["allocations"][0]["invoice_id"] in there
    ]
    lines = (books_file.read_line(json.dumps(b)) for b in (books, known))
    whole, cut = (replay.company(line, day, Policy()) for line in lines)
    assert whole == cut


def test_one_payment_on_time_after_an_old_miss_is_no_setback():
    old = [(121, 0, 1, late, False) for late in (0, 0, None, 0)]
    assert judged(company(old))["assessment"]["segment"] == "forgetful"
    assert judged(company([*old, (19, 14, 1, 0, False)]))["assessment"]["segment"] == "forgetful"


def test_a_small_third_invoice_of_the_year_paid_on_time_is_no_setback():
    before = [(600, 14, 1, 0, False)] * 3 + [(200, 14, 4, 0, False), (80, 14, 10, None, False)]
    after = [*before, (40, 14, 1, 0, False)]
    segments = [judged(company(history))["assessment"]["segment"] for history in (before, after)]
    assert segments == [
        "squeezed",
        "squeezed",
    ]  # most of the year's money is late, however many invoices it is


def test_the_one_invoice_of_a_year_that_is_a_month_late_is_no_alarm():
    yearly = [(365 * n + 80, 14, 10, 0, False) for n in (1, 2, 3)]
    assert judged(company([*yearly, (50, 14, 11, None, False)]))["assessment"]["segment"] == "forgetful"
