"""The ladder: one level at a time, no burst, never chasing a payer (docs/accounting.md, "Contact")."""

import random
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.dunning import Contact, Guard, Open, caps, guard, next_day, next_reminder, next_step
from connector.domain.policy import ReminderPolicy, Step
from connector.domain.receivables import Invoice, Payment, Status
from connector.domain.reminder_words import Sender, text

POLICY = ReminderPolicy()
EVERY_DAY = ReminderPolicy(weekdays=frozenset(range(7)))
DUE = date(2026, 11, 3)  # a Tuesday
SENDER = Sender("Alder Landscaping", "Jo Doe", "jo@alder.example", "bank transfer with the invoice number")


def an_open(id="147", due=DUE, balance=85000, total=115000, number="1001", currency="USD", **more):
    invoice = Invoice(
        id, number, "58", due - timedelta(30), due, currency, total, balance, Status.PARTLY_PAID
    )
    return Open(invoice, due, balance, **more)


def level(document, today, contacts=()):
    step = next_step(document, contacts, POLICY, today)
    return step.level if step else None


def after(days):
    return DUE + timedelta(days)


def sent(days, name, key="147"):
    return Contact(after(days), {key: name})


def test_the_ladder_day_by_day():
    document, contacts, said = an_open(), [], []
    for day in range(-10, 65):
        name = level(document, after(day), contacts)
        if name:
            said.append((day, name))
            contacts.append(sent(day, name))
    assert said == [
        (-3, "friendly"),
        (0, "due"),
        (3, "check"),
        (7, "direct"),
        (14, "firm"),
        (30, "final"),
        (60, "review"),
    ]


def test_an_old_debt_that_nobody_chased_begins_softly():
    assert level(an_open(), after(82)) == "check"


def test_missed_days_are_caught_up_without_a_burst():
    contacts = [sent(-3, "friendly")]
    assert level(an_open(), after(8), contacts) == "check"
    contacts.append(sent(8, "check"))
    assert level(an_open(), after(9), contacts) is None
    assert level(an_open(), after(11), contacts) is None
    assert level(an_open(), after(12), contacts) == "direct"
    contacts.append(sent(12, "direct"))
    assert level(an_open(), after(14), contacts) is None  # firm comes seven days after direct
    assert level(an_open(), after(19), contacts) == "firm"


def test_running_twice_on_one_day_says_nothing_new():
    assert level(an_open(), after(3), [sent(3, "check")]) is None
    assert level(an_open(), after(61), [sent(60, "review")]) is None


def test_what_was_meant_before_the_due_date_lapses():
    assert level(an_open(), after(-4)) is None
    assert level(an_open(), after(-1)) == "friendly"
    assert level(an_open(), after(1)) == "due"
    assert level(an_open(), after(1), [sent(-1, "friendly")]) is None  # three days apart, so it lapses
    assert level(an_open(), after(3), [sent(-1, "friendly")]) == "check"


def test_a_kept_plan_on_an_old_debt_hears_only_friendly_words():
    installment = an_open("i1", due=DUE, installment=1, plan_id="PP-0007")
    assert level(installment, after(-3)) == "installment_friendly"
    assert level(installment, after(0)) == "installment_due"
    assert installment.key == "i1#1"
    assert level(installment, after(0), [Contact(after(0), {"i1#1": "installment_due"})]) is None
    assert level(installment, after(2)) == "installment_missed"
    assert (
        level(installment, after(20), [Contact(after(2), {"i1#1": "installment_missed"})])
        == "installment_cure"
    )
    following = an_open("i1", due=DUE + timedelta(30), installment=2)
    assert (
        level(following, after(27), [Contact(after(0), {"i1#1": "installment_due"})])
        == "installment_friendly"
    )


def reminder(documents, today, contacts=(), policy=EVERY_DAY, held=()):
    return next_reminder("58", documents, contacts, policy, today, "US", held)


def test_one_message_speaks_of_all_open_documents():
    older, newer = an_open("1", after(-20), number="A"), an_open("2", after(0), number="B")
    later = an_open("3", after(40), number="C")
    found = reminder([newer, later, older], after(3), [Contact(after(-13), {"1": "direct"})])
    assert found.level == "firm"
    assert found.levels == {"1": "firm", "2": "check"}
    assert [d.invoice.number for d in found.listed] == ["A", "B"]
    assert found.offers_plan
    assert not found.needs_person
    # Tomorrow each stands where it was taken to.
    assert reminder([newer, older], after(4), [Contact(after(3), found.levels)]) is None


