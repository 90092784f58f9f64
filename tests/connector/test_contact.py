"""The governor and the payer guard: one cap for everything, every reason said, and what releases it."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import db
from connector.contact import contacts, customer_time, holds, reminders
from connector.contact.reminders import Reminder
from connector.domain.codec import WrongValue
from connector.domain.policy import LetterPolicy, Mode, OwnText, PlanPolicy, Policy, ReminderPolicy
from connector.domain.receivables import Customer, Payment
from connector.mirroring import books, mirror
from connector.planning import drafting, plans
from connector.planning.plans import PlanProblem
from connector.platforms import Refused, TryLater
from connector.practice import settings
from connector.reviewing import conclusions
from tests.connector.fake_ledger import Killed
from tests.connector.plan_story import Story
from tests.connector.test_reminders import AT_TEN, DAY, TUESDAY, kept, reviewed, story

__all__ = ["story"]


def set_policy(story: Story, policy: Policy) -> None:
    with db.transaction(story.engine) as tx:
        revision = settings.load(tx, story.connection_id).revision
        settings.save_policy(tx, story.connection_id, policy, revision=revision, who="Ann", now=AT_TEN)


def had_policy(story: Story, policy: Policy) -> None:
    """As an earlier release, or a restored backup, may have left it: not refused at save."""
    set_policy(story, Policy())
    with db.transaction(story.engine) as tx:
        tx.execute(sa.update(db.settings).values(policy=policy.to_json()))


def go_to(story: Story, day: dt.date) -> None:
    story.today = day
    story.now = AT_TEN + dt.timedelta(days=(day - TUESDAY).days)


def held(story: Story, words: str) -> Reminder:
    """The one open reminder is held for this reason, and nothing reached the ledger."""
    (found,) = [r for r in reviewed(story) if r.state in reminders.OPEN]
    story.deliver()
    assert found.state == "held", found
    assert any(words in reason for reason in found.held_because), found.held_because
    assert story.ledger.remarks == {}
    return found


# ---------------------------------------------------------------- one cap for everything


def test_a_call_by_hand_counts_against_the_cap(story: Story) -> None:
    with db.transaction(story.engine) as tx:
        contacts.record(tx, story.connection_id, "58", "call", on=TUESDAY, who="Ann", now=AT_TEN)
    held(story, "heard from us today already")


def test_two_calls_in_a_week_are_enough(story: Story) -> None:
    with db.transaction(story.engine) as tx:
        for day in (19, 20):
            contacts.record(tx, story.connection_id, "58", "call", on=DAY(2026, 11, day), who="Ann", now=AT_TEN + dt.timedelta(seconds=day))  # fmt: skip
    held(story, "2 times within seven days; it can go from 2026-11-26")


def test_a_call_after_the_review_is_seen_at_the_last_look(story: Story) -> None:
    reviewed(story)
    with db.transaction(story.engine) as tx:
        contacts.record(tx, story.connection_id, "58", "call", on=TUESDAY, who="Ann", now=AT_TEN)
    story.deliver()
    assert story.ledger.remarks == {}
    assert "heard from us today already" in kept(story)[0].held_because[0]


def test_sub_customers_are_the_same_people(story: Story) -> None:
    story.ledger.customers["59"] = Customer("59", "Site B", parent_id="58")
    story.ledger.an_invoice("202", "59", DAY(2026, 10, 21), DAY(2026, 11, 20), 5000, number="2002")
    story.sync()
    reviewed(story)
    story.deliver()
    assert len(story.ledger.remarks) == 1  # the second would be a second message to the same people today
    states = sorted((r.customer_id, r.state) for r in kept(story))
    assert [s for _, s in states] in (["noted", "held"], ["held", "noted"])


def test_money_under_the_parents_name_holds_the_sub_customers_message(story: Story) -> None:
    story.ledger.customers["59"] = Customer("59", "Head office")
    story.ledger.customers["58"] = replace(story.ledger.customers["58"], parent_id="59")
    story.ledger.pay(None, 40000, TUESDAY, "59")
    story.sync()
    held(story, "400.00 USD is in the books but not matched")


def test_money_two_levels_above_holds_and_no_plan_asks_for_it_again(story: Story) -> None:
    """QuickBooks nests customers over four levels; the head office may have paid for the building site."""
    customers = story.ledger.customers
    customers["60"], customers["59"] = Customer("60", "Head office"), Customer("59", "Branch", parent_id="60")
    customers["58"] = replace(customers["58"], parent_id="59")
    story.ledger.pay(None, 40000, TUESDAY, "60")
    story.sync()
    held(story, "400.00 USD is in the books but not matched")
    with (
        pytest.raises(PlanProblem, match="Head office, to whom this customer belongs, has 400.00 USD"),
        db.transaction(story.engine) as tx,
    ):
        drafting.propose_plan(
            tx, story.connection_id, "58", ["201"], who="Ann", now=story.now, today=story.today
        )
    with db.reading(story.engine) as tx:
        families = books.families(tx, story.connection_id, ["58", "59", "60"])
    assert families == {"58": ["59", "60"], "59": ["58", "60"], "60": ["58", "59"]}


def test_money_in_another_currency_holds(story: Story) -> None:
    story.ledger.pay(None, 36000, TUESDAY, "58")
    story.ledger.received["p1"] = replace(story.ledger.received["p1"], currency="EUR")
    story.sync()
    held(story, "360.00 EUR is in the books but not matched to an invoice, and the message asks for USD")


def test_money_of_a_twin_record_holds_at_the_last_look(story: Story) -> None:
    """One customer entered twice: the payment stands under the other name, with the same address."""
    story.ledger.customers["58"] = replace(story.ledger.customers["58"], email="pat@brook.example")
    story.ledger.customers["61"] = Customer("61", "Brook Cafe Ltd", email="Pat@Brook.example")
    story.ledger.pay(None, 40000, TUESDAY, "61")
    story.sync()
    assert [r.state for r in reviewed(story)] == ["due"]
    story.deliver()
    (found,) = kept(story)
    assert found.state == "held"
    assert "400.00 USD of another customer with the same e-mail address" in found.held_because[0]
    assert story.ledger.remarks == {}


def test_money_of_a_twin_record_that_nobody_told_us_of_holds(story: Story) -> None:
    """The webhook of the payment was lost, and the books were not read since."""
    story.ledger.customers["58"] = replace(story.ledger.customers["58"], email="pat@brook.example")
    story.ledger.customers["61"] = Customer("61", "Brook Cafe Ltd", email="Pat@Brook.example")
    story.sync()
    assert [r.state for r in reviewed(story)] == ["due"]
    story.ledger.pay(None, 40000, TUESDAY, "61")
    story.deliver()
    (found,) = kept(story)
    assert "400.00 USD of another customer with the same e-mail address" in found.held_because[0]
    assert story.ledger.remarks == {}


def test_two_organizations_with_the_same_customer_are_two(story: Story, engine: Engine) -> None:
    """What another organization's customer of the same id, name and address paid concerns nobody here."""
    with db.transaction(engine) as tx:
        row = tx.execute(sa.select(db.connections)).mappings().one()
        other = dict(row) | {"id": "other", "external_id": "other-realm"}
        tx.execute(sa.insert(db.connections).values(**other))
        twin = tx.execute(sa.select(db.customers)).mappings().first()
        assert twin is not None
        tx.execute(sa.insert(db.customers).values(**dict(twin) | {"connection_id": "other"}))
        holds.put(tx, "other", "58", "insolvency", who="Ann", now=AT_TEN)
    assert [r.state for r in reviewed(story)] == ["due"]
    story.deliver()
    assert [r.state for r in kept(story)] == ["noted"]


