"""A permission's token, kept fresh: renewed early, by one process at a time, stored before it is used.

A permission (grant) may reach several organizations: one Xero consent covers all that the user ticked, with
one token. So the token belongs to the grant, and a refresh holds the grant's lease:
1. Take the lease.  2. Read the token again; it may be fresh by now.  3. Refresh.  4. Store before using.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import db, leases, platforms
from connector.config import Config
from connector.connecting import keys
from connector.platforms import Reconnect, Token, TryLater

log = logging.getLogger(__name__)

EARLY = dt.timedelta(seconds=120)  # refresh this long before a token ends, so that it lasts through a call
REFRESH_SECONDS = 90  # longer than any refresh may take; then another process may try
WAIT_SECONDS = 60  # for another process's refresh


class StoredAccess:
    """platforms.Access over the stored permission. Not shared between threads; safe across processes."""

    def __init__(self, engine: Engine, config: Config, platform: platforms.Platform, grant_id: int) -> None:
        self._engine, self._config, self._platform, self._grant = engine, config, platform, grant_id
        self._known: Token | None = None

    def current(self) -> Token:
        """The stored token as it is, fresh or not. Raises Reconnect when it was forgotten."""
        with db.reading(self._engine) as tx:
            stored = tx.scalar(sa.select(db.grants.c.token).where(db.grants.c.id == self._grant))
        if stored is None:
            raise Reconnect("This organization was reconnected or disconnected meanwhile.")
        self._known = keys.decrypt(self._config, stored)
        return self._known

    def token(self) -> str:
        """A valid access token; refreshes first when it is about to end. Raises Reconnect, TryLater."""
        if self._known is None or _ends_soon(self._known):
            self.current()
        if self._known is None or _ends_soon(self._known):
            return self._renew(lambda token: not _ends_soon(token))
        return self._known.access_token

    def renew(self, rejected: str) -> str:
        """The ledger refused `rejected` with a 401: a newer token. Raises Reconnect, TryLater."""
        return self._renew(lambda token: token.access_token != rejected)

    def _renew(self, good: Any) -> str:
        """Refresh once over all processes. `good` says whether the stored token already serves."""
        if db.in_transaction():
            raise RuntimeError("no token refresh inside a database transaction")
        owner = leases.new_owner()
        end = time.monotonic() + WAIT_SECONDS
        while not leases.take(self._engine, self._lease, owner, REFRESH_SECONDS):
            if good(token := self.current()):
                return token.access_token
            if time.monotonic() > end:
                raise TryLater("The permission is being renewed by another process.", after=30)
            time.sleep(0.1)
        try:
            token = self.current()
            if not good(token):
                token = self._refresh(token)
            return token.access_token
        finally:
            leases.drop(self._engine, self._lease, owner)

    @property
    def _lease(self) -> str:
        return f"grant:{self._grant}"

    def _refresh(self, old: Token) -> Token:
        # Noted before the call: if we are killed, or the answer is lost, the ledger may have changed the
        # refresh token without our hearing, and whoever tries next can say so.
        earlier = self._begin_refresh()
        unheard = earlier is not None
        try:
            try:
                new = self._platform.refresh(old)
            except TryLater as problem:
                if not problem.uncertain:
                    self._end_refresh(lost_answer_at=earlier)
                    raise
                log.warning(
                    "grant %s: the answer to a refresh was lost; trying the old token again", self._grant
                )
                unheard = True
                new = self._platform.refresh(old)  # within the ledger's grace the old one still works
        except Reconnect as problem:
            self._give_up(_UNHEARD if unheard else str(problem))
            raise
        self._end_refresh(
            token=keys.encrypt(self._config, new),
            token_expires_at=new.expires_at,
            refresh_expires_at=new.refresh_expires_at or old.refresh_expires_at,
            token_version=db.grants.c.token_version + 1,
            refreshed_at=db.now(),
            lost_answer_at=None,
        )
        self._known = new
        return new

    def _begin_refresh(self) -> dt.datetime | None:
        g = db.grants.c
        with db.transaction(self._engine) as tx:
            earlier: dt.datetime | None = tx.scalar(sa.select(g.lost_answer_at).where(g.id == self._grant))
            tx.execute(
                sa.update(db.grants)
                .where(g.id == self._grant)
                .values(lost_answer_at=sa.func.coalesce(g.lost_answer_at, sa.literal(db.now(), db.Moment())))
            )
        return earlier

    def _end_refresh(self, **values: Any) -> None:
        with db.transaction(self._engine) as tx:
            tx.execute(sa.update(db.grants).where(db.grants.c.id == self._grant).values(**values))

    def _give_up(self, reason: str) -> None:
        c = db.connections.c
        with db.reading(self._engine) as tx:
            query = sa.select(c.id).where(c.grant_id == self._grant, c.status == "connected")
            concerned = tx.scalars(query).all()
        for id in concerned:
            lost(self._engine, id, reason)


_UNHEARD = (
    "The ledger renewed our permission, but its answer never arrived, so the permission is lost. "
    "Press Reconnect; your plans and history stay as they are."
)


def _ends_soon(token: Token) -> bool:
    return token.expires_at - db.now() <= EARLY


def lost(engine: Engine, connection_id: str, reason: str) -> None:
    """The permission is gone: stop work on this organization until a bookkeeper reconnects it."""
    c = db.connections.c
    with db.transaction(engine) as tx:
        tx.execute(
            sa.update(db.connections)
            .where(c.id == connection_id, c.status == "connected")
            .values(status="needs_reconnecting", status_reason=reason)
        )
    log.warning("connection %s needs reconnecting", connection_id)
