"""What a policy would do tomorrow, on the settings page: customer by customer, and compared with the policy that counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import InvalidOperation

from flask import request
from sqlalchemy.engine import Connection as Transaction

from connector import db
from connector.connecting import connections
from connector.connecting.connections import Connection
from connector.domain.codec import WrongValue
from connector.domain.policy import Policy
from connector.practice import settings
from connector.reviewing import rehearsal
from connector.reviewing.rehearsal import Foreseen, Rehearsal, What
from web import policy_form
from web.sign_in import config

LINES = 6  # of each kind; the rest is counted


@dataclass(frozen=True, slots=True)
class Kind:
    """The customers of one kind: `lines` to show, `more` behind them, `before` how many by the policy that counts."""

    what: What
    count: int
    before: int
    lines: list[tuple[Foreseen, bool]]  # and whether only the edited policy brings it

    @property
    def more(self) -> int:
        return self.count - len(self.lines)


@dataclass(frozen=True, slots=True)
class Preview:
    """`edited`: the policy is not the one that counts. `changed`: how many customers fare differently by it."""

    now: Rehearsal
    kinds: Mapping[str, Kind]
    held: list[tuple[str, list[str]]]  # why, and whom; the reason of the most customers first
    edited: bool = False
    changed: int = 0
    problem: str = ""


def preview(
    tx: Transaction, connection: Connection, decided: settings.Settings, policy: Policy, problem: str = ""
) -> Preview:
    """The rehearsal of this policy, beside that of the one that counts when they differ."""
    edited = policy != decided.policy
    both = [policy, decided.policy] if edited else [policy]
    today = connections.today(connection, config())
    found = rehearsal.rehearse(tx, connection, decided, both, now=db.now(), today=today)
    now, before = found[0], found[-1]
    known = set(before.foreseen)
    kinds = {}
    for what in What:
        mine = sorted(now.of(what), key=lambda f: (f in known, f.name.casefold()))
        lines = [(f, edited and f not in known) for f in mine[:LINES]]
        kinds[what.value] = Kind(what, len(mine), len(before.of(what)), lines)
    changed = {f.customer_id for f in set(now.foreseen) ^ known}
    return Preview(now, kinds, _by_reason(now), edited, len(changed), problem)


def _by_reason(found: Rehearsal) -> list[tuple[str, list[str]]]:
    reasons: dict[str, list[str]] = {}
    for one in found.of(What.HELD):
        reasons.setdefault(" ".join(one.because), []).append(one.name)
    return sorted(reasons.items(), key=lambda pair: (-len(pair[1]), pair[0]))


def asked(current: settings.Settings) -> tuple[Policy, str]:
    """The policy of the form that was sent, and "" or why it cannot be one (then it is the one that counts)."""
    try:
        return policy_form.read(request.form, current.policy), ""
    except WrongValue as wrong:
        return current.policy, wrong.sentence
    except (ValueError, InvalidOperation):
        return current.policy, "Write numbers, without letters."