def test_the_same_heard_twice_at_one_moment_is_kept_twice(story: Story) -> None:
    """Two people press at once: both stand in the record, and neither meets an error."""
    with db.transaction(story.engine) as tx:
        for note in ("by phone", "by e-mail"):
            contacts.hear(tx, story.connection_id, "58", "replied", on=TUESDAY, note=note, who="Ann", now=AT_TEN)  # fmt: skip
            contacts.record(tx, story.connection_id, "58", "call", on=TUESDAY, note=note, who="Ann", now=AT_TEN)  # fmt: skip
        assert [h.note for h in contacts.heard(tx, story.connection_id)] == ["by phone", "by e-mail"]
        assert len(reminders.contacts(reminders.of_customer(tx, story.connection_id, "58"))) == 2


def test_what_was_heard_takes_no_place_and_is_kept(story: Story) -> None:
    with db.transaction(story.engine) as tx:
        contacts.hear(tx, story.connection_id, "58", "extension_asked", on=TUESDAY, invoice_id="201", note="two weeks", who="Ann", now=AT_TEN)  # fmt: skip
        (signal,) = contacts.heard(tx, story.connection_id)
        with pytest.raises(ValueError, match="is not a signal"):
            contacts.hear(tx, story.connection_id, "58", "sulked", on=TUESDAY, who="Ann", now=AT_TEN)
    assert (signal.what, signal.invoice_id, signal.who) == ("extension_asked", "201", "Ann")
    reviewed(story)
    story.deliver()
    assert list(story.ledger.remarks) == ["201"]


