"""What a policy would do tomorrow, on the settings page: customer by customer, and compared with the policy that counts.

For many clients one after the other, as many as a short wait allows; the next answer goes on where this one ended.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Mapping, Sequence
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
PATIENCE = (
    1.5  # seconds of one answer; a client that was begun is finished: at most 200 customers, half a second
)


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


# ---------------------------------------------------------------- many clients


@dataclass(frozen=True, slots=True)
class AtClient:
    """One client's part of the answer."""

    connection: Connection
    settings: settings.Settings
    policy: Policy
    preview: Preview

    @property
    def today(self) -> dt.date:
        return connections.today(self.connection, config())


@dataclass(frozen=True, slots=True)
class Across:
    """`here`: the clients of this answer. `totals`: by kind (now, by the policies that count) over the `done` first of
    `chosen` clients. `changed`: how many customers fare differently."""

    here: list[AtClient]
    totals: dict[str, tuple[int, int]]
    done: int
    chosen: int
    changed: int
    problem: str = ""

    @property
    def edited(self) -> bool:
        return any(one.preview.edited for one in self.here)

    @property
    def so_far(self) -> str:
        """For the next answer, which goes on counting."""
        kinds = " ".join(f"{kind}={now}/{before}" for kind, (now, before) in self.totals.items())
        return f"{kinds} changed={self.changed}/0"


def across(
    tx: Transaction, chosen: Sequence[tuple[Connection, settings.Settings]], start: int, so_far: str
) -> Across:
    """Rehearse the sentences of the form at these clients from number `start` on. Stores nothing."""
    counted = {
        kind: (int(now), int(before)) for kind, now, before in _COUNTED.findall(so_far if start else "")
    }
    totals = {what.value: counted.get(what.value, (0, 0)) for what in What}
    changed, problem = counted.get("changed", (0, 0))[0], ""
    here: list[AtClient] = []
    end = time.monotonic() + PATIENCE
    for connection, decided in chosen[start:]:
        policy, wrong = asked(decided)
        problem = problem or wrong
        one = preview(tx, connection, decided, policy, wrong)
        here.append(AtClient(connection, decided, policy, one))
        for name, kind in one.kinds.items():
            now, before = totals[name]
            totals[name] = (now + kind.count, before + kind.before)
        changed += one.changed
        if problem or time.monotonic() > end:
            break
    return Across(here, totals, start + len(here), len(chosen), changed, problem)


_COUNTED = re.compile(r"\b([a-z]{4,10})=(\d{1,9})/(\d{1,9})\b", re.ASCII)
