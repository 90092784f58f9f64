"""The agreement holds everything that docs/accounting.md lists, with a plain summary on top."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from connector.domain.agreement import Parties, agreement
from connector.domain.calendar import Rhythm, due_dates
from connector.domain.installments import draft_rows
from connector.domain.plan import Terms
from connector.domain.policy import Method
from tests.domain.story import APPROVAL, example

PARTIES = Parties("Alder Landscaping", "Brook Café", "Jo Doe", "jo@alder.example", "by bank transfer", "US")
PLAN = example()


def test_the_summary_says_it_in_plain_words():
    assert agreement(PLAN, PARTIES).summary == (
        "Brook Café pays 892.50 USD in 3 installments of 297.50 USD, including 42.50 USD interest. "
        "The first is due on 21 December 2026, the last on 22 February 2027. "
        "If a date becomes difficult, speak to Jo Doe (jo@alder.example) before it."
    )


@pytest.mark.parametrize(
    "words",
    [
        "Alder Landscaping (creditor) and Brook Café (customer).",
        "On 21 November 2026 Brook Café acknowledges that 850.00 USD is open on invoice 1001:",
        "- invoice 1001 of 1 August 2026, originally due 31 August 2026: 850.00 USD of 1,150.00 USD open",
        "Amounts in dispute are not part of this agreement.",
        "- Installment 1: 297.50 USD by 21 December 2026 (balance 283.33 USD, interest 14.17 USD)",
        "- Installment 3: 297.50 USD by 22 February 2027 (balance 283.34 USD, interest 14.16 USD)",
        "Total payable: 892.50 USD.",
        "Pay by bank transfer. Please quote PP-0007 and 1001.",
        "A charge of 5 % of the balance. The total cost of this plan is 42.50 USD",
        "A payment goes to interest that has fallen due, then the oldest installment first",
        "without penalty",
        "- 50.00 USD on LF-1001 (plan agreed)",
        "you have 5 business days",
        "all that is open then falls due",
        "Invoices outside this plan stay payable",
        "neither side waives any right",
        "This agreement follows the law that governs the invoices.",
        "To ask for a change, contact Jo Doe, jo@alder.example.",
        "Accepted by (name, date and time)",
    ],
)
def test_everything_that_an_agreement_must_contain(words):
    assert words in agreement(PLAN, PARTIES).text


def test_the_fingerprint_changes_with_any_word():
    one = agreement(PLAN, PARTIES)
    assert one.sha256 == agreement(PLAN, PARTIES).sha256
    assert len(one.sha256) == 64
    assert one.sha256 != agreement(PLAN, replace(PARTIES, contact="Jo Roe")).sha256


def test_a_plan_without_interest_or_waiver_says_none():
    plain = example(method=Method.EQUAL, waived=False)
    text = agreement(plain, replace(PARTIES, country="GB")).text
    assert "None. The total payable is the balance above." in text
    assert "850.00 USD in 3 instalments, without interest or fees" in text
    assert "Waived" not in text
    assert "- Instalment 1: 283.33 USD by 21 December 2026\n" in text
    assert "nstallment" not in text


def test_declining_interest_states_how_days_are_counted():
    dates = due_dates(date(2026, 12, 21), Rhythm.MONTHLY, 3, "US")
    terms = Terms(method=Method.EQUAL_PRINCIPAL, annual_percent=Decimal(5))
    rows = draft_rows(85000, dates, method=terms.method, annual_percent=terms.annual_percent, start=APPROVAL)
    plan = replace(PLAN, rows=rows, terms=terms)
    text = agreement(plan, PARTIES).text
    assert "Simple interest of 5 % a year on what is still open, counting one twelfth of a year" in text
    edited = agreement(replace(plan, terms=replace(terms, rows_edited=True)), PARTIES).text
    assert "counting the actual days over 365" in edited


def test_one_single_payment():
    one = replace(
        PLAN, rows=draft_rows(85000, due_dates(date(2026, 12, 21), Rhythm.MONTHLY, 1, "US"), start=APPROVAL)
    )
    assert (
        "850.00 USD in 1 installment of 850.00 USD, without interest or fees. The first is due on 21 December 2026. "
        in (agreement(one, PARTIES).summary)
    )
