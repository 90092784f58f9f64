"""What a bookkeeper decided for one organization: the policy, the two accounting answers, clearing, live or preview.

Until somebody saves, an organization has the defaults: preview (nothing leaves), notes only (no answers).
Every change is in the audit log with its author, before and after.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError

from connector import db
from connector.config import Config
from connector.connecting import connections
from connector.db import settings
from connector.domain import free_words
from connector.domain import policy as rules
from connector.domain.money import Money
from connector.domain.policy import Answers, Basis, Policy
from connector.platforms import Clearing, Refused
from connector.record import audit
from connector.writing import outbox

AUTO = "auto"
_DEFAULTS: dict[str, Any] = {"policy": Policy().to_json(), "clearing": AUTO, "live": False}


class EditedMeanwhile(Exception):
    """Somebody else saved first. `str()` says to look at their version and save again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An accounting answer, signed and dated. `value` is accrual, cash, or (sales tax only) none."""

    value: Basis
    by: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Settings:
    """`clearing` is "auto" or an account's code; `revision` is what a save must quote."""

    connection_id: str
    policy: Policy = Policy()
    income_basis: Answer | None = None
    sales_tax_basis: Answer | None = None
    clearing: str = AUTO
    clearing_found: Clearing | None = None
    clearing_seen_at: dt.datetime | None = None  # when the ledger last confirmed it
    live: bool = False
    live_by: str = ""
    live_at: dt.datetime | None = None
    ledger_reminders: str | None = None  # "on" or "off": what the bookkeeper said of the ledger's own
    revision: int = 0

    @property
    def answers(self) -> Answers:
        """The two answers as the domain wants them."""
        return Answers(
            income_basis=self.income_basis.value if self.income_basis else Basis.UNKNOWN,
            sales_tax_basis=self.sales_tax_basis.value if self.sales_tax_basis else Basis.UNKNOWN,
        )


def load(tx: Connection, connection_id: str) -> Settings:
    """The settings; the defaults when nobody saved any."""
    return of(tx, [connection_id])[connection_id]


def of(tx: Connection, connection_ids: Collection[str]) -> dict[str, Settings]:
    """The same of several organizations."""
    rows = tx.execute(sa.select(settings).where(db.among(tx, settings.c.connection_id, connection_ids)))
    found = {row.connection_id: _settings(row) for row in rows}
    return {id: found.get(id) or Settings(id) for id in connection_ids}


def _settings(row: Any) -> Settings:
    return Settings(
        connection_id=row.connection_id,
        policy=rules.load(row.policy),
        income_basis=_answer(row.income_basis, row.income_basis_by, row.income_basis_at),
        sales_tax_basis=_answer(row.sales_tax_basis, row.sales_tax_basis_by, row.sales_tax_basis_at),
        clearing=row.clearing or AUTO,
        clearing_found=_clearing(row.clearing_found),
        clearing_seen_at=_seen_at(row.clearing_found),
        live=row.live,
        live_by=row.live_by or "",
        live_at=row.live_at,
        ledger_reminders=row.ledger_reminders,
        revision=row.revision,
    )


def answer(
    tx: Connection,
    connection_id: str,
    *,
    who: str,
    now: dt.datetime,
    income_basis: str | None = None,
    sales_tax_basis: str | None = None,
) -> Settings:
    """Sign one or both accounting answers. Raises ValueError for a word that is no answer."""
    values: dict[str, Any] = {}
    for name, word, allowed in (
        ("income_basis", income_basis, (Basis.ACCRUAL, Basis.CASH)),
        ("sales_tax_basis", sales_tax_basis, (Basis.ACCRUAL, Basis.CASH, Basis.NONE)),
    ):
        if word is None:
            continue
        if word not in allowed:
            raise ValueError(
                f"{word!r} is no answer to {name.replace('_', ' ')}; answer {' or '.join(allowed)}."
            )
        values |= {name: str(word), f"{name}_by": who, f"{name}_at": now}
    before = load(tx, connection_id)
    shown: dict[str, Any] = {
        name: values[name] for name in ("income_basis", "sales_tax_basis") if name in values
    }
    return _save(tx, before, values, who, now, "answered how the books are reported", shown)


