"""How the pretend Xero refuses: tokens, tenants, consents, limits, repeated keys, and failures on demand."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator

import flask
import pytest
import requests

from sandbox.faults import Fault
from sandbox.server import Server
from sandbox.xero import fault_response
from tests.sandbox.xero_office import TENANT, Office, add_invoices, invoice, office

READ_ONLY = frozenset({"accounting.invoices.read", "accounting.settings.read", "openid"})


@pytest.fixture
def xero() -> Iterator[Office]:
    with office() as found:
        yield found


# who is calling


def test_a_garbage_token(xero: Office) -> None:
    answer = xero.call("GET", "/Organisation", headers={"Authorization": "Bearer nonsense"})

    body = answer.json()
    assert (answer.status_code, body["Title"], body["Status"]) == (401, "Unauthorized", 401)
    assert body["Detail"] == "AuthenticationUnsuccessful"
    assert set(body) == {"Type", "Title", "Status", "Detail", "Instance", "Extensions"}


def test_an_expired_token(xero: Office) -> None:
    xero.world.grants.expire("xero")

    answer = xero.call("GET", "/Organisation")

    assert answer.status_code == 401
    assert answer.json()["Detail"].startswith("TokenExpired: token expired at 11/21/2026 12:00:0")


@pytest.mark.parametrize("tenant", ["", "7f5fabdd-9565-416a-9b62-d53d852bb2a3"])
def test_a_tenant_that_is_not_connected(xero: Office, tenant: str) -> None:
    answer = xero.call("GET", "/Organisation", headers={"xero-tenant-id": tenant})

    assert (answer.status_code, answer.json()["Detail"]) == (403, "AuthenticationUnsuccessful")


def test_a_disconnect_inside_the_ledger_gives_the_same_403(xero: Office) -> None:
    xero.world.grants.disconnect("xero", TENANT)

    answer = xero.call("GET", "/Invoices")

    assert (answer.status_code, answer.json()["Title"]) == (403, "Forbidden")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/Invoices", 200),
        ("GET", "/CreditNotes", 200),
        ("GET", "/Organisation", 200),
        ("PUT", "/Invoices", 401),
        ("GET", "/Payments", 401),
        ("GET", "/Contacts", 401),
        ("GET", "/Reports/TrialBalance", 401),
        ("PUT", "/Accounts", 401),
    ],
)
def test_the_consent_decides_which_endpoints_answer(method: str, path: str, status: int) -> None:
    with office(scopes=READ_ONLY) as xero:
        answer = xero.call(method, path, {} if method == "PUT" else None)

        assert answer.status_code == status
        if status == 401:
            assert answer.headers["WWW-Authenticate"] == "insufficent_scope"
            xero.world.set_switch("xero.missing_scope", 403)
            assert xero.call(method, path, {} if method == "PUT" else None).status_code == 403


def test_broad_scopes_of_older_apps_still_work() -> None:
    with office(scopes=frozenset({"accounting.transactions.read"})) as xero:
        assert xero.call("GET", "/Payments").status_code == 200
        assert xero.call("GET", "/Contacts").status_code == 401


def test_an_organisation_that_is_offline(xero: Office) -> None:
    xero.ledger.organization.active = False

    answer = xero.call("GET", "/Invoices")

    assert (answer.status_code, answer.text) == (503, "The Organisation is offline")
    assert answer.headers["Content-Type"].startswith("text/plain")


# limits


def test_sixty_calls_a_minute(xero: Office) -> None:
    limits = xero.world.limits
    limits.unthrottled = False

    left = [xero.call("GET", "/Organisation").headers["X-MinLimit-Remaining"] for _ in range(60)]
    refused = xero.call("GET", "/Organisation")

    assert left == [str(n) for n in range(59, -1, -1)]
    assert refused.status_code == 429
    assert refused.headers["X-Rate-Limit-Problem"] == "minute"
    assert 1 <= (wait := int(refused.headers["Retry-After"])) <= 60
    assert refused.content == b""

    then = limits.now()
    limits.now = lambda: then + wait
    fresh = xero.call("GET", "/Organisation")
    assert fresh.headers["X-MinLimit-Remaining"] == "59"
    assert {"X-DayLimit-Remaining", "X-AppMinLimit-Remaining"} <= set(fresh.headers)


@pytest.mark.parametrize(("starter", "day"), [(False, 5000), (True, 1000)])
def test_the_day_s_limit_depends_on_the_plan(xero: Office, starter: bool, day: int) -> None:
    xero.world.limits.unthrottled = False
    xero.world.set_switch("xero.starter_app", starter)

    answer = xero.call("GET", "/Organisation")

    assert answer.headers["X-DayLimit-Remaining"] == str(day - 1)


def test_five_calls_at_a_time(xero: Office) -> None:
    xero.world.limits.unthrottled = False
    answers: list[requests.Response] = []

    def ask() -> None:
        headers = {
            "Authorization": f"Bearer {xero.token}",
            "xero-tenant-id": TENANT,
            "Accept": "application/json",
        }
        answers.append(requests.get(f"{xero.base}/Organisation", headers=headers, timeout=120))

    with xero.ledger.lock:  # five calls get in and wait for the books
        threads = [threading.Thread(target=ask) for _ in range(7)]
        for thread in threads:
            thread.start()
        for _ in range(200):
            if len(answers) == 2:
                break
            threading.Event().wait(0.02)
        assert [answer.status_code for answer in answers] == [429, 429]
    for thread in threads:
        thread.join()

    assert answers[0].headers["X-Rate-Limit-Problem"] == "concurrent"
    assert "Retry-After" not in answers[0].headers
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 2


# repeated keys


def test_a_repeated_key_gets_the_first_answer_and_makes_nothing_twice(xero: Office) -> None:
    body = {"Invoices": [invoice(xero.harbour, "", "10.00")]}
    body["Invoices"][0].pop("InvoiceNumber")
    key = {"Idempotency-Key": "PP-0001-1-inst"}

    first = xero.call("PUT", "/Invoices", body, headers=key)
    again = xero.call("PUT", "/Invoices", body, headers=key)

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert len(xero.ledger.invoices) == 1


@pytest.mark.parametrize("change", ["body", "address", "method"])
def test_a_key_belongs_to_one_request(xero: Office, change: str) -> None:
    body = invoice(xero.harbour, "INV-1", "10.00")
    key = {"Idempotency-Key": "K-1"}
    xero.call("PUT", "/Invoices", body, headers=key)

    method = "POST" if change == "method" else "PUT"
    path = "/Invoices?unitdp=4" if change == "address" else "/Invoices"
    other = {**body, "Reference": "other"} if change == "body" else body
    answer = xero.call(method, path, other, headers=key)

    assert (answer.status_code, answer.json()["Message"]) == (
        400,
        "Idempotency Key: K-1 is used with a different request.",
    )
    assert len(xero.ledger.invoices) == 1


def test_keys_are_forgotten_after_six_minutes(xero: Office) -> None:
    body = invoice(xero.harbour, "", "10.00")
    body.pop("InvoiceNumber")
    key = {"Idempotency-Key": "K-1"}
    xero.call("PUT", "/Invoices", body, headers=key)
    xero.world.clock.advance(minutes=5, seconds=59)
    xero.call("PUT", "/Invoices", body, headers=key)
    assert len(xero.ledger.invoices) == 1

    xero.world.clock.advance(seconds=2)
    xero.call("PUT", "/Invoices", body, headers=key)

    assert len(xero.ledger.invoices) == 2


def test_refusals_are_remembered_too(xero: Office) -> None:
    xero.authorise("INV-1", "10.00")
    key = {"Idempotency-Key": "K-1"}
    payment = {
        "Invoice": {"InvoiceNumber": "INV-2"},
        "Account": {"Code": "090"},
        "Date": "2026-11-21",
        "Amount": 1,
    }
    assert xero.call("PUT", "/Payments", payment, headers=key).status_code == 400
    xero.authorise("INV-2", "10.00")

    assert xero.call("PUT", "/Payments", payment, headers=key).status_code == 400
    assert xero.call("PUT", "/Payments", payment, headers={"Idempotency-Key": "K-2"}).status_code == 200


def test_keys_are_looked_at_after_the_limits(xero: Office) -> None:
    body = invoice(xero.harbour, "INV-1", "10.00")
    key = {"Idempotency-Key": "K-1"}
    xero.call("PUT", "/Invoices", body, headers=key)
    xero.world.limits.unthrottled = False
    while xero.call("GET", "/Organisation").status_code == 200:
        pass

    assert xero.call("PUT", "/Invoices", body, headers=key).status_code == 429


@pytest.mark.parametrize("key", ["x" * 129, ""])
def test_impossible_keys(xero: Office, key: str) -> None:
    answer = xero.call(
        "PUT", "/Invoices", invoice(xero.harbour, "I", "1.00"), headers={"Idempotency-Key": key}
    )

    assert answer.status_code == 400
    assert len(xero.ledger.invoices) == 0


def test_keys_are_ignored_on_reads(xero: Office) -> None:
    key = {"Idempotency-Key": "K-1"}

    assert xero.call("GET", "/Invoices", headers=key).status_code == 200
    assert xero.call("GET", "/Contacts", headers=key).status_code == 200


# bodies


@pytest.mark.parametrize("body", ["{broken", "", "[]", '{"Invoices": []}', '{"Invoices": "x"}', '"x"'])
def test_bodies_that_say_nothing(xero: Office, body: str) -> None:
    answer = xero.call("PUT", "/Invoices", data=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    assert answer.json()["Type"] in ("PostDataInvalidException", "NoDataProcessedException")


# failures on demand, through the sandbox's own door


def test_a_lost_answer_is_found_again_by_its_key() -> None:
    with office() as xero, Server(xero.world) as server:
        xero.base = f"{server.url}/xero/api.xro/2.0"
        body, key = invoice(xero.harbour, "INV-1", "10.00"), {"Idempotency-Key": "K-1"}
        xero.world.faults.add(Fault(action="drop", when="after", method="PUT", path="/Invoices"))
        with pytest.raises(requests.ConnectionError):
            xero.call("PUT", "/Invoices", body, headers=key)
        assert len(xero.ledger.invoices) == 1

        again = xero.call("PUT", "/Invoices", body, headers=key)

        assert (again.status_code, len(xero.ledger.invoices)) == (200, 1)


def test_a_connection_dropped_before_the_work() -> None:
    with office() as xero, Server(xero.world) as server:
        xero.base = f"{server.url}/xero/api.xro/2.0"
        xero.world.faults.add(Fault(action="drop", when="before", method="PUT", path="/Invoices"))
        with pytest.raises(requests.ConnectionError):
            xero.call("PUT", "/Invoices", invoice(xero.harbour, "INV-1", "10.00"))

        assert len(xero.ledger.invoices) == 0


def test_answers_are_zipped_when_asked() -> None:
    with office() as xero, Server(xero.world) as server:
        add_invoices(xero.ledger, 100)
        xero.base = f"{server.url}/xero/api.xro/2.0"

        zipped = xero.call("GET", "/Invoices?page=1", headers={"Accept-Encoding": "gzip"})
        plain = xero.call("GET", "/Invoices?page=1", headers={"Accept-Encoding": "identity"})

        assert (zipped.headers["Content-Encoding"], "Content-Encoding" in plain.headers) == ("gzip", False)
        assert len(zipped.json()["Invoices"]) == 100
        assert int(zipped.headers["Content-Length"]) * 5 < int(plain.headers["Content-Length"])


@pytest.mark.parametrize(
    ("status", "variant", "text"),
    [
        (503, "maintenance", "The Xero API is currently offline for maintenance"),
        (503, "", "The Organisation is offline"),
        (500, "json", "An error occurred in Xero."),
        (502, "html", "<html>"),
        (429, "day", ""),
        (401, "expired", "TokenExpired: token expired at 01/23/2020 18:21:16"),
        (403, "", "AuthenticationUnsuccessful"),
        (501, "", "ApiMethodNotImplementedException"),
    ],
)
def test_failures_speak_xero_s_words(status: int, variant: str, text: str) -> None:

    with flask.Flask("x").test_request_context("/"):
        answer = fault_response(status, variant)

    assert answer.status_code == status
    assert text in answer.get_data(as_text=True)
    if status == 429:
        assert answer.headers["Retry-After"] == "66975"


def test_what_is_remembered_survives_a_restart(xero: Office) -> None:

    body, key = invoice(xero.harbour, "INV-1", "10.00"), {"Idempotency-Key": "K-1"}
    xero.call("PUT", "/Invoices", body, headers=key)

    xero.world.memories = pickle.loads(pickle.dumps(xero.world.memories))

    assert xero.call("PUT", "/Invoices", body, headers=key).status_code == 200
    assert len(xero.ledger.invoices) == 1