# ---------------------------------------------------------------- promises, disputes, expected dates


def test_a_promise_pauses_and_resumes_by_itself(story: Story) -> None:
    with db.transaction(story.engine) as tx:
        holds.promise(tx, story.connection_id, "58", DAY(2026, 11, 27), who="Ann", now=AT_TEN)
    held(story, "It goes on after 2026-11-29 if the money is not there")
    go_to(story, DAY(2026, 12, 1))
    reviewed(story)
    story.deliver()
    assert list(story.ledger.remarks) == ["201"]


def test_a_promise_for_one_invoice_rests_that_one(story: Story) -> None:
    story.ledger.an_invoice("202", "58", DAY(2026, 10, 21), DAY(2026, 11, 20), 5000, number="2002")
    story.sync()
    with db.transaction(story.engine) as tx:
        holds.promise(tx, story.connection_id, "58", DAY(2026, 11, 27), invoice_id="201", who="Ann", now=AT_TEN)  # fmt: skip
    reviewed(story)
    story.deliver()
    assert list(story.ledger.remarks) == ["202"]


def test_a_part_that_was_promised_and_came_ends_the_pause(story: Story) -> None:
    with db.transaction(story.engine) as tx:
        holds.promise(tx, story.connection_id, "58", DAY(2026, 12, 4), invoice_id="201", amount=10000, currency="USD", who="Ann", now=AT_TEN)  # fmt: skip
    held(story, "is promised for 2026-12-04")
    story.ledger.pay("201", 10000, DAY(2026, 11, 25))
    go_to(story, DAY(2026, 11, 25))
    story.sync()
    reviewed(story)
    story.deliver()
    assert story.ledger.remarks["201"] == ["2026-11-25 Reminder (check): 300.00 USD due 2026-11-20."]


def test_a_date_that_the_ledger_expects_is_a_promise(story: Story) -> None:
    with db.transaction(story.engine) as tx:
        tx.execute(sa.update(db.invoices).values(expected_payment=DAY(2026, 12, 3)))
    held(story, "Payment of invoice 2001 is expected on 2026-12-03")


def test_when_all_rests_the_page_says_why(story: Story) -> None:
    with db.transaction(story.engine) as tx:
        holds.put(tx, story.connection_id, "58", "disputed", invoice_id="201", who="Ann", now=AT_TEN)
    held(story, "Invoice 2001: the invoice is in dispute. It goes on when the dispute is closed.")


# ---------------------------------------------------------------- a plan that waits for an answer


def test_an_ignored_draft_rests_reminders_for_a_week_and_is_then_offered(story: Story) -> None:
    set_policy(story, Policy(plan=PlanPolicy(propose_after_days=4)))
    held(story, "without an answer reminders go on from 2026-12-01, and offer a plan")
    go_to(story, DAY(2026, 12, 1))
    (due,) = reviewed(story)
    story.deliver()
    assert due.level == "check"  # the ladder itself speaks of a plan only from the next step on
    assert "If money is tight" in due.text
    assert list(story.ledger.remarks) == ["201"]