def test_what_is_overdue_is_listed_even_when_its_own_step_is_not_due():
    chased, other = an_open("1", after(-20), number="A"), an_open("2", after(0), number="B")
    found = reminder([chased, other], after(3), [Contact(after(2), {"1": "direct"})])
    assert found.levels == {"2": "check"}
    assert [d.invoice.number for d in found.listed] == ["A", "B"]


def test_a_step_that_needs_a_person_waits_behind_what_may_leave_by_itself():
    final = an_open("1", after(-40))
    contacts = [Contact(after(-26), {"1": "firm"})]
    alone = reminder([final], after(3), contacts)
    assert (alone.level, alone.needs_person, alone.task_only) == ("final", True, False)
    both = reminder([final, an_open("2", DUE)], after(3), contacts)
    assert (both.level, both.needs_person) == ("check", False)
    review = reminder([final], after(30), [Contact(after(-10), {"1": "final"})])
    assert (review.level, review.task_only) == ("review", True)


def test_nothing_is_due():
    assert reminder([], after(3)) is None
    assert reminder([an_open()], after(-9)) is None


def test_messages_wait_for_a_day_that_the_policy_and_the_calendar_allow():
    friday = date(2026, 11, 6)
    found = reminder([an_open()], friday, policy=POLICY)
    assert found.held_because == ("Messages leave on other days; it goes on Tuesday, 2026-11-10.",)
    thanksgiving = next_reminder("58", [an_open()], [], POLICY, date(2026, 11, 26), "US")
    assert thanksgiving.held_because == ("Messages leave on other days; it goes on Tuesday, 2026-12-01.",)
    assert reminder([an_open()], date(2026, 11, 10), policy=POLICY).held_because == ()


def test_the_caps_count_every_contact_of_the_customer():
    today = after(10)
    assert caps([], POLICY, today) == []
    assert caps([Contact(today)], POLICY, today) == [
        "The customer heard from us today already; it can go tomorrow."
    ]
    assert caps([Contact(after(9)), Contact(after(4))], POLICY, today) == [
        "The customer heard from us 2 times within seven days; it can go from 2026-11-14."
    ]
    assert caps([Contact(after(9)), Contact(after(3))], POLICY, today) == []
    # dated by a clock that was ahead: they were not tomorrow, whenever they were
    assert caps([Contact(after(11))], POLICY, today) == [
        "The customer heard from us today already; it can go tomorrow."
    ]
    assert caps([Contact(after(18))], POLICY, today) == []
    held = reminder([an_open()], today, [Contact(today)], held=["The invoice is disputed."])
    assert held.held_because == (
        "The invoice is disputed.",
        "The customer heard from us today already; it can go tomorrow.",
    )


# The payer guard


GOOD = Guard(live=True, ledger_reminders_on=False, hours_since_sync=1.0)
TODAY = date(2026, 11, 24)


def why(**facts):
    return guard(replace(GOOD, **facts), [an_open()], POLICY, TODAY)


