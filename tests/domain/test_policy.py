"""Settings: what is refused hears a sentence, what is unknown is left alone."""

from datetime import date
from decimal import Decimal

import pytest

from connector.domain.codec import WrongValue
from connector.domain.policy import (
    Answers,
    Basis,
    FindingPolicy,
    InterestPolicy,
    PlanPolicy,
    Policy,
    ReminderPolicy,
    Step,
    load,
    minor,
)
from connector.domain.regions import region


def test_the_defaults_are_the_documented_ones():
    plan = Policy().plan
    assert (plan.soft_cap_months, plan.approval_cap_months, plan.hard_cap_months) == (6, 8, 12)
    assert plan.minimum(85000, "USD") == 4250
    assert plan.minimum(30000, "USD") == 2500
    assert plan.minimum(1000, "USD") == 1000
    assert plan.minimum(300, "JPY") == 25
    assert (plan.interest.annual_percent, plan.interest.clause) == (0, "")
    ladder = [(s.level, s.days) for s in Policy().reminders.invoice_ladder]
    assert ladder[:4] == [("friendly", -3), ("due", 0), ("check", 3), ("direct", 7)]


def test_amounts_take_the_decimals_of_the_currency():
    assert [minor(Decimal("25.00"), c) for c in ("USD", "JPY", "KWD")] == [2500, 25, 25000]
    assert minor(Decimal("0.5"), "JPY") == 1


def test_a_policy_survives_storage_and_keys_from_a_later_version():
    policy = Policy(plan=PlanPolicy(minimum_payment=Decimal("40.00")), country="GB-SCT")
    data = policy.to_json()
    assert load(data) == policy
    data["plan"]["from_the_future"] = 1
    data["unheard_of"] = {}
    assert load(data) == policy
    assert load({}) == Policy()
    assert data["reminders"]["weekdays"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("data", "field", "words"),
    [
        ({"plan": {"installments": 0}}, "plan.installments", "between 1 and 60"),
        ({"plan": {"installments": "3"}}, "plan.installments", "whole number"),
        ({"plan": {"installments": True}}, "plan.installments", "whole number"),
        ({"plan": {"minimum_payment": 25.0}}, "plan.minimum_payment", "written as text"),
        ({"plan": {"minimum_payment": "much"}}, "plan.minimum_payment", "a number such as 25.00"),
        ({"plan": {"minimum_payment": "NaN"}}, "plan.minimum_payment", "a number such as 25.00"),
        ({"plan": {"minimum_payment": "-1"}}, "plan.minimum_payment", "zero or more"),
        ({"plan": {"deposit_percent": "101"}}, "plan.deposit_percent", "between 0 and 100"),
        ({"plan": {"rhythm": "yearly"}}, "plan.rhythm", "one of week, 2weeks, month"),
        ({"plan": {"rhythm": 3}}, "plan.rhythm", "should be text"),
        ({"plan": {"mode": "mirror"}}, "plan.mode", "split, notes"),
        ({"plan": {"move_due_date": "yes"}}, "plan.move_due_date", "yes or no"),
        ({"plan": {"tolerance_days": 400}}, "plan.tolerance_days", "between 0 and 365"),
        ({"plan": {"broken_after_days": 2}}, "plan.broken_after_days", "tolerance"),
        ({"plan": {"soft_cap_months": 9}}, "plan.hard_cap_months", "should rise"),
        ({"plan": {"interest": {"annual_percent": "5"}}}, "plan.interest.clause", "clause of the contract"),
        (
            {"plan": {"interest": {"annual_percent": "5", "clause": "§7"}}},
            "plan.interest.cap",
            "highest yearly rate",
        ),
        (
            {"plan": {"interest": {"annual_percent": "19", "clause": "§7", "cap": "18"}}},
            "plan.interest.annual_percent",
            "above the cap",
        ),
        ({"plan": {"interest": {"cap": "200"}}}, "plan.interest.cap", "between 0 and 100"),
        ({"plan": {"interest": {"flat_percent": "-1"}}}, "plan.interest.flat_percent", "between 0 and 100"),
        ({"plan": []}, "plan", "group of settings"),
        ({"findings": {"grace_days": 91}}, "findings.grace_days", "between 0 and 90"),
        ({"findings": {"minimum_balance": "-1"}}, "findings.minimum_balance", "zero or more"),
        ({"reminders": {"per_day": 2}}, "reminders.per_day", "at most one"),
        ({"reminders": {"per_week": 8}}, "reminders.per_week", "between 0 and 7"),
        ({"reminders": {"weekdays": []}}, "reminders.weekdays", "at least one day"),
        ({"reminders": {"weekdays": [7]}}, "reminders.weekdays", "Monday is 0"),
        ({"reminders": {"weekdays": 1}}, "reminders.weekdays", "a list"),
        ({"reminders": {"to_hour": 22}}, "reminders.to_hour", "8:00 and 21:00"),
        ({"reminders": {"promise_grace_days": 31}}, "reminders.promise_grace_days", "between 0 and 30"),
        ({"reminders": {"max_sync_age_hours": 0}}, "reminders.max_sync_age_hours", "between 1 and 72"),
        (
            {"reminders": {"invoice_ladder": [{"level": "a", "days": 3}, {"level": "b", "days": 3}]}},
            "reminders.invoice_ladder",
            "after the one before",
        ),
        (
            {"reminders": {"invoice_ladder": [{"level": "a", "days": 3}, {"level": "a", "days": 4}]}},
            "reminders.invoice_ladder",
            "own name",
        ),
        (
            {"reminders": {"invoice_ladder": [{"level": "", "days": 3}]}},
            "reminders.invoice_ladder[1].level",
            "needs a name",
        ),
        ({"reminders": {"invoice_ladder": [{"days": 3}]}}, "reminders.invoice_ladder[1].level", "missing"),
        (
            {"reminders": {"invoice_ladder": [{"level": "a", "days": 900}]}},
            "reminders.invoice_ladder[1].days",
            "365",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_and_a_sentence(data, field, words):
    with pytest.raises(WrongValue) as caught:
        load(data)
    assert caught.value.field == field
    assert words in caught.value.sentence


def test_answers_are_known_only_when_both_are():
    assert not Answers().known
    assert not Answers(Basis.ACCRUAL).known
    assert Answers(Basis.ACCRUAL, Basis.NONE).known
    assert Answers(Basis.UNKNOWN, Basis.CASH).cash


def test_countries_differ():
    assert region("US").consumer_max_installments == 4
    assert region("gb-sct").installment == "Instalment"
    assert region("DE").consumer_needs_legal_review
    assert region("BE").einvoice_from == date(2026, 1, 1)
    assert region("GR").einvoice_from == date(2026, 3, 2)
    assert region("").installment == "Installment"


def test_records_check_themselves_wherever_they_are_made():
    for make in (
        lambda: FindingPolicy(grace_days=-1),
        lambda: InterestPolicy(warn_above=Decimal(101)),
        lambda: Step(" ", 0),
        lambda: ReminderPolicy(from_hour=12, to_hour=12),
    ):
        with pytest.raises(WrongValue):
            make()