def test_a_draft_that_follows_the_books_does_not_begin_the_rest_anew(story: Story) -> None:
    set_policy(story, Policy(plan=PlanPolicy(propose_after_days=4)))
    held(story, "not yet answered")
    story.ledger.pay("201", 1000, DAY(2026, 11, 30))
    go_to(story, DAY(2026, 12, 2))
    story.sync()
    reviewed(story)
    story.deliver()
    with db.reading(story.engine) as tx:
        states = [r.state for r in plans.of_customer(tx, story.connection_id, "58")]
    assert states == ["withdrawn", "proposed"]
    assert list(story.ledger.remarks) == ["201"]


def test_a_person_who_changes_a_draft_has_a_week_of_their_own(story: Story) -> None:
    plan = story.propose("201")
    go_to(story, DAY(2026, 12, 8))
    with db.transaction(story.engine) as tx:
        touched = replace(plan.plan, drafted_on=DAY(2026, 12, 7))
        plans.edit(tx, plan.id, touched, revision=plan.revision, who="Ann", now=story.now)
    held(story, "reminders go on from 2026-12-14")


# ---------------------------------------------------------------- hours and holidays of the customer


@pytest.mark.parametrize(
    ("country", "hour_utc", "leaves"),
    [
        ("", 15, True),  # ten in New York
        ("DE", 15, False),  # four in the afternoon in Berlin
        ("DE", 9, True),  # ten in Berlin, four in the morning in New York
        ("NZ", 22, False),  # already Wednesday in Auckland, but eleven o'clock is over
    ],
)
def test_the_hour_is_the_customers(story: Story, country: str, hour_utc: int, leaves: bool) -> None:
    story.ledger.customers["58"] = replace(story.ledger.customers["58"], country=country)
    story.sync()
    reviewed(story)
    story.now = AT_TEN.replace(hour=hour_utc)
    story.deliver()
    assert bool(story.ledger.remarks) == leaves


def test_a_holiday_of_the_customers_country_holds(story: Story) -> None:
    story.ledger.customers["58"] = replace(story.ledger.customers["58"], country="JP")
    story.sync()
    go_to(story, DAY(2026, 11, 3))  # Culture Day, a Tuesday
    story.ledger.documents["201"] = replace(story.ledger.documents["201"], due=DAY(2026, 10, 28))
    story.sync()
    held(story, "Messages leave on other days; it goes on Wednesday, 2026-11-04.")


def test_zones_come_from_the_time_zone_database() -> None:
    zone = customer_time.zone_of
    assert str(zone("FR", "US", "America/Denver")) == "Europe/Paris"
    assert str(zone("US", "US", "America/Denver")) == "America/Denver"
    assert str(zone("AU", "US", "America/Denver")) == "Australia/Sydney"
    assert str(zone("", "US", "America/Denver")) == "America/Denver"
    assert str(zone("XX", "US", "America/Denver")) == "America/Denver"


# ---------------------------------------------------------------- the last look


def test_a_deposit_that_only_a_pull_brings_holds_at_the_last_look_too(story: Story) -> None:
    reviewed(story)
    deposit = Payment("d1", "58", TUESDAY, "USD", 40000, 40000, flavor="deposit")
    with db.transaction(story.engine) as tx:
        tx.execute(
            sa.insert(db.payments).values(
                connection_id=story.connection_id,
                id=deposit.id,
                customer_id="58",
                date=TUESDAY,
                currency="USD",
                amount=40000,
                unapplied=40000,
                flavor="deposit",
                seen=1,
            )
        )
    story.deliver()
    assert story.ledger.remarks == {}
    assert "not matched" in kept(story)[0].held_because[0]


