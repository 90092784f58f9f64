"""Figures in the reader's own way, and expectations rounded."""

from __future__ import annotations

import datetime as dt

import pytest

from connector.domain.expected import Week
from connector.reviewing.expecting import Expectation, Said
from web import words
from web.pages import expected


@pytest.mark.parametrize(
    ("locale", "said"),
    [("en-US", "8,940.00"), ("en-IN", "8,940.00"), ("de-DE", "8.940,00"), ("fr-CH", "8\u202f940,00"), ("ar-EG", "8,940.00")],
)  # fmt: skip
def test_amounts_follow_the_browsers_locale(locale: str, said: str) -> None:
    assert words.amount(894_000, "USD", words.locale_of("", locale)) in (
        said,
        said.replace("\u202f", "\u00a0"),
    )


@pytest.mark.parametrize(
    ("minor", "currency", "said"),
    [
        (6_137_000, "USD", "$61,400"),
        (95_555, "USD", "$956"),
        (0, "USD", "$0"),
        (128_412_600, "JPY", "¥128,000,000"),
    ],
)
def test_an_expectation_is_rounded(minor: int, currency: str, said: str) -> None:
    assert words.about(minor, currency) == said


@pytest.mark.parametrize(
    ("minor", "currency", "shown", "alone", "moved"),
    [
        (None, "USD", "not known", None, None),
        (0, "USD", '<span class="cents">0.00</span>', '$<span class="cents">0.00</span>', '<b class="zero">0.00</b>'),
        (149_005, "USD", '1,490<span class="cents">.05</span>', '$1,490<span class="cents">.05</span>', '<span class="moved">+1,490.05</span>'),
        (-5, "USD", '−0<span class="cents">.05</span>', '−$0<span class="cents">.05</span>', '<span class="moved">−0.05</span>'),
        (1_490, "JPY", "1,490", "¥1,490", '<span class="moved">+1,490</span>'),
    ],
)  # fmt: skip
def test_an_amount_in_a_table_alone_and_as_a_change(
    minor: int | None, currency: str, shown: str, alone: str | None, moved: str | None
) -> None:
    assert words.cell(minor, currency) == shown
    if minor is not None:
        assert words.figure(minor, currency) == alone
        assert words.change(minor, currency) == moved


def test_a_debt_is_as_old_as_its_bucket() -> None:
    due = dt.date(2026, 8, 20)
    days = (-1, 0, 1, 30, 31, 60, 61, 90, 91, 400)
    assert [words.age(due, due + dt.timedelta(n)) for n in days] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_how_many() -> None:
    assert [words.many(n, "invoice") for n in (0, 1, 2, 1000)] == [
        "0 invoices",
        "1 invoice",
        "2 invoices",
        "1,000 invoices",
    ]
    assert words.many(2, "customer is", "customers are") == "2 customers are"


@pytest.mark.parametrize(
    ("minutes", "said"), [(0, "just now"), (59, "59 min ago"), (125, "2 h ago"), (3000, "Mon 16 Nov 2026")]
)
def test_how_long_ago(minutes: int, said: str) -> None:
    now = dt.datetime(2026, 11, 18, 12, tzinfo=dt.UTC)
    assert words.ago(now - dt.timedelta(minutes=minutes), now) == said


def test_an_evening_in_new_york_is_that_day_there() -> None:
    late = dt.datetime(2026, 11, 22, 1, 54, tzinfo=dt.UTC)
    assert words.local_day(late, "America/New_York") == "Sat 21 Nov 2026"


MONDAY = dt.date(2026, 11, 16)


def _said(on: dt.date, first: dt.date, amount: int, older: int) -> Said:
    weeks = [Week(first + dt.timedelta(weeks=n), amount, amount // 2, amount * 2, older) for n in range(12)]
    return Said(on, True, tuple(weeks))


def test_like_is_compared_with_like() -> None:
    first = MONDAY - dt.timedelta(weeks=4)
    outlook = Expectation(_said(MONDAY, MONDAY, 100_00, 60_00), _said(first, first, 70_00, 70_00), 250_00)
    view = expected.view(outlook, "USD")
    assert (view.soon, view.known_now, view.known_before) == (400_00, 420_00, 490_00), (
        "the running week is not compared"
    )
    assert (view.was, view.came) == (280_00, 250_00)
    assert [r[0] for r in view.rows] == [MONDAY + dt.timedelta(weeks=n) for n in range(8)]
    assert 'class="before"' in view.chart
    assert 'role="img"' in view.chart


def test_without_an_earlier_word_nothing_is_compared() -> None:
    view = expected.view(Expectation(_said(MONDAY, MONDAY, 100_00, 0), None, None), "USD")
    assert (view.before_on, view.was, view.came) == (None, None, None)
    assert 'class="before"' not in view.chart


def test_a_kept_sentence_is_read_in_the_readers_days_and_sums() -> None:
    today = dt.date(2026, 11, 18)
    assert (
        words.said(
            "The customer promised to pay 1,490.00 USD on 2026-11-30. It goes on after 2027-01-02.", today
        )
        == "The customer promised to pay $1,490.00 on Mon 30 Nov. It goes on after Sat 2 Jan 2027."
    )
    assert words.said("-89.25 CAD and 128,412,600 JPY") == "−CA$89.25 and ¥128,412,600"
    # What only looks like a day or a sum stays: numbers of documents, impossible days, finer amounts.
    for text in ("Invoice 2026-13-40", "INV-2026-11-300", "6210 XYZ", "1.234 USD"):
        assert words.said(text, today) == text


def test_a_step_has_a_bookkeepers_name() -> None:
    assert words.step("check") == "First question, did it arrive"
    assert words.step("our_own") == "Our own"
