"""Connecting, staying connected, and letting go."""

import datetime as dt
import json
import multiprocessing
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from sqlalchemy.engine import Engine

from connector import config, db, leases, platforms
from connector.config import WrongSetting
from connector.connecting import connections, keys
from connector.connecting.access import StoredAccess, lost
from connector.connecting.connections import Connection
from connector.domain.receivables import Organization
from connector.platforms import OrganizationRef, Reconnect, TryLater
from tests.connector.json_ledger import HARBOR, JsonPlatform, Ledgers, grant

NOON = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)


def get(store: Engine, connection_id: str) -> Connection:
    with db.reading(store) as tx:
        return connections.get(tx, connection_id)


def access(store: Engine, installation: config.Config, connection_id: str) -> StoredAccess:
    grant_id = get(store, connection_id).grant_id
    assert grant_id is not None
    return StoredAccess(store, installation, platforms.find("json", installation), grant_id)


def connect(store: Engine, installation: config.Config, minutes: float) -> str:
    """Connected, with a token that ends in `minutes`."""
    [made] = connections.save_grant(store, installation, "json", grant(minutes=minutes))
    return made.id


# ---------------------------------------------------------------- keys and secrets


def test_tokens_are_unreadable_in_the_database(store: Engine, installation: config.Config) -> None:
    connections.save_grant(
        store, installation, "json", grant(access="canary-access", refresh="canary-refresh")
    )
    with db.reading(store) as tx:
        stored = str(tx.execute(sa.select(db.grants)).all()) + str(
            tx.execute(sa.select(db.connections)).all()
        )
    assert "canary" not in stored


def test_keys_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    settings = config.load({"FORBEAR_DATA_DIR": str(tmp_path)})
    first = keys.of(settings)
    assert keys.of(settings) == first
    assert len(first.secret_key) >= 32
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["keys.json"]


def test_keys_from_the_settings_come_first(tmp_path: Path) -> None:
    key = Fernet.generate_key().decode()
    env = {"FORBEAR_DATA_DIR": str(tmp_path), "FORBEAR_SECRET_KEY": "s", "FORBEAR_TOKEN_KEYS": key}
    assert keys.of(config.load(env)) == keys.Keys("s", (key,))
    assert not (tmp_path / "keys.json").exists()


def test_a_new_key_encrypts_and_the_old_one_still_reads_until_rotated(
    store: Engine, installation: config.Config
) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    with_old = replace(installation, token_keys=(old,), secret_key="s")
    with_both = replace(with_old, token_keys=(new, old))
    with_new = replace(with_old, token_keys=(new,))
    [made] = connections.save_grant(store, with_old, "json", grant())
    assert access(store, with_both, made.id).token() == "a0"
    with pytest.raises(WrongSetting, match="FORBEAR_TOKEN_KEYS"):
        access(store, with_new, made.id).token()
    assert keys.rotate(store, with_both) == 1
    assert access(store, with_new, made.id).token() == "a0"
    assert get(store, made.id).status == "connected"


# ---------------------------------------------------------------- connect


def test_one_consent_may_reach_several_organizations_on_one_token(
    store: Engine, installation: config.Config, ledgers: Ledgers
) -> None:
    two = grant(HARBOR, OrganizationRef("books-2", "Pine & Co", "ref-2"), minutes=0)
    harbor, pine = connections.save_grant(store, installation, "json", two)
    assert (harbor.organization, pine.organization) == ("Harbor Supply", "Pine & Co")
    assert harbor.grant_id == pine.grant_id
    assert access(store, installation, harbor.id).token() == "a1"
    assert access(store, installation, pine.id).token() == "a1"
    assert ledgers.get("refreshes") == 1
    with db.reading(store) as tx:
        assert [c.id for c in connections.every(tx)] == [harbor.id, pine.id]
        assert connections.of(tx, "json", "books-2") == pine


def test_reconnecting_keeps_the_id_the_cursor_and_the_history(
    store: Engine, installation: config.Config, connected: str
) -> None:
    with db.transaction(store) as tx:
        tx.execute(sa.update(db.connections).values(cursor={"at": 9}, last_sync_at=NOON))
    lost(store, connected, "Gone.")
    again = grant(OrganizationRef("books-1", "Harbor Supply Ltd", "ref-9"), access="b0", refresh="s0")
    [now] = connections.save_grant(store, installation, "json", again)
    assert (now.id, now.status, now.status_reason) == (connected, "connected", "")
    assert (now.cursor, now.last_sync_at, now.connection_ref) == ({"at": 9}, NOON, "ref-9")
    assert now.organization == "Harbor Supply Ltd"
    assert access(store, installation, connected).token() == "b0"
    with db.reading(store) as tx:
        assert tx.scalar(sa.select(sa.func.count()).select_from(db.grants)) == 1