def test_the_ledgers_own_balance_does_not_agree(story: Story) -> None:
    reviewed(story)
    story.ledger.customers["58"] = replace(story.ledger.customers["58"], ledger_balance={"USD": 0})
    story.deliver()
    assert story.ledger.remarks == {}
    assert "The ledger says 0.00 USD is open, our copy says 400.00 USD" in kept(story)[0].held_because[0]


def test_a_head_offices_payment_may_have_stayed_in_its_own_balance(story: Story) -> None:
    """Whose balance it lowers no contract says: the reminder about what the branch still owes goes out either way."""
    customers = story.ledger.customers
    customers["59"] = Customer("59", "Head office")
    customers["58"] = replace(customers["58"], parent_id="59")
    story.ledger.pay("201", 10000, TUESDAY)
    (paid,) = story.ledger.received.values()
    story.ledger.received[paid.id] = replace(paid, customer_id="59")
    story.sync()
    reviewed(story)
    customers["58"] = replace(customers["58"], ledger_balance={"USD": 40000})  # the invoices, as they were
    story.deliver()
    assert len(story.ledger.remarks) == 1


def test_what_needs_no_call_is_asked_before_the_ledger(story: Story) -> None:
    reviewed(story)
    with db.transaction(story.engine) as tx:
        holds.put(tx, story.connection_id, "58", "opt_out", who="Ann", now=AT_TEN)
    story.ledger.calls.clear()
    story.deliver()
    assert story.ledger.calls == []


def test_one_reminder_costs_two_reads_and_its_note(story: Story) -> None:
    reviewed(story)
    story.ledger.calls.clear()
    story.deliver()
    assert story.ledger.calls[:3] == ["customer", "customer_money", "add_note"]
    assert len(story.ledger.calls) <= 5  # some ledgers give the invoice a new version, which is read back
    assert story.ledger.calls[-1] == "pay_link"


def test_where_an_invoice_is_paid_is_asked_when_its_customer_hears_of_it_and_kept(story: Story) -> None:
    story.ledger.pay_links = {id: f"https://pay.example/{id}" for id in story.ledger.documents}
    reviewed(story)
    story.deliver()
    story.sync()
    with db.reading(story.engine) as tx:
        links = {i.id: i.pay_link for i in books.invoices(tx, story.connection_id, "58")}
    [reminded] = {a.invoice_id for a in kept(story)[0].invoices}
    assert links[reminded] == f"https://pay.example/{reminded}"
    assert set(links.values()) <= {"", links[reminded]}  # the others cost no call


def test_the_words_are_those_of_the_day_on_which_they_leave(story: Story) -> None:
    reviewed(story)
    go_to(story, DAY(2026, 11, 25))
    with db.transaction(story.engine) as tx:
        tx.execute(sa.update(db.connections).values(last_sync_at=story.now))
    story.deliver()
    (noted,) = kept(story)
    assert "due November 20, 2026 (5 days ago)" in noted.text


# ---------------------------------------------------------------- words


def test_a_text_that_fails_the_check_holds_with_its_sentence(story: Story) -> None:
    own = OwnText("en-US", "check", "default", "Pay {amount} or we will sue you.")
    unfit = Policy(letters=LetterPolicy(person="Jo", own=(own,)))
    with pytest.raises(WrongValue, match="Customers would read “Pay {amount} or we will sue you.”"):
        set_policy(story, unfit)
    had_policy(story, unfit)
    found = held(story, "It says: “Pay 400.00 USD or we will sue you.”")
    assert "no step of your policy takes any" in found.held_because[0]
    go_to(story, DAY(2026, 11, 25))  # the same words, a day older
    assert held(story, "or we will sue you").text.count("(5 days ago)") == 1
    set_policy(story, Policy(letters=LetterPolicy(person="Jo")))
    assert [r.state for r in reviewed(story)] == ["due"]


