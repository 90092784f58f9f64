"""Nothing of one practice is shown to, or changed by, the people of another: every page and every command, tried."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine

import web
from connector import cli, config, db
from connector.config import Config
from connector.practice import people
from tests.security import tenants
from tests.security.tenants import WORDS, Tenant

NOWHERE = "http://127.0.0.1:9"  # no ledger answers here


@dataclass
class Installed:
    """One installation with three practices, made once; each test gets it as it was made."""

    settings: Config
    engine: Engine
    app: Flask
    practices: list[Tenant]
    kept: bytes
    cookies: list[tuple[FlaskClient, dict[object, object]]]

    def as_made(self) -> None:
        file = self.settings.data_dir / "forbear.sqlite3"
        self.engine.dispose()
        for beside in ("-wal", "-shm"):
            file.with_name(file.name + beside).unlink(missing_ok=True)
        file.write_bytes(self.kept)
        for client, cookies in self.cookies:
            client._cookies = dict(cookies)  # type: ignore[assignment]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("practices")
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "DATA_DIR": str(folder),
            "TODAY": tenants.TODAY.isoformat(),
            "XERO_CLIENT_ID": "app", "XERO_CLIENT_SECRET": "app-secret", "XERO_WEBHOOK_KEY": "webhook-key",
            **{f"{n}_{k}": NOWHERE for n in ("QUICKBOOKS", "XERO") for k in ("DISCOVERY_URL", "API_URL")},
        }.items():  # fmt: skip
            environment.setenv(f"FORBEAR_{name}", value)
        loaded = config.load()
        db.migrate(loaded)
        engine = db.engine(loaded)
        app = web.create_app(loaded, engine)
        practices = tenants.make(engine, loaded, app)
        engine.dispose()  # the last connection writes everything into the one file
        kept = (folder / "forbear.sqlite3").read_bytes()
        clients = [client for one in practices for client in one.people.values()]
        yield Installed(loaded, engine, app, practices, kept, [(c, dict(c._cookies or {})) for c in clients])
        engine.dispose()


@pytest.fixture
def engine(made: Installed) -> Engine:
    made.as_made()
    return made.engine


@pytest.fixture
def app(made: Installed, engine: Engine) -> Flask:
    return made.app


@pytest.fixture
def practices(made: Installed, engine: Engine) -> list[Tenant]:
    return made.practices


def test_random_people_with_random_ids_see_and_change_nothing_of_others(
    engine: Engine, app: Flask, practices: list[Tenant]
) -> None:
    found = list(tenants.probe(engine, app, practices, count=400, seed=20))
    assert [leak for leak in found if leak] == []
    assert len(found) == 400


def test_the_probe_finds_a_page_that_forgets_to_ask(
    engine: Engine, app: Flask, practices: list[Tenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.pages.customer.role_in", lambda connection_id: "read")
    monkeypatch.setattr("web.pages.queue.need", lambda connection_id, role: None)
    pages = ("pages.customer", "pages.retry")
    found = [leak for leak in tenants.probe(engine, app, practices, 60, seed=20, only=pages) if leak]
    assert any(leak.method == "pages.customer" and "shows" in leak.what for leak in found)
    assert any("was changed" in leak.what for leak in found)


def test_each_person_does_see_their_own(app: Flask, practices: list[Tenant]) -> None:
    """A fuzz over pages that are empty anyway would prove nothing."""
    for tenant in practices:
        client = tenant.people["read"]
        base = f"/organizations/{tenant.connection_id}"
        plan = tenant.ids["plan_id"][0]
        for path in ("/", "/record", base, f"{base}/customers", f"{base}/customers/77", f"/plans/{plan}"):
            answer = client.get(path)
            assert answer.status_code == 200, path
            assert tenant.word in answer.get_data(as_text=True), path


def test_someone_who_may_only_read_changes_nothing(
    engine: Engine, app: Flask, practices: list[Tenant]
) -> None:
    tenant = practices[0]
    client = tenant.people["read"]
    before = tenants._kept(engine, tenant.connection_id)
    tried = 0
    for rule in app.url_map.iter_rules():
        if "POST" not in (rule.methods or set()) or not rule.arguments & set(tenant.ids):
            continue
        with app.test_request_context():
            path = app.url_for(
                rule.endpoint, **{name: tenant.ids.get(name, ["1"])[0] for name in rule.arguments}
            )
        keep = {"do": "keep"}  # of a text; to try one is to read
        answer = client.post(path, data={"csrf": tenant.csrf["read"], **keep})
        if rule.endpoint == "pages.try_policy":  # to try a policy is to read, too: nothing is kept, as below
            assert answer.status_code == 200
            continue
        assert answer.status_code == 403 or not rule.arguments <= set(tenant.ids), (path, answer.status_code)
        tried += 1
    assert tried >= 12
    assert tenants._kept(engine, tenant.connection_id) == before


def test_without_signing_in_every_page_of_books_asks_to_sign_in(app: Flask, practices: list[Tenant]) -> None:
    client = app.test_client()
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(("static", "health.", "webhooks.", "connect.", "sign_in.start")):
            continue
        of_a_token = (
            "token" in rule.arguments
        )  # the secret in its address is the permission; this one is made up
        if "GET" not in (rule.methods or set()):
            continue
        with app.test_request_context():
            path = app.url_for(
                rule.endpoint, **{n: practices[0].ids.get(n, ["1"])[0] for n in rule.arguments}
            )
        answer = client.get(path)
        shown = answer.get_data(as_text=True)
        assert not any(word in shown for word in WORDS), path
        if of_a_token:
            assert answer.status_code in (200, 302, 404), path
        elif rule.arguments - {"rest"}:
            assert (answer.status_code, answer.headers.get("Location")) == (302, "/sign-in"), path


def test_a_person_who_lost_their_role_sees_nothing_any_more(
    engine: Engine, app: Flask, practices: list[Tenant]
) -> None:
    tenant = practices[0]
    client = tenant.people["configure"]
    path = f"/organizations/{tenant.connection_id}"
    assert client.get(path).status_code == 200
    with db.transaction(engine) as tx:
        person = tx.scalar(sa.select(db.people.c.id).where(db.people.c.name == f"{tenant.word} configure"))
        people.ungrant(tx, person, tenant.connection_id)
    assert client.get(path).status_code == 404


def test_every_id_in_an_address_is_one_that_the_probe_tries(app: Flask, practices: list[Tenant]) -> None:
    """A new page with a new kind of id must not stay outside."""
    parts = {name for rule in app.url_map.iter_rules() for name in rule.arguments}
    assert parts - set(tenants.WORDS_IN_ADDRESSES) - set(practices[0].ids) == set()


# ---------------------------------------------------------------- commands

# These belong to whoever runs the installation, or read no installation at all.
OF_THE_INSTALLATION = {
    "demo", "up", "web", "worker", "clock", "migrate", "sandbox", "replay", "doctor", "sync", "deliver"
}  # fmt: skip


def leaves(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[tuple[str, list[argparse.Action]]]:
    """Each command with its own arguments."""
    groups = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not groups:
        yield " ".join(words), [a for a in parser._actions if a.dest != "help"]
    for group in groups:
        for name, under in group.choices.items():
            yield from leaves(under, (*words, name))


COMMANDS = dict(leaves(cli._parser()))


def arguments(actions: list[argparse.Action], ids: Tenant) -> list[str]:
    """What each required one is filled with: ids of this practice."""
    values = {
        "id": ids.ids["plan_id"][0], "ids": ids.ids["plan_id"][0], "customer": tenants.SHARED_ID, "key": "fee",
        "invoice": tenants.SHARED_ID, "by": "Robin Hale", "why": "asked", "how": "phone",
    }  # fmt: skip
    said = []
    for action in actions:
        if action.required:
            value = "1" if action.type is int else values[action.dest]
            said += [*action.option_strings[-1:], value]
    return said


def test_no_command_given_one_organization_tells_or_changes_anything_of_another(
    engine: Engine, practices: list[Tenant], capsys: pytest.CaptureFixture[str]
) -> None:
    mine, other = practices[:2]
    before = [tenants._kept(engine, t.connection_id) for t in practices[1:]]
    tried = []
    for words, actions in COMMANDS.items():
        if words in OF_THE_INSTALLATION or "connection" not in {a.dest for a in actions}:
            continue
        capsys.readouterr()
        cli.main([*words.split(), *arguments(actions, other), "--connection", mine.connection_id])
        printed = capsys.readouterr()
        assert not any(word in printed.out + printed.err for word in WORDS[1:]), words
        if words in ("export", "plan propose", "review", "evidence"):
            assert mine.word in printed.out + printed.err, words
        tried.append(words)
    assert len(tried) >= 10
    assert [tenants._kept(engine, t.connection_id) for t in practices[1:]] == before


def test_no_command_given_one_plan_tells_or_changes_anything_of_another(
    engine: Engine, practices: list[Tenant], capsys: pytest.CaptureFixture[str]
) -> None:
    mine = practices[0]
    before = [tenants._kept(engine, t.connection_id) for t in practices[1:]]
    tried = []
    for words, actions in COMMANDS.items():
        if words in OF_THE_INSTALLATION or "connection" in {a.dest for a in actions}:
            continue
        capsys.readouterr()
        cli.main([*words.split(), *arguments(actions, mine)])
        printed = capsys.readouterr()
        assert not any(word in printed.out + printed.err for word in WORDS[1:]), words
        tried.append(words)
    assert len(tried) >= 10
    assert [tenants._kept(engine, t.connection_id) for t in practices[1:]] == before


def test_a_command_that_could_mean_several_organizations_asks(
    practices: list[Tenant], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["plan", "propose", "--customer", tenants.SHARED_ID]) == 2
    assert "Several organizations have a customer 77." in capsys.readouterr().err
