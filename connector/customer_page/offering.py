"""A bookkeeper shows a draft, or new terms for a running plan, on the customer's own page.

What is shown is one version exactly as it stands: whoever changes it ends the offer, and an earlier yes with it.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy.engine import Connection

from connector.domain.refusals import Refusal
from connector.planning import objections, plans
from connector.planning.plans import PlanProblem, Record
from connector.practice import settings


def offer(
    tx: Connection,
    plan_id: str,
    *,
    alone: bool,
    revision: int,
    who: str,
    now: dt.datetime,
    today: dt.date,
) -> Record:
    """Show the version that waits for approval. `alone`: the customer's yes approves it, in the name of `who`.

    Raises PlanProblem, EditedMeanwhile when it is no longer at `revision`.
    """
    record = plans.get(tx, plan_id)
    if record.draft is None and record.state != "proposed":
        raise PlanProblem("NOT_PROPOSED", f"Plan {plan_id} is {record.state}; there is nothing to show.")
    if not settings.load(tx, record.connection_id).policy.page.on:
        raise PlanProblem("PAGE_OFF", "Switch the customer's page on in its settings first.")
    if found := against(tx, plan_id, today):
        raise PlanProblem(found[0].code, " ".join(f.sentence for f in found))
    said = {"by": who, "on": today.isoformat(), "alone": alone}
    return plans.offered(tx, plan_id, said, revision=revision, who=who, now=now)


def take_back(tx: Connection, plan_id: str, *, revision: int, who: str, now: dt.datetime) -> Record:
    """Show it no more; twice is harmless. A yes that was given meanwhile stays recorded. Raises EditedMeanwhile."""
    record = plans.get(tx, plan_id)
    if record.offered is None:
        return record
    return plans.offered(tx, plan_id, None, revision=revision, who=who, now=now)


def against(tx: Connection, plan_id: str, today: dt.date) -> list[Refusal]:
    """What would stop the approval today, but for the customer's own yes."""
    return [r for r in objections.refusals(tx, plan_id, today) if r.code != "CONSENT_NEEDED"]


def documents(record: Record) -> frozenset[str]:
    """The ledger's ids of all invoices of the plan and of what is proposed."""
    plan = record.draft or record.plan
    sources = {s.invoice_id for p in (plan, record.plan) for s in (*p.sources, *p.originals)}
    return frozenset(sources | {row.invoice_id for row in record.installments if row.invoice_id})