def test_how_to_pay_is_read_by_customers_too(story: Story) -> None:
    kind = LetterPolicy(how_to_pay="Bank transfer to IBAN DE89 3704 0044 0532 0130 00, BIC COBADEFFXXX")
    set_policy(story, Policy(letters=kind))
    harsh = Policy(letters=LetterPolicy(how_to_pay="Pay at once or our lawyer will call"))
    with pytest.raises(WrongValue, match="or our lawyer will call"):
        set_policy(story, harsh)
    had_policy(story, harsh)
    held(story, "Pay at once or our lawyer will call")


def test_a_text_with_an_unknown_field_holds(story: Story) -> None:
    own = OwnText("en-US", "check", "default", "Dear {nickname}, please look.")
    set_policy(story, Policy(letters=LetterPolicy(own=(own,))))
    held(story, "{nickname} is not a field")


def test_a_customers_language_is_spoken(story: Story) -> None:
    story.ledger.customers["58"] = replace(story.ledger.customers["58"], language="de-DE")
    story.sync()
    (due,) = reviewed(story)
    assert "Rechnung 2001: 400,00 USD, fällig am 20. November 2026 (vor 4 Tagen)." in due.text


# ---------------------------------------------------------------- steps of a person, and e-mail


def test_the_final_step_waits_for_a_person_and_then_leaves(story: Story) -> None:
    set_policy(story, Policy(plan=PlanPolicy(propose_after_days=90)))
    story.ledger.documents["201"] = replace(story.ledger.documents["201"], due=DAY(2026, 10, 20))
    story.sync()
    with db.transaction(story.engine) as tx:
        for n, level in enumerate(("check", "direct", "firm")):
            tx.execute(
                sa.insert(db.reminders).values(
                    connection_id=story.connection_id, customer_id="58", level=level, cycle="201",
                    due_on=DAY(2026, 10, 23 + n), reached_on=DAY(2026, 10, 23 + n), state="noted",
                    invoices=[{"key": "201", "id": "201", "number": "2001", "amount": 40000, "currency": "USD",
                               "due": "2026-10-20", "level": level}],
                    held_because=[], created_at=AT_TEN, updated_at=AT_TEN,
                )
            )  # fmt: skip
    final = held(story, "This step needs a person")
    with db.transaction(story.engine) as tx:
        reminders.release(tx, final.id, who="Ann", now=AT_TEN)
    reviewed(story)
    story.deliver()
    assert story.ledger.remarks["201"] == ["2026-11-24 Reminder (final): 400.00 USD due 2026-10-20."]


@pytest.fixture
def mailing(story: Story) -> Story:
    story.ledger.customers["58"] = replace(story.ledger.customers["58"], email="pay@fern.example")
    story.sync()
    set_policy(story, Policy(reminders=ReminderPolicy(email=True)))
    return story


def test_an_e_mail_leaves_once_and_only_where_the_policy_says_so(mailing: Story) -> None:
    for _ in range(3):
        reviewed(mailing)
        mailing.deliver()
    assert mailing.ledger.calls.count("send") == 1
    assert [r.state for r in kept(mailing)] == ["sent"]


def test_without_the_policys_word_or_an_address_there_is_no_e_mail(story: Story) -> None:
    reviewed(story)
    story.deliver()
    assert "send" not in story.ledger.calls
    assert [r.state for r in kept(story)] == ["noted"]


@pytest.mark.parametrize("fault", [Killed(), TryLater("No answer.", uncertain=True)])
def test_an_e_mail_without_an_answer_is_never_sent_twice(mailing: Story, fault: BaseException) -> None:
    reviewed(mailing)

    def lose(call: str) -> None:
        if call == "send":
            raise fault

    mailing.ledger.calls.clear()
    mailing.ledger.after_call = lose
    with contextlib.suppress(Killed):
        mailing.deliver()
    assert [r.state for r in kept(mailing)] == ["due"]
    mailing.ledger.after_call = None
    for _ in range(3):
        mailing.now += dt.timedelta(minutes=5)
        mailing.deliver()
    assert mailing.ledger.calls.count("send") == 1
    assert [r.state for r in kept(mailing)] == ["sent"]


# ---------------------------------------------------------------- at most once