def test_nothing_in_sight_lets_it_go():
    assert why() == ()
    assert why(unapplied={"EUR": 0, "CAD": -5}, ledger_balance={"USD": 5}, mirrored_balance={"USD": 5}) == ()


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"unapplied": {"USD": 12000}}, "120.00 USD is in the books but not matched"),
        ({"unapplied": {"USD": 1}}, "not matched"),
        (
            {"unapplied": {"EUR": 500}},
            "5.00 EUR is in the books but not matched to an invoice, and the message asks for USD.",
        ),
        ({"payments": (Payment("p", "58", date(2026, 11, 30), "EUR", 500, 0),)}, "5.00 EUR is in the books"),
        ({"same_address": {"USD": 500}}, "5.00 USD of another customer with the same e-mail address"),
        ({"unmatched_deposit": 12000}, "A deposit of 120.00 USD is not matched yet."),
        (
            {"payments": (Payment("p", "58", date(2026, 11, 30), "USD", 500, 500),)},
            "A payment of 5.00 USD is dated 2026-11-30, after today.",
        ),
        ({"ledger_balance": {"USD": 1}}, "The ledger says 0.01 USD is open, our copy says 0.00 USD."),
        ({"holds": frozenset({"disputed"})}, "disputed"),
        ({"holds": frozenset({"insolvency"})}, "insolvency"),
        ({"holds": frozenset({"opt_out"})}, "asked not to be contacted"),
        ({"holds": frozenset({"holiday"})}, "On hold: holiday."),
        ({"promised_for": date(2026, 11, 22)}, "promised to pay on 2026-11-22"),
        ({"plan_proposed_on": TODAY}, "not yet answered"),
        ({"writing": True}, "still being written"),
        ({"hours_since_sync": 24.5}, "not read within the last 24 hours"),
        ({"hours_since_sync": None}, "not read within the last 24 hours"),
        ({"ledger_reminders_on": True}, "Switch them off there"),
        ({"ledger_reminders_on": None}, "Nobody has said whether"),
        ({"live": False}, "in preview"),
    ],
)
def test_each_reason_holds_the_message_with_a_sentence(facts, words):
    (sentence,) = why(**facts)
    assert words in sentence
    assert any(release in sentence for release in ("It goes on", "settings", "goes live", "Approve it"))


def test_a_promise_ends_after_its_grace_and_a_void_payment_announces_nothing():
    assert why(promised_for=date(2026, 11, 21)) == ()
    void = Payment("p", "58", date(2026, 11, 30), "USD", 500, 500, void=True)
    past = Payment("q", "58", date(2026, 11, 24), "USD", 500, 0)
    assert why(payments=(void, past)) == ()


# Words


def written(documents, today, contacts=()):
    return text(reminder(documents, today, contacts), "Brook Café", SENDER, today)


def test_the_facts_come_first_then_one_request():
    document = an_open()
    message = written([document], after(7), [sent(3, "check")])
    assert message == (
        "Dear Brook Café,\n"
        "\n"
        "Invoice 1001: 850.00 USD, due November 3, 2026 (7 days ago).\n"
        "How to pay: bank transfer with the invoice number.\n"
        "Questions: Jo Doe, jo@alder.example.\n"
        "\n"
        "Could you tell us on which date we can expect the payment?\n"
        "Thank you for the 300.00 USD received so far.\n"
        "If money is tight, tell us what you can manage; we can usually agree a plan.\n"
        "If something is not right with an invoice, tell us and we will look into that first.\n"
        "If you have paid in the meantime, thank you; please disregard this.\n"
        "\n"
        "Jo Doe\n"
        "Alder Landscaping"
    )


def test_several_documents_have_a_sum_per_currency_and_a_link_to_pay():
    euro = an_open("2", after(0), 1000, 1000, "E1", "EUR")
    usd = an_open("1", after(2), 85000, 85000, "1001")
    usd = replace(usd, invoice=replace(usd.invoice, pay_link="https://pay.example/1"))
    message = written([usd, euro], after(3), [Contact(after(-30), {})])
    assert "Together: 10.00 EUR and 850.00 USD." in message
    assert (
        "Invoice 1001: 850.00 USD, due November 5, 2026 (1 day ago). Pay here: https://pay.example/1"
        in message
    )
    assert "Thank you for the" not in message
    assert "money is tight" not in message  # the plan option comes with the second step after the due date


def test_before_the_due_date_nothing_is_missing():
    message = text(
        reminder([an_open(balance=115000)], after(-3)),
        "Brook Café",
        replace(SENDER, how_to_pay=""),
        after(-3),
    )
    assert "due November 3, 2026." in message
    assert "the date is coming up" in message
    assert "not right" not in message
    assert "How to pay" not in message


def test_an_installment_is_named_as_part_of_the_plan():
    message = written([an_open("i2", installment=2)], after(2))
    assert "Installment 2 of your plan, invoice 1001: 850.00 USD" in message
    assert "Do you need a few more days" in message


def test_the_senders_country_spells_our_words_and_nobody_elses():
    found = reminder([an_open("i2", number="Installment-7", installment=2)], after(2))
    british = text(found, "Installment Ltd", replace(SENDER, country="GB"), after(2))
    assert "Instalment 2 of your plan" in british
    assert "invoice Installment-7:" in british
    assert "We have not seen this instalment yet." in british
    assert "Dear Installment Ltd" in british