def save_policy(
    tx: Connection, connection_id: str, policy: Policy, *, revision: int, who: str, now: dt.datetime
) -> Settings:
    """Save the policy. `revision` is the one it was edited from.

    Raises EditedMeanwhile, and WrongValue for words that customers would read and that may not be said.
    """
    before = load(tx, connection_id)
    if before.revision != revision:
        raise EditedMeanwhile(
            "Somebody else changed these settings while you were editing. Look at their version and save again."
        )
    free_words.refuse(before.policy, policy)
    return _save(tx, before, {"policy": policy.to_json()}, who, now, "changed the policy", policy.to_json())


def set_clearing(tx: Connection, connection_id: str, account: str, *, who: str, now: dt.datetime) -> Settings:
    """Choose the clearing account: "auto", or an account's code or id. It is checked against the ledger when used."""
    before = load(tx, connection_id)
    values = {"clearing": account.strip() or AUTO, "clearing_found": None}
    return _save(tx, before, values, who, now, "chose the clearing account", {"clearing": values["clearing"]})


def clearing_confirmed(
    tx: Connection,
    connection_id: str,
    chosen: str,
    found: Clearing,
    now: dt.datetime,
    *,
    who: str = audit.SYSTEM,
) -> None:
    """Remember what the ledger answered for the `chosen` clearing account, and when; no decision, so no new
    revision, and never in the way of somebody who saves. Where somebody chose another one while the ledger was
    asked, theirs stands, and is asked about next.
    """
    before = load(tx, connection_id)
    found = replace(found, balance=None)
    kept = asdict(found) | {_SEEN: now.isoformat()}
    _first(tx, connection_id, who, now)
    chosen_still = sa.and_(settings.c.connection_id == connection_id, settings.c.clearing == chosen)
    if not tx.execute(sa.update(settings).where(chosen_still).values(clearing_found=kept)).rowcount:
        return
    if before.clearing_found != found:
        shown = {"account": found.code or found.name}
        audit.record(
            tx,
            who=who,
            what="confirmed the clearing account",
            connection_id=connection_id,
            subject="settings",
            before={"account": None},
            after=shown,
            now=now,
        )


def _first(tx: Connection, connection_id: str, who: str, now: dt.datetime) -> None:
    """The defaults as a row of their own, where nobody saved anything yet."""
    insert = (postgresql if tx.dialect.name == "postgresql" else sqlite).insert(settings)
    values = {"connection_id": connection_id, "revision": 0, "updated_by": who, "updated_at": now}
    tx.execute(insert.values(**_DEFAULTS, **values).on_conflict_do_nothing())


def clearing_doubted(tx: Connection, connection_id: str) -> None:
    """The ledger refused a plan: what it said of the clearing account before may not hold any more."""
    if found := load(tx, connection_id).clearing_found:
        where = settings.c.connection_id == connection_id
        tx.execute(sa.update(settings).where(where).values(clearing_found=asdict(found)))


def find_clearing(engine: Engine, config: Config, connection_id: str, *, who: str) -> Clearing:
    """Ask the ledger for the chosen clearing account now; it is made where it may be. A network call.

    Raises the four errors of the port: Refused says why the account cannot serve.
    """
    with db.reading(engine) as tx:
        chosen = load(tx, connection_id).clearing
        today = connections.today(connections.get(tx, connection_id), config)
    ledger = connections.open_ledger(engine, config, connection_id)
    found = ledger.clearing(None if chosen == AUTO else chosen, today)
    with db.transaction(engine) as tx:
        if problem := occupied(tx, connection_id, found):
            raise Refused(problem, code="CLEARING_INVALID")
        clearing_confirmed(tx, connection_id, chosen, found, db.now(), who=who)
    return found