def test_two_processes_at_once_say_it_once(story: Story) -> None:
    reviewed(story)
    workers = [threading.Thread(target=story.deliver) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert story.ledger.remarks["201"] == ["2026-11-24 Reminder (check): 400.00 USD due 2026-11-20."]


def test_the_ledger_is_away_for_a_while(story: Story) -> None:
    reviewed(story)
    story.ledger.refuse["customer_money"] = TryLater("Busy.")
    story.deliver()
    assert story.ledger.remarks == {}
    del story.ledger.refuse["customer_money"]
    story.deliver()
    assert list(story.ledger.remarks) == ["201"]


def test_a_customer_whom_nobody_can_read_is_held_and_stops_no_other(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.ledger.an_invoice("202", "59", DAY(2026, 10, 20), DAY(2026, 11, 20), 30000, number="2002")
    story.sync()
    reviewed(story)
    customer = story.ledger.customer

    def one_is_odd(id: str) -> Customer | None:
        if id == "58":
            raise Refused("The ledger answered a record that Forbear cannot read.", code="UNREADABLE_RECORD")
        return customer(id)

    monkeypatch.setattr(story.ledger, "customer", one_is_odd)
    story.deliver()
    assert list(story.ledger.remarks) == ["202"]
    assert {r.customer_id: (r.state, r.held_because) for r in kept(story)} == {
        "58": ("held", ("The ledger answered a record that Forbear cannot read.",)),
        "59": ("noted", ()),
    }


def test_nobody_said_whether_the_ledger_reminds(engine: Engine, story: Story) -> None:
    with db.transaction(engine) as tx:
        tx.execute(sa.update(db.settings).values(ledger_reminders=None))
    held(story, "Nobody has said whether the ledger sends reminders of its own")


def test_a_notes_plan_over_two_invoices_asks_for_each_payment_once(story: Story) -> None:
    story.ledger.an_invoice("202", "58", DAY(2026, 10, 21), DAY(2026, 11, 20), 20000, number="2002")
    story.sync()
    plan = story.propose("201", "202", mode=Mode.NOTES)  # 600.00 in three payments of 200.00
    story.approve(plan.id)
    story.deliver()
    go_to(story, DAY(2026, 12, 18))
    story.sync()
    (due,) = [r for r in reviewed(story) if r.state in reminders.OPEN]
    assert sum(a.amount for a in due.invoices) == 20000
    assert due.level == "installment_friendly"


def test_asking_for_more_time_twice_is_a_finding(story: Story) -> None:
    with db.transaction(story.engine) as tx:
        for day in (10, 20):
            contacts.hear(tx, story.connection_id, "58", "extension_asked", on=DAY(2026, 11, day), who="Ann", now=AT_TEN + dt.timedelta(seconds=day))  # fmt: skip
    reviewed(story)
    with db.reading(story.engine) as tx:
        found = conclusions.of_customer(tx, story.connection_id, "58")
    assert found is not None
    assert "asks_for_time" in {f.kind for f in found.findings}


def test_other_contact_details_in_the_ledger_are_a_signal(story: Story) -> None:
    def moves(**details: str) -> set[str]:
        story.ledger.customers["58"] = replace(story.ledger.customers["58"], **details)
        found: set[str] = set()
        with db.transaction(story.engine) as tx:
            for batch in story.ledger.pull(None):
                mirror.store(tx, story.connection_id, batch, 1, moved=found)
            contacts.moved(tx, story.connection_id, found, on=story.today, now=story.now)
        reviewed(story)
        with db.reading(story.engine) as tx:
            concluded = conclusions.of_customer(tx, story.connection_id, "58")
        assert concluded is not None
        return {f.kind for f in concluded.findings}

    assert "details_changed" not in moves(
        email="pat@brook.example", phone="555 0100"
    )  # known now, not changed
    assert "details_changed" not in moves(name="Brook Cafe Ltd")
    assert "details_changed" in moves(phone="555 0199")
    with db.reading(story.engine) as tx:
        [heard] = contacts.heard(tx, story.connection_id)
    assert (heard.what, heard.note) == ("details_changed", "In the ledger")