def test_after_a_disconnect_the_books_are_read_anew(
    store: Engine, installation: config.Config, connected: str, ledgers: Ledgers
) -> None:
    with db.transaction(store) as tx:
        tx.execute(sa.update(db.connections).values(cursor={"at": 9}))
    connections.disconnect(store, installation, connected)
    [now] = connections.save_grant(store, installation, "json", grant())
    assert (now.id, now.cursor, now.disconnected_at) == (connected, None, None)


def test_an_id_nobody_has_is_a_lookup_error(store: Engine) -> None:
    with pytest.raises(LookupError), db.reading(store) as tx:
        connections.get(tx, "nobody")


def test_what_the_ledger_says_of_the_organization_is_kept(
    store: Engine, installation: config.Config, connected: str
) -> None:
    facts = Organization(
        id="books-1",
        name="Harbor",
        country="NZ",
        home_currency="NZD",
        timezone="Pacific/Auckland",
        closed_until=dt.date(2026, 3, 31),
        reminders_on=True,
        plan="starter",
    )
    assert connections.load_facts(json.loads(json.dumps(connections.dump_facts(facts)))) == facts


def test_an_invoice_is_overdue_by_the_organizations_midnight(
    store: Engine, installation: config.Config, connected: str
) -> None:
    here = get(store, connected)
    at = dt.datetime(2026, 11, 21, 23, 30, tzinfo=dt.UTC)
    assert connections.today(replace(here, timezone="Pacific/Auckland"), installation, at) == dt.date(
        2026, 11, 22
    )
    assert connections.today(replace(here, timezone="America/New_York"), installation, at) == dt.date(
        2026, 11, 21
    )
    assert connections.today(replace(here, timezone="No/Where"), installation, at) == dt.date(2026, 11, 21)
    pretend = replace(installation, today=dt.date(2020, 2, 29))
    assert connections.today(here, pretend, at) == dt.date(2020, 2, 29)


# ---------------------------------------------------------------- the token


def test_a_token_that_lasts_is_not_refreshed(
    store: Engine, installation: config.Config, connected: str, ledgers: Ledgers
) -> None:
    assert access(store, installation, connected).token() == "a0"
    assert ledgers.get("refreshes") == 0


def test_a_token_about_to_end_is_refreshed_and_stored_before_it_is_used(
    store: Engine, installation: config.Config, ledgers: Ledgers
) -> None:
    id = connect(store, installation, minutes=1)
    assert access(store, installation, id).token() == "a1"
    assert access(store, installation, id).token() == "a1"
    assert ledgers.get("refreshes") == 1
    with db.reading(store) as tx:
        row = tx.execute(sa.select(db.grants)).one()
    assert row.token_version == 2
    assert row.lost_answer_at is None


def test_a_token_that_the_ledger_refused_is_renewed_once_for_all(
    store: Engine, installation: config.Config, connected: str, ledgers: Ledgers
) -> None:
    one, two = access(store, installation, connected), access(store, installation, connected)
    assert one.token() == two.token() == "a0"
    assert one.renew("a0") == "a1"
    assert two.renew("a0") == "a1"
    assert ledgers.get("refreshes") == 1


def _token(connection_id: str, answers: "multiprocessing.Queue[str]") -> None:
    settings = config.load()
    answers.put(access(db.engine(settings), settings, connection_id).token())


def test_processes_that_meet_refresh_once(
    store: Engine, installation: config.Config, ledgers: Ledgers
) -> None:
    id = connect(store, installation, minutes=1)
    spawn = multiprocessing.get_context("spawn")
    answers = spawn.Queue()
    several = [spawn.Process(target=_token, args=(id, answers)) for _ in range(4)]
    for process in several:
        process.start()
    assert [answers.get(timeout=240) for _ in several] == ["a1"] * 4
    for process in several:
        process.join(240)
    assert ledgers.get("refreshes") == 1


def test_a_lost_answer_is_recovered_while_the_ledger_allows(
    store: Engine, installation: config.Config, ledgers: Ledgers
) -> None:
    id = connect(store, installation, minutes=1)
    ledgers.set(lose_answers=1)
    assert access(store, installation, id).token() == "a2"
    assert get(store, id).status == "connected"


def test_a_lost_answer_that_the_ledger_does_not_forgive_is_said_plainly(
    store: Engine, installation: config.Config, ledgers: Ledgers
) -> None:
    id = connect(store, installation, minutes=1)
    ledgers.set(lose_answers=1)
    platform = JsonPlatform()
    strict = access(store, installation, id)

    class Strict(JsonPlatform):
        def refresh(self, token: platforms.Token) -> platforms.Token:
            try:
                return platform.refresh(token)
            finally:
                ledgers.set(grace_token="")

    strict._platform = Strict()  # type: ignore[assignment]
    with pytest.raises(Reconnect):
        strict.token()
    now = get(store, id)
    assert now.status == "needs_reconnecting"
    assert "its answer never arrived" in now.status_reason