def occupied(tx: Connection, connection_id: str, found: Clearing) -> str:
    """Why the account may not serve although it could: something stands on it before the first plan; "" when nothing.

    Only a ledger that tells an account's balance can be asked (CLEARING_INVALID).
    """
    if not found.balance or outbox.posted_through(tx, connection_id, found.account_id):
        return ""
    home = connections.get(tx, connection_id).home_currency
    return (
        f"The account {found.name} holds {Money(found.balance, home)} before the first plan, and has to stand at zero. "
        "Clear it in the ledger, choose another account in the settings, or use notes-only."
    )


def unseen(tx: Connection, connection_id: str, found: Clearing) -> bool:
    """Whether nobody can say what stood on the account before the first plan: the ledger does not tell."""
    return found.balance is None and not outbox.posted_through(tx, connection_id, found.account_id)


def set_live(tx: Connection, connection_id: str, live: bool, *, who: str, now: dt.datetime) -> Settings:
    """Go live: reminders may leave. Or back to preview: nothing leaves any more."""
    before = load(tx, connection_id)
    values = {"live": live, "live_by": who, "live_at": now}
    return _save(
        tx, before, values, who, now, "went live" if live else "went back to preview", {"live": live}
    )


def chased_twice(decided: Settings, connection: connections.Connection, ledger: str) -> str:
    """Why nobody may go live yet for the sake of the ledger's own reminders; "" when they are known to be off.

    `ledger` is its name. What it tells itself counts more than what somebody said of it.
    """
    known = connection.facts.reminders_on if connection.facts else None
    if known:
        return f"Switch off {ledger}'s own reminders, so that nobody is asked twice."
    if known is None and decided.ledger_reminders is None:
        return "Say whether the ledger sends reminders of its own."
    if known is None and decided.ledger_reminders == "on":
        return "Switch off the ledger's own reminders, then say so here, so that nobody is asked twice."
    return ""


def set_ledger_reminders(
    tx: Connection, connection_id: str, value: str, *, who: str, now: dt.datetime
) -> Settings:
    """What the bookkeeper says of the reminders that the ledger itself sends: "on" or "off"."""
    if value not in ("on", "off"):
        raise ValueError(f"{value!r} is no answer about the ledger's own reminders; answer on or off.")
    before = load(tx, connection_id)
    return _save(
        tx,
        before,
        {"ledger_reminders": value},
        who,
        now,
        "said whether the ledger sends reminders",
        {"ledger_reminders": value},
    )


def _save(
    tx: Connection,
    before: Settings,
    values: dict[str, Any],
    who: str,
    now: dt.datetime,
    what: str,
    after: dict[str, Any],
) -> Settings:
    values = values | {"revision": before.revision + 1, "updated_by": who, "updated_at": now}
    where = sa.and_(settings.c.connection_id == before.connection_id, settings.c.revision == before.revision)
    if not tx.execute(sa.update(settings).where(where).values(**values)).rowcount:
        try:
            tx.execute(sa.insert(settings).values(connection_id=before.connection_id, **(_DEFAULTS | values)))
        except IntegrityError:
            raise EditedMeanwhile("Somebody else saved these settings a moment ago. Try again.") from None
    shown = {key: _shown(before, key) for key in after} if "policy" not in values else before.policy.to_json()
    audit.record(
        tx,
        who=who,
        what=what,
        connection_id=before.connection_id,
        subject="settings",
        before=shown,
        after=after,
        now=now,
    )
    return load(tx, before.connection_id)


def _shown(before: Settings, key: str) -> Any:
    value = getattr(before, key, None)
    return str(value.value) if isinstance(value, Answer) else value


_SEEN = "seen_at"  # beside the account's own facts in the column


def _clearing(stored: dict[str, Any] | None) -> Clearing | None:
    return Clearing(**{k: v for k, v in stored.items() if k != _SEEN}) if stored else None


def _seen_at(stored: dict[str, Any] | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(stored[_SEEN]) if stored and _SEEN in stored else None


def _answer(value: str | None, by: str | None, at: dt.datetime | None) -> Answer | None:
    return Answer(Basis(value), by or "", at) if value and at else None