def test_every_overdue_level_offers_help_and_a_way_to_object_and_nothing_harsh():
    harsh = ("immediate", "legal", "collection", "disappointed", "refuse", "ignore", "excuse", "!", "failed")
    for ladder, installment in ((POLICY.invoice_ladder, None), (POLICY.installment_ladder, 1)):
        for before, step in zip((None, *ladder), ladder, strict=False):
            if step.task_only:
                continue
            document = an_open(installment=installment)
            contacts = [Contact(after(-100), {document.key: before.level})] if before else []
            message = written([document], after(step.days), contacts)
            assert reminder([document], after(step.days), contacts).level == step.level
            assert not [w for w in harsh if w in message.lower()]
            if step.days > 0:
                assert "If something is not right" in message
                assert SENDER.reply in message
            if step.days >= 7 and installment is None:
                assert "we can usually agree a plan" in message


def test_a_level_of_the_policys_own_speaks_mildly():
    policy = replace(EVERY_DAY, invoice_ladder=(Step("gentle", 1),))
    found = next_reminder("58", [an_open()], [], policy, after(1))
    assert "This may have slipped through." in text(found, "Brook Café", SENDER, after(1))


# Properties


@given(st.sets(st.integers(-5, 120), max_size=60), st.integers(0, 20))
def test_whatever_days_the_clock_runs_each_level_comes_once_in_order_and_apart(days, offset):
    first, second = an_open("1"), an_open("2", DUE + timedelta(offset))
    contacts: list[Contact] = []
    for day in sorted(days):
        for _ in range(2):  # two workers
            found = reminder([first, second], after(day), contacts)
            if found and not found.held_because:
                contacts.append(Contact(after(day), found.levels))
    dates = [c.date for c in contacts]
    assert len(set(dates)) == len(dates)
    for day in dates:
        assert sum(0 <= (day - d).days < 7 for d in dates) <= 2
    for key, document in (("1", first), ("2", second)):
        names = [c.levels[key] for c in contacts if key in c.levels]
        order = [s.level for s in POLICY.invoice_ladder]
        assert names == sorted(set(names), key=order.index)
        for contact in contacts:
            if key in contact.levels:
                step = POLICY.invoice_ladder[order.index(contact.levels[key])]
                assert (contact.date - document.due).days >= step.days


def test_no_other_step_comes_before_the_day_that_is_named():
    chance, named, far = random.Random(3), 0, 0
    for _ in range(300):
        days = sorted(chance.sample(range(-10, 70), chance.randint(1, 6)))
        ladder = tuple(Step(f"step {n}", day) for n, day in enumerate(days))
        policy = ReminderPolicy(invoice_ladder=ladder, per_week=chance.randint(1, 3))
        documents = [an_open(str(n), after(chance.randint(-80, 30))) for n in range(3)]
        contacts = [
            sent(chance.randint(-60, 0), chance.choice(ladder).level, str(chance.randint(0, 2)))
            for _ in range(chance.randint(0, 4))
        ]

        def decided(today, documents=documents, contacts=contacts, policy=policy):
            steps = [next_step(d, contacts, policy, today) for d in documents]
            if not any(steps):
                return None  # there is no message for anything to be said of
            return steps, [d.due <= today for d in documents], caps(contacts, policy, today)

        until = next_day(documents, contacts, policy, DUE, due=decided(DUE) is not None)
        assert until > DUE
        last = min((until - DUE).days, 120)
        assert all(decided(after(n)) == decided(DUE) for n in range(1, last))
        named += until < date.max and decided(until) != decided(DUE)
        far += until == date.max
    assert named > 150
    assert far > 5


def test_what_nobody_was_reminded_of_waits_for_no_step_after_the_first():
    assert next_day([an_open()], [], POLICY, after(-9), due=False) == after(-3)
    assert next_day([an_open()], [], POLICY, after(0), due=True) == after(3)
    assert next_day([an_open()], [], POLICY, after(3), due=True) == date.max
    assert next_day([an_open()], [sent(3, "check")], POLICY, after(4), due=False) == after(7)