def test_a_worker_killed_during_a_refresh_leaves_the_reason_behind(
    store: Engine, installation: config.Config, ledgers: Ledgers
) -> None:
    id = connect(store, installation, minutes=1)

    class Killed(BaseException):
        pass

    class Dies(JsonPlatform):
        def refresh(self, token: platforms.Token) -> platforms.Token:
            super().refresh(token)
            raise Killed

    victim = access(store, installation, id)
    victim._platform = Dies()  # type: ignore[assignment]
    with pytest.raises(Killed):
        victim.token()
    with pytest.raises(Reconnect):
        access(store, installation, id).token()
    assert "its answer never arrived" in get(store, id).status_reason


def test_an_outage_keeps_the_connection(store: Engine, installation: config.Config, ledgers: Ledgers) -> None:
    id = connect(store, installation, minutes=1)
    ledgers.fail("TryLater", "Down for maintenance.", after=30)
    with pytest.raises(TryLater):
        access(store, installation, id).token()
    assert get(store, id).status == "connected"
    assert access(store, installation, id).token() == "a1"


def test_a_withdrawn_permission_stops_every_organization_of_the_consent(
    store: Engine, installation: config.Config, ledgers: Ledgers
) -> None:
    two = grant(HARBOR, OrganizationRef("books-2", "Pine & Co"), minutes=1)
    harbor, pine = connections.save_grant(store, installation, "json", two)
    ledgers.set(refresh_token="other")
    with pytest.raises(Reconnect):
        access(store, installation, harbor.id).token()
    for id in (harbor.id, pine.id):
        assert get(store, id).status_reason == "The permission has ended. Press Reconnect."
        with pytest.raises(Reconnect, match="The permission has ended"):
            connections.open_ledger(store, installation, id)


def test_no_refresh_inside_a_transaction(
    store: Engine, installation: config.Config, ledgers: Ledgers
) -> None:
    id = connect(store, installation, minutes=1)
    mine = access(store, installation, id)
    with pytest.raises(RuntimeError, match="transaction"), db.transaction(store):
        mine.token()


def test_a_refresh_by_a_process_that_died_is_taken_over(
    store: Engine, installation: config.Config, ledgers: Ledgers
) -> None:
    id = connect(store, installation, minutes=1)
    grant_id = get(store, id).grant_id
    assert leases.take(store, f"grant:{grant_id}", "dead", 1)
    assert access(store, installation, id).token() == "a1"


# ---------------------------------------------------------------- disconnect


def test_disconnecting_revokes_at_the_ledger_and_keeps_our_records(
    store: Engine, installation: config.Config, connected: str, ledgers: Ledgers
) -> None:
    sentence = connections.disconnect(store, installation, connected)
    assert sentence.startswith("Harbor Supply is disconnected.")
    assert ledgers.get("revoked") == [["books-1", "ref-1", "a0"]]
    now = get(store, connected)
    assert (now.status, now.grant_id) == ("disconnected", None)
    assert now.disconnected_at is not None
    with db.reading(store) as tx:
        assert tx.scalar(sa.select(sa.func.count()).select_from(db.grants)) == 0
    with pytest.raises(Reconnect):
        connections.open_ledger(store, installation, connected)


def test_disconnecting_one_organization_leaves_the_others_of_its_consent(
    store: Engine, installation: config.Config, ledgers: Ledgers
) -> None:
    two = grant(HARBOR, OrganizationRef("books-2", "Pine & Co", "ref-2"))
    harbor, pine = connections.save_grant(store, installation, "json", two)
    connections.disconnect(store, installation, harbor.id)
    assert get(store, pine.id).status == "connected"
    assert access(store, installation, pine.id).token() == "a0"


def test_work_stops_although_the_ledger_does_not_answer_and_it_is_asked_again(
    store: Engine, installation: config.Config, connected: str, ledgers: Ledgers
) -> None:
    ledgers.fail("TryLater", "Down.")
    assert "has not confirmed" in connections.disconnect(store, installation, connected)
    assert get(store, connected).status == "disconnected"
    assert ledgers.get("revoked") == []
    assert connections.revoke_leftovers(store, installation) == 1
    assert ledgers.get("revoked") == [["books-1", "ref-1", "a0"]]
    assert connections.revoke_leftovers(store, installation) == 0


def test_disconnecting_what_the_ledger_ended_already_is_fine(
    store: Engine, installation: config.Config, ledgers: Ledgers
) -> None:
    id = connect(store, installation, minutes=1)
    ledgers.set(refresh_token="other")
    assert "is disconnected" in connections.disconnect(store, installation, id)
    assert (get(store, id).status, get(store, id).grant_id) == ("disconnected", None)
