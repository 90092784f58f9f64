"""What the pretend Xero understands in `where` and `order`, and what it refuses."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from sandbox.xero.where import QueryProblem, compile_order, compile_where, sorted_by

Row = dict[str, Any]

FIELDS = {
    "type": lambda row: row["type"],
    "status": lambda row: row["status"],
    "amountdue": lambda row: row["due"],
    "date": lambda row: row["date"],
    "contact.contactid": lambda row: row["contact"],
    "reference": lambda row: row["reference"],
    "senttocontact": lambda row: row["sent"],
}
JANUARY: Row = {
    "type": "ACCREC",
    "status": "AUTHORISED",
    "due": Decimal("120.50"),
    "date": dt.date(2026, 1, 15),
    "contact": "0f3c18dc-49bd-47a4-a875-03c84a29978f",
    "reference": "plan=PP-0007 role=inst",
    "sent": True,
}
MARCH: Row = {
    **JANUARY,
    "status": "PAID",
    "due": Decimal(0),
    "date": dt.date(2026, 3, 2),
    "reference": None,
    "sent": False,
}


@pytest.mark.parametrize(
    ("text", "january", "march"),
    [
        ('Type=="ACCREC" AND AmountDue>=120.50', True, False),
        ('type = "ACCREC" and amountdue > 120.50', False, False),
        ("Date >= DateTime(2026, 01, 16) AND Date < DateTime(2026, 04, 01)", False, True),
        ("Date == DateTime(2026,1,15)", True, False),
        ('Date > DateTime.Parse("2026-02-01T00:00:00")', False, True),
        ('Contact.ContactID == guid("0F3C18DC-49BD-47A4-A875-03C84A29978F")', True, True),
        ('Status=="PAID" OR Status=="AUTHORISED" && AmountDue<1', False, True),
        ('(Status=="PAID" OR Status=="AUTHORISED") AND AmountDue<1', False, True),
        ('Reference != null && Reference.Contains("PP-0007")', True, False),
        ('Reference.ToLower().StartsWith("plan=pp")', True, False),
        ("SentToContact", True, False),
        ("SentToContact == false", False, True),
        ("!(AmountDue > 0)", False, True),
        ("  ", True, True),
    ],
)
def test_a_filter_keeps_the_rows_that_it_states(text: str, january: bool, march: bool) -> None:
    where = compile_where(text, FIELDS, "Invoice")

    assert (where.matches(JANUARY), where.matches(MARCH)) == (january, march)


def test_comparisons_joined_by_and_can_start_from_an_index() -> None:
    where = compile_where(
        'Contact.ContactID==guid("AB") AND AmountDue>0 AND Status=="PAID"', FIELDS, "Invoice"
    )
    either = compile_where('Status=="PAID" OR Status=="DRAFT"', FIELDS, "Invoice")

    assert where.equals == {"contact.contactid": "ab", "status": "PAID"}
    assert where.fields == {"contact.contactid", "amountdue", "status"}
    assert (either.equals, either.uses_or) == ({}, True)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('Colour=="red"', "No property or field 'Colour' exists in type 'Invoice'"),
        ("AmountDue >", "Syntax error"),
        ("AmountDue > 5 AmountDue", "Syntax error"),
        ("Date > DateTime(2026, 13, 40)", "un-representable DateTime"),
        ('Reference.Reverse("x")', "No applicable method 'Reverse'"),
        ("Type == #", "Syntax error '#'"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused_in_words(text: str, sentence: str) -> None:
    with pytest.raises(QueryProblem, match=sentence.replace("(", r"\(")):
        compile_where(text, FIELDS, "Invoice")


def test_text_compared_with_a_number_is_refused() -> None:
    with pytest.raises(QueryProblem, match="incompatible"):
        compile_where("Status > 5", FIELDS, "Invoice").matches(JANUARY)


def test_rows_come_in_the_asked_order() -> None:
    keys = compile_order("Status DESC, Date", FIELDS, "Invoice")

    assert sorted_by([JANUARY, MARCH], keys, FIELDS) == [MARCH, JANUARY]
    with pytest.raises(QueryProblem, match="No property or field 'Size'"):
        compile_order("Size ASC", FIELDS, "Invoice")
