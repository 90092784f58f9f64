"""The formal letter: everything that docs/accounting.md lists, sums by rule, nothing announced that no step does."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from connector.domain import charges, demand, wording
from connector.domain.charges import Around, Charged
from connector.domain.demand import Claimed, Parties
from connector.domain.letters import letters, variants
from connector.domain.policy import ChargePolicy, Ledgered
from connector.domain.receivables import Allocation, Customer, Invoice, Payment, Status
from connector.domain.wording_context import Context

TODAY = date(2026, 11, 21)
INVOICE = Invoice(
    "147", "1001", "58", date(2026, 8, 1), date(2026, 8, 31), "GBP", 115000, 85000, Status.PARTLY_PAID, 15000
)
PAID = Payment("p", "58", date(2026, 9, 20), "GBP", 30000, 0, (Allocation("147", 30000),))
PARTIES = Parties(
    "Harbour Supply", "Brook Café", "Jo March", "jo@harbour.example", "Bank transfer to 12-34-56", "GB"
)
RULES = ChargePolicy(interest=Ledgered("270"), late_fee=Ledgered("271"))


def around(**more: object) -> Around:
    base = Around(Customer("58", "Brook Café"), (PAID,), (), (), "GB")
    return replace(base, **more)


def letter(country: str = "GB", individual: bool = False, steps: tuple[str, ...] = ()) -> demand.Demand:
    extras = tuple(o for o in charges.offers(INVOICE, around(), RULES, TODAY) if not individual)
    parties = replace(PARTIES, country=country, individual=individual)
    return demand.demand(parties, [Claimed(INVOICE, 30000, extras)], TODAY, steps)


def test_it_holds_everything_that_a_demand_letter_must_hold():
    text = letter().text
    for words in (
        "From: Harbour Supply", "To: Brook Café", "21 November 2026",
        "1001  1 August 2026  31 August 2026  1,150.00 GBP  300.00 GBP  0.00 GBP  850.00 GBP",
        "Invoices  850.00 GBP", "Interest  24.37 GBP", "Fixed sum by law  70.00 GBP", "Total  944.37 GBP",
        "Late Payment of Commercial Debts (Interest) Act 1998: reference rate plus 8 points",
        "Each further day adds 0.27 GBP of interest.", "Bank transfer to 12-34-56",
        "We ask you to pay 944.37 GBP by 5 December 2026", "please tell Jo March (jo@harbour.example)",
        "agree a plan in instalments", "Enclosed: a statement of your account and copies of the invoices",
        "Jo March, for Harbour Supply",
    ):  # fmt: skip
        assert words in text, words


def test_nothing_is_announced_that_no_step_does():
    assert "intend" not in letter().text
    assert "ask a court to decide" in letter(steps=("court",)).text


@pytest.mark.parametrize(("country", "individual"), [("GB", False), ("GB", True), ("US", False), ("AU", False), ("DE", False)])  # fmt: skip
def test_the_wording_check_has_nothing_against_it(country, individual):
    found = wording.check(letter(country, individual).text, Context(language="en"))
    assert [o for o in found if o.rule != "legal"] == []  # it may name the law by which it claims


def test_a_person_in_england_has_thirty_days_and_pays_no_interest():
    drawn = letter(individual=True)
    assert drawn.deadline == date(2026, 12, 21)
    assert "Pre-Action Protocol for Debt Claims" in drawn.text
    assert "Interest and fees  none" in drawn.text
    assert charges.offers(INVOICE, around(customer=Customer("58", "B", is_person=True)), RULES, TODAY)[
        0
    ].why_not


def test_america_writes_dates_and_paper_its_own_way():
    drawn = letter("US")
    assert (drawn.paper, "November 21, 2026" in drawn.text, "in installments" in drawn.text) == (
        "us-letter",
        True,
        True,
    )
    assert letter("AU").paper == "a4"


def test_two_currencies_are_two_letters():
    with pytest.raises(ValueError, match="one currency"):
        demand.demand(PARTIES, [Claimed(INVOICE, 0), Claimed(replace(INVOICE, currency="EUR"), 0)], TODAY)


# ---------------------------------------------------------------- what is claimed


def test_interest_goes_on_from_the_day_up_to_which_it_was_charged():
    before = around(
        charged=(Charged(charges.INTEREST, "147", date(2026, 11, 11)), Charged(charges.FIXED_SUM, "147"))
    )
    [offer] = charges.offers(INVOICE, before, RULES, TODAY)
    assert (offer.kind, offer.amount, [s.days for s in offer.spans]) == (
        "interest",
        274,
        [10],
    )  # 850.00, 11.75 %


def test_agreed_interest_takes_the_place_of_the_law():
    agreed = replace(RULES, clause="Terms, 7", annual_percent=Decimal(12), cap=Decimal(18))
    found = {o.kind: o.amount for o in charges.offers(INVOICE, around(), agreed, TODAY)}
    assert found == {"interest": 756 + 1733}  # 20 days on 1,150.00, 62 days on 850.00


@pytest.mark.parametrize(("balance", "fee"), [(333330, 5000), (333333, 5000), (333130, 5000), (333731, 5006)])
def test_a_share_of_dinars_is_rounded_to_what_the_ledger_keeps(balance, fee):
    rules = ChargePolicy(
        clause="Terms", fee_percent=Decimal("1.5"), fee_after_days=1, late_fee=Ledgered("290")
    )
    dinars = replace(INVOICE, currency="KWD", total=balance, balance=balance)
    offers = charges.offers(dinars, around(country="KW"), rules, TODAY)
    assert [o.amount for o in offers if o.kind == charges.LATE_FEE] == [fee]


def test_our_own_documents_bear_no_charge():
    assert (
        charges.offers(
            replace(INVOICE, marker="plan=LF-0001 v=1 role=fee src=1 h=00000000"), around(), RULES, TODAY
        )
        == []
    )


def test_no_law_no_clause_no_charge():
    assert charges.offers(INVOICE, around(country="US"), RULES, TODAY) == []


@pytest.mark.parametrize(
    ("paid_on", "amount", "found"),
    [(date(2026, 8, 11), 112700, 2300), (date(2026, 8, 12), 112700, None), (date(2026, 8, 11), 112699, None)],
)
def test_the_early_discount_is_earned_to_the_day_and_the_cent(paid_on, amount, found):
    rules = ChargePolicy(early_percent=Decimal(2), early_days=10, early=Ledgered("290"))
    invoice = replace(INVOICE, balance=115000 - amount)
    money = replace(PAID, date=paid_on, amount=amount, allocations=(Allocation("147", amount),))
    offers = charges.offers(invoice, around(payments=(money,)), rules, date(2026, 8, 20))
    assert [o.amount for o in offers if o.kind == "discount"] == ([found] if found else [])


def test_what_is_said_of_the_discount():
    rules = ChargePolicy(early_percent=Decimal(2), early_days=10)
    whole = replace(INVOICE, balance=115000, status=Status.OPEN)
    said = charges.early_said(whole, (), rules, date(2026, 8, 5))
    assert said == "2 % off until 2026-08-11: 1,127.00 GBP settles it."
    late = replace(PAID, date=date(2026, 8, 20), amount=112700, allocations=(Allocation("147", 112700),))
    said = charges.early_said(replace(INVOICE, balance=2300), (late,), rules, TODAY)
    assert said == "The discount was taken, but the money came after 2026-08-11. 23.00 GBP stays open."


def test_a_share_of_tax_follows_only_where_the_policy_says_so():
    rules = ChargePolicy(early_percent=Decimal(2), early=Ledgered("290"), early_reduces_tax=True)
    money = replace(PAID, date=date(2026, 8, 3), amount=112700, allocations=(Allocation("147", 112700),))
    [offer] = charges.offers(
        replace(INVOICE, balance=2300), around(payments=(money,)), rules, date(2026, 8, 20)
    )
    assert (offer.amount, offer.tax) == (2300, 300)


# ---------------------------------------------------------------- in every language


def in_language(
    language: str, country: str = "DE", steps: tuple[str, ...] = (), **more: object
) -> demand.Demand:
    euro = replace(INVOICE, currency="EUR")
    paid = replace(PAID, currency="EUR")
    here = around(payments=(paid,), country=country)
    extras = tuple(charges.offers(euro, here, RULES, TODAY))
    parties = replace(PARTIES, country=country, language=language, person="Jo", **more)
    return demand.demand(parties, [Claimed(euro, 30000, extras)], TODAY, steps)


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("de", ("Wir bitten Sie, 911,57 EUR bis zum 5. Dezember 2026 zu zahlen.", "Zinsen  21,57 EUR", "Rechnung  Vom  Fällig", "62 Tage auf 850,00 EUR zu 10,4 % im Jahr.", "Jo, für Harbour Supply")),
        ("fr", ("payer 911,57 EUR au plus tard le 5 décembre 2026.", "Intérêts  21,57 EUR", "Facture  Du  Échéance", "62 jours sur 850,00 EUR à 10,4 % l'an.", "Jo, pour Harbour Supply")),
        ("es", ("pague 911,57 EUR a más tardar el 5 de diciembre de 2026.", "Intereses  21,57 EUR", "Factura  Del  Vencimiento", "62 días sobre 850,00 EUR al 10,4 % anual.", "Jo, por Harbour Supply")),
        ("en-GB", ("pay 911.57 EUR by 5 December 2026", "Interest  21.57 EUR", "62 days on 850.00 EUR at 10.4 % a year.", "in instalments")),
    ],
)  # fmt: skip
def test_the_letter_speaks_the_customers_language(language, sentences):
    text = in_language(language).text
    for sentence in sentences:
        assert sentence in text, sentence
    found = wording.check(text, Context(language=language))
    assert [o for o in found if o.rule != "legal"] == []


def test_every_language_has_all_the_words():
    complete = {key: fields(text) for key, text in letters("en-US").demand.items()}
    for variant in variants():
        assert {key: fields(text) for key, text in letters(variant).demand.items()} == complete, variant


def fields(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_the_customers_language_comes_before_the_policys_and_the_countrys():
    assert in_language("").variant == "de"
    assert in_language("", chosen="es").variant == "es"
    assert in_language("fr", chosen="es").variant == "fr"
    assert in_language("it", country="IT").variant == "en-US"  # no words for it, and none for the country


def test_the_protocol_of_england_is_in_english():
    drawn = in_language("fr", country="GB", individual=True)
    assert (drawn.variant, "Pre-Action Protocol" in drawn.text) == ("en-GB", True)


def test_a_step_of_the_ladder_is_named_in_each_language():
    assert "haben wir vor, ein Gericht entscheiden zu lassen" in in_language("de", steps=("court",)).text
    both = in_language("es", steps=("court", "collection")).text
    assert "encargar la cuenta a una empresa de cobro o de pedir a un juzgado que decida" in both
    assert "intención" not in in_language("es").text


def test_an_agreed_fee_names_its_clause():
    agreed = replace(
        RULES, clause="AGB, Ziffer 7", annual_percent=Decimal(9), cap=Decimal(18), fee_amount=Decimal(20)
    )
    euro = replace(INVOICE, currency="EUR")
    extras = tuple(
        charges.offers(euro, around(payments=(replace(PAID, currency="EUR"),), country="DE"), agreed, TODAY)
    )
    parties = replace(PARTIES, country="DE", clause=agreed.clause, agreed_interest=True)
    text = demand.demand(parties, [Claimed(euro, 30000, extras)], TODAY).text
    assert "Vereinbarte Gebühr: wie vereinbart in AGB, Ziffer 7.\nRechnung 1001: 20,00 EUR.\n" in text
    assert "Rechnung 1001: 18,67 EUR. 20 Tage auf 1.150,00 EUR zu 9 % im Jahr. 62 Tage auf" in text
