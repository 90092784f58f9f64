"""An organization's answers and policy without a browser."""

from __future__ import annotations

import argparse
import datetime as dt
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from connector.commands import shell

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection as Transaction

    from connector.domain.policy import Policy


def add(commands: shell.Commands) -> None:
    parser = shell.command(
        commands, "configure", _configure, "show or change an organization's answers and policy"
    )
    parser.add_argument("--connection", metavar="ID", help="needed when there are several organizations")
    parser.add_argument("--income-basis", choices=["accrual", "cash"])
    parser.add_argument("--sales-tax-basis", choices=["accrual", "cash", "none"])
    parser.add_argument("--clearing", metavar="auto|CODE", help="the clearing account of plans")
    parser.add_argument("--mode", choices=["auto", "split", "notes"], help="how plans are written by default")
    parser.add_argument("--ledger-reminders", choices=["on", "off"], help="does the ledger send reminders?")
    parser.add_argument("--installments", type=int, metavar="N", help="usual number of installments")
    parser.add_argument("--every", choices=shell.EVERY, help="usual rhythm")
    parser.add_argument(
        "--propose-after", type=int, metavar="DAYS", help="days overdue before a plan is drafted"
    )
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="any rule of plans, e.g. interest_account=270, interest.clause=...; or of charges, reminders, letters, "
        "findings and the customer's page with that word in front: charges.early_percent=2, page.on=true",
    )
    live = parser.add_mutually_exclusive_group()
    live.add_argument("--go-live", action="store_true", help="reminders may leave from now on")
    live.add_argument("--preview", action="store_true", help="nothing leaves any more")
    parser.add_argument("--by", metavar="NAME", default=shell.user(), help="who decides; kept in the log")
    parser.add_argument("--json", action="store_true")


def _configure(options: argparse.Namespace) -> int:
    from connector import db, platforms
    from connector.connecting import connections
    from connector.practice import settings

    config, engine = shell.opened()
    found = shell.connections_meant(engine, options.connection, connected=False)
    if len(found) > 1:
        listed = "; ".join(f"{c.id} is {c.organization} ({c.platform})" for c in found)
        raise shell.Wrong(f"Say which organization with --connection: {listed}.")
    connection = found[0]
    ledger = platforms.find(connection.platform, config).label
    with db.transaction(engine) as tx:
        _decide(tx, connection.id, options, connections.today(connection, config))
        why_not = (
            settings.chased_twice(settings.load(tx, connection.id), connection, ledger)
            if options.go_live
            else ""
        )
        if not why_not and (options.go_live or options.preview):
            settings.set_live(tx, connection.id, options.go_live, who=options.by, now=db.now())
        kept = settings.load(tx, connection.id)
    if why_not:
        raise shell.Wrong(
            f"Not live yet: {why_not} With --ledger-reminders off you say that they are off. "
            "Anything else that you said is kept."
        )
    shown = _settings_json(connection.id, kept)
    if options.json:
        print(json.dumps(shown, indent=1))
        return 0
    print(f"{connection.organization} ({connection.platform}, {connection.id})")
    for name, value in shown.items():
        if name not in ("connection", "policy"):
            print(f"  {name.replace('_', ' ')}: {_shown(value)}")
    plan = kept.policy.plan
    print(f"  usual plan: {plan.installments} x every {plan.rhythm}, mode {plan.mode or 'by the books'}")
    return 0


def _decide(tx: Transaction, connection_id: str, options: argparse.Namespace, today: dt.date) -> None:
    """Keep the answers and the policy that the options name."""
    from dataclasses import replace

    from connector import db
    from connector.domain.calendar import Rhythm
    from connector.practice import settings

    id, who, now = connection_id, options.by, db.now()
    if options.income_basis or options.sales_tax_basis:
        settings.answer(
            tx,
            id,
            income_basis=options.income_basis,
            sales_tax_basis=options.sales_tax_basis,
            who=who,
            now=now,
        )
    if options.clearing:
        settings.set_clearing(tx, id, options.clearing, who=who, now=now)
    if options.ledger_reminders:
        settings.set_ledger_reminders(tx, id, options.ledger_reminders, who=who, now=now)
    named = {
        "mode": {"auto": ""}.get(options.mode, options.mode),
        "installments": options.installments,
        "rhythm": Rhythm(options.every) if options.every else None,
        "propose_after_days": options.propose_after,
    }
    changes: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if changes or options.set:
        kept = settings.load(tx, id)
        policy = with_rules(replace(kept.policy, plan=replace(kept.policy.plan, **changes)), options.set)
        policy = replace(policy, page=policy.page.measured_from(kept.policy.page, today))
        settings.save_policy(tx, id, policy, revision=kept.revision, who=who, now=now)


def with_rules(policy: Policy, wanted: Sequence[str]) -> Policy:
    """The policy with the rules of plans that were named. Raises Wrong, WrongValue."""
    from connector.domain import policy as rules

    data = policy.to_json()
    for one in wanted:
        name, equals, value = one.partition("=")
        name = name.strip()
        whole = name.partition(".")[0] in ("charges", "reminders", "letters", "findings", "page")
        *groups, last = (name if whole else f"plan.{name}").split(".")
        place: Any = data
        for group in groups:
            place = place.get(group) if isinstance(place, dict) else None
        if not equals or not isinstance(place, dict) or last not in place:
            raise shell.Wrong(
                f"There is no rule {name!r}. `forbear configure --json` shows them all under policy, plan."
            )
        kept = place[last]
        if isinstance(kept, bool):
            place[last] = value == "true"
        elif isinstance(kept, list):
            place[last] = _listed(name, value)
        elif isinstance(kept, int):
            place[last] = int(value) if value.lstrip("-").isdigit() else value
        else:
            place[last] = value
    return rules.load(data)


def _listed(name: str, value: str) -> list[Any]:
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise shell.Wrong(
            f"{name} is a list. Write it as JSON; `forbear configure --json` shows the present one."
        )
    return found


def _settings_json(id: str, kept: Any) -> dict[str, Any]:
    def answer(given: Any) -> dict[str, str] | None:
        return {"value": str(given.value), "by": given.by, "at": given.at.isoformat()} if given else None

    return {
        "connection": id,
        "income_basis": answer(kept.income_basis),
        "sales_tax_basis": answer(kept.sales_tax_basis),
        "clearing": kept.clearing,
        "mode": kept.policy.plan.mode or "auto",
        "ledger_reminders": kept.ledger_reminders,
        "live": kept.live,
        "policy": kept.policy.to_json(),
    }


def _shown(value: Any) -> str:
    if value is None:
        return "not answered"
    if isinstance(value, dict):
        return f"{value['value']}, said {value['by']} on {value['at'][:10]}"
    if isinstance(value, bool):
        return "yes" if value else "no (preview)"
    return str(value)
