"""The shipped letters: every level, segment and language passes the check, and carries the facts in its first lines."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest

from connector.domain import wording
from connector.domain.dunning import Open, Reminder
from connector.domain.letters import DEFAULT, BadText, fill, letters, variant_for, variants
from connector.domain.money import Money
from connector.domain.policy import INSTALLMENT_LADDER, INVOICE_LADDER, OwnText
from connector.domain.receivables import Invoice, Status
from connector.domain.reminder_words import Sender, context, text
from connector.domain.wording_context import Context

TODAY = dt.date(2026, 11, 24)
SEGMENTS = ("not_enough_data", "reliable", "forgetful", "squeezed", "chronic", "disputing", "backlog")
STEPS = [s for s in (*INVOICE_LADDER, *INSTALLMENT_LADDER) if not s.task_only]
SENDER = Sender("Alder Landscaping", "Jo Doe", "jo@alder.example", "bank transfer with the invoice number")


def a_reminder(step, *, days=None, currencies=("USD",), paid=30000, first=False):
    due = TODAY - dt.timedelta(step.days if days is None else days)
    listed = []
    for n, currency in enumerate(currencies, 1):
        invoice = Invoice(
            str(n), f"INV-{n}", "58", due, due, currency, 115000, 115000 - paid, Status.PARTLY_PAID
        )
        row = 2 if step in INSTALLMENT_LADDER else None
        listed.append(Open(invoice, due, invoice.balance, row))
    levels = {d.key: step.level for d in listed}
    return Reminder("58", step.level, levels, tuple(listed), offers_plan=step.offers_plan, first=first)


@pytest.mark.parametrize("variant", variants())
def test_every_shipped_letter_passes_the_check(variant):
    sender = replace(SENDER, language=variant)
    for step in STEPS:
        for segment in SEGMENTS:
            for currencies in (("USD",), ("EUR", "USD")):
                due = a_reminder(step, currencies=currencies, first=segment == "backlog")
                said = text(due, "Brook Café", sender, TODAY, segment=segment)
                wrong = wording.check(said, context(due, "Brook Café", sender, TODAY))
                assert not wrong, f"{variant} {step.level} {segment}: {wrong}\n{said}"


@pytest.mark.parametrize("variant", variants())
def test_the_first_lines_hold_number_sum_date_way_to_pay_and_person(variant):
    sender = replace(SENDER, language=variant)
    words = letters(variant)
    for step in STEPS:
        due = a_reminder(step)
        lines = text(due, "Brook Café", sender, TODAY).splitlines()
        top = "\n".join(lines[2:5])
        assert "INV-1" in top
        assert words.money(Money(85000, "USD")) in top
        assert words.day(due.listed[0].due) in top
        assert "bank transfer" in top
        assert "Jo Doe, jo@alder.example" in top
        offered = words.lines["plan"] in lines
        assert offered == step.offers_plan


def test_numbers_and_dates_are_written_as_the_language_does():
    money, day = Money(123456789, "EUR"), dt.date(2026, 8, 1)
    written = {v: (letters(v).money(money), letters(v).day(day)) for v in variants()}
    assert written == {
        "de": ("1.234.567,89 EUR", "1. August 2026"),
        "en-AU": ("1,234,567.89 EUR", "1 August 2026"),
        "en-GB": ("1,234,567.89 EUR", "1 August 2026"),
        "en-US": ("1,234,567.89 EUR", "August 1, 2026"),
        "es": ("1.234.567,89 EUR", "1 de agosto de 2026"),
        "fr": ("1\u202f234\u202f567,89 EUR", "1 août 2026"),
    }


def test_two_currencies_are_never_added_and_a_part_payment_is_thanked_for():
    said = text(a_reminder(INVOICE_LADDER[3], currencies=("EUR", "USD")), "B", SENDER, TODAY)
    assert "Together: 850.00 EUR and 850.00 USD." in said
    assert "Thank you for the 300.00 EUR and 300.00 USD received so far." in said


def test_a_credit_note_is_not_thanked_for():
    due = a_reminder(INVOICE_LADDER[3])
    credited = replace(due, listed=tuple(replace(d, paid=0) for d in due.listed))
    assert "Thank you for" not in text(credited, "B", SENDER, TODAY)


def test_an_old_debt_that_is_first_spoken_of_begins_softly_whoever_owes_it():
    check = INVOICE_LADDER[2]
    fresh = text(a_reminder(check, first=True), "B", SENDER, TODAY, segment="chronic")
    old = text(a_reminder(check, days=95, first=True), "B", SENDER, TODAY, segment="chronic")
    again = text(a_reminder(check, days=95), "B", SENDER, TODAY, segment="chronic")
    assert "Please tell us the date" in fresh
    assert "Do your records agree with ours?" in old
    assert "Please tell us the date" in again


def test_british_and_australian_letters_differ_where_they_should():
    missed = INSTALLMENT_LADDER[2]
    british = text(a_reminder(missed), "Installment Ltd", replace(SENDER, country="GB"), TODAY)
    assert "Instalment 2 of your plan" in british
    assert "Dear Installment Ltd" in british
    direct = INVOICE_LADDER[3]
    assert "debt advice" in text(a_reminder(direct), "B", replace(SENDER, country="GB"), TODAY)
    assert "financial counselling" in text(a_reminder(direct), "B", replace(SENDER, country="AU"), TODAY)


@pytest.mark.parametrize(
    ("language", "chosen", "country", "variant"),
    [
        ("", "", "US", "en-US"),
        ("", "", "NZ", "en-AU"),
        ("", "", "JP", "en-US"),
        ("de-AT", "es", "US", "de"),
        ("pt", "es", "US", "es"),
        ("en", "", "FR", "en-GB"),
        ("en-AU", "", "US", "en-AU"),
        ("", "fr", "", "fr"),
    ],
)
def test_the_customers_language_comes_first_then_the_chosen_one(language, chosen, country, variant):
    assert variant_for(language, chosen, country) == variant


# A bookkeeper's own words


def test_own_words_take_the_place_of_one_text_only():
    own = (OwnText("en-US", "check", DEFAULT, "Hello {customer}, {amount} on {number} was due {due}."),)
    said = text(a_reminder(INVOICE_LADDER[2]), "Brook Café", replace(SENDER, own=own), TODAY)
    assert "Hello Brook Café, 850.00 USD on INV-1 was due November 21, 2026." in said
    other = text(a_reminder(INVOICE_LADDER[3]), "Brook Café", replace(SENDER, own=own), TODAY)
    assert "Could you tell us on which date" in other


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{custmer}", "{custmer} is not a field"),
        ("{customer.__class__}", "is not a field"),
        ("{0}", "is not a field"),
        ("{customer!r}", "is not a field"),
        ("{amount:>10}", "is not a field"),
        ("{", "A brace has no partner"),
        ("{{customer}}", "A brace has no partner"),
    ],
)
def test_nothing_but_named_fields_is_understood(template, words):
    with pytest.raises(BadText) as caught:
        fill(template, {"customer": "Brook Café", "amount": "1.00 USD"})
    assert words in str(caught.value)


def test_what_a_field_brings_is_not_read_again():
    assert fill("{customer}", {"customer": "{reply} Ltd", "reply": "x"}) == "{reply} Ltd"


# The facts of a letter


def letter(body, **changes):
    due = a_reminder(INVOICE_LADDER[3])
    own = (OwnText("en-US", "direct", DEFAULT, body),)
    sender = replace(SENDER, own=own)
    said = text(due, "Brook Café", sender, TODAY)
    return wording.check(said, replace(context(due, "Brook Café", sender, TODAY), **changes))


def test_a_sum_that_the_books_do_not_show_is_refused():
    (wrong,) = letter("You owe 1,150.00 USD less 300.00 USD.")[:1]
    assert (wrong.rule, wrong.words) == ("wrong_amount", "1,150.00 USD")
    assert letter("Thank you for the 300.00 USD.") == ()
    assert letter("It is $850.00 and $ 300.") == ()
    assert [o.words for o in letter("It is $849.99.")] == ["$849.99"]


def test_a_day_to_pay_by_that_has_passed_is_refused():
    (wrong,) = letter("Please reply by November 20, 2026.")
    assert wrong.rule == "past_deadline"
    assert letter("Please reply by December 4, 2026.") == ()
    (wrong,) = letter("The invoice of January 5, 2026 is open.")
    assert wrong.rule == "wrong_date"


def test_what_an_overdue_letter_lacks_is_named():
    due = a_reminder(INVOICE_LADDER[3])
    bare = wording.check("Please pay.", context(due, "Brook Café", SENDER, TODAY))
    assert [o.rule for o in bare] == [
        "missing_contact",
        "missing_dispute",
        "missing_help",
        "missing_invoice",
        "missing_plan",
    ]
    assert all(o.why and o.suggestion and not o.sentence for o in bare)
    before = wording.check(
        "Invoice INV-1, ask Jo Doe.", replace(context(due, "B", SENDER, TODAY), overdue=False)
    )
    assert before == ()


def test_a_customers_name_is_no_offence():
    due = a_reminder(INVOICE_LADDER[3])
    name = "LAST CHANCE Legal Collections & Court Services"
    said = text(due, name, SENDER, TODAY)
    assert wording.check(said, context(due, name, SENDER, TODAY)) == ()
    assert wording.check(said, replace(context(due, name, SENDER, TODAY), names=())) != ()


def test_a_threat_is_allowed_only_where_a_step_carries_it_out():
    said = "A late fee of 25.00 USD will be added on Friday."
    (wrong,) = wording.check(said)
    assert (wrong.rule, wrong.kind, wrong.sentence) == ("threat", "fee", said)
    assert "no step of your policy" in wrong.why
    assert wording.check(said, Context(enabled=frozenset({"fee"}))) == ()
    assert wording.check(said, Context(enabled=frozenset({"collection"}))) != ()


def test_an_objection_shows_the_sentence_as_it_was_written():
    said = "Dear Brook,\n\nThe work was done.  We’ll have NO choice but to sue.\nThank you."
    (wrong,) = [o for o in wording.check(said) if o.rule == "threat"]
    assert said[wrong.start : wrong.end] == wrong.sentence == "We’ll have NO choice but to sue."


def test_amounts_are_read_in_either_way_of_writing():
    for written in ("1.234,50 EUR", "1,234.50 EUR", "1 234,50 EUR", "€1,234.50", "1234.50 €", "EUR 1'234.50"):
        known = Context(amounts=frozenset({Decimal("1234.50")}))
        other = Context(amounts=frozenset({Decimal("1234.51")}))
        assert wording.check(f"The balance is {written}.", known) == (), written
        assert [o.rule for o in wording.check(f"The balance is {written}.", other)] == ["wrong_amount"], (
            written
        )
