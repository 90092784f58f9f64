"""What a bookkeeper decided is kept, signed, and safe from two people saving at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy.engine import Engine

from connector import db
from connector.domain.policy import Answers, Basis, PlanPolicy
from connector.platforms import Clearing
from connector.practice import settings
from connector.practice.settings import Answer
from connector.record import audit
from tests.connector.conftest import NOON


def test_a_new_organization_is_in_preview_and_unanswered(engine: Engine, connection_id: str) -> None:
    with db.reading(engine) as tx:
        new = settings.load(tx, connection_id)
    assert not new.live
    assert new.answers.income_basis is Basis.UNKNOWN
    assert new.clearing == "auto"


def test_answers_are_signed_and_dated(engine: Engine, connection_id: str) -> None:
    with db.transaction(engine) as tx:
        settings.answer(
            tx, connection_id, income_basis="accrual", sales_tax_basis="none", who="J. Doe", now=NOON
        )
        kept = settings.load(tx, connection_id)
        lines = audit.of_connection(tx, connection_id)
    assert kept.answers == Answers(Basis.ACCRUAL, Basis.NONE)
    assert kept.income_basis == Answer(Basis.ACCRUAL, "J. Doe", NOON)
    assert lines[0].after == {"income_basis": "accrual", "sales_tax_basis": "none"}


def test_a_word_that_is_no_answer_changes_nothing(engine: Engine, connection_id: str) -> None:
    with db.transaction(engine) as tx:
        with pytest.raises(ValueError, match="answer accrual or cash"):
            settings.answer(tx, connection_id, income_basis="none", who="J. Doe", now=NOON)
        assert settings.load(tx, connection_id).income_basis is None


def test_the_second_of_two_people_saving_is_told(engine: Engine, connection_id: str) -> None:
    with db.transaction(engine) as tx:
        seen = settings.load(tx, connection_id)
        weekly = replace(seen.policy, plan=PlanPolicy(installments=4))
        settings.save_policy(tx, connection_id, weekly, revision=seen.revision, who="Ann", now=NOON)
        with pytest.raises(settings.EditedMeanwhile, match="Somebody else"):
            settings.save_policy(tx, connection_id, seen.policy, revision=seen.revision, who="Bo", now=NOON)
        assert settings.load(tx, connection_id).policy.plan.installments == 4


def test_what_the_ledger_says_of_the_clearing_account_is_in_nobodys_way(
    engine: Engine, connection_id: str
) -> None:
    """2026-11-22: it went through the same save as decisions, so a delivery could stop at "somebody else saved"."""
    found = Clearing("84", "1190", "Payment plan clearing")
    with db.transaction(engine) as tx:
        seen = settings.load(tx, connection_id)  # nobody saved anything yet
        for _ in range(2):
            settings.clearing_confirmed(tx, connection_id, settings.AUTO, found, NOON)
        assert settings.load(tx, connection_id) == replace(seen, clearing_found=found, clearing_seen_at=NOON)
        weekly = replace(seen.policy, plan=PlanPolicy(installments=4))
        settings.save_policy(tx, connection_id, weekly, revision=seen.revision, who="Ann", now=NOON)
        assert settings.load(tx, connection_id).clearing_found == found


def test_live_clearing_and_the_ledgers_own_reminders(engine: Engine, connection_id: str) -> None:
    found = Clearing("84", "1190", "Payment plan clearing", item_id="31")
    with db.transaction(engine) as tx:
        settings.set_live(tx, connection_id, True, who="Ann", now=NOON)
        settings.set_clearing(tx, connection_id, "1190", who="Ann", now=NOON)
        settings.clearing_confirmed(tx, connection_id, "1190", found, NOON)
        settings.set_ledger_reminders(tx, connection_id, "off", who="Ann", now=NOON)
        now = settings.load(tx, connection_id)
        assert (now.live, now.live_by, now.clearing, now.clearing_found) == (True, "Ann", "1190", found)
        assert now.ledger_reminders == "off"
        settings.set_clearing(tx, connection_id, "auto", who="Ann", now=NOON)
        settings.clearing_confirmed(tx, connection_id, "1190", found, NOON)  # asked before the other choice
        assert settings.load(tx, connection_id).clearing_found is None
        assert audit.verify(tx) == []
