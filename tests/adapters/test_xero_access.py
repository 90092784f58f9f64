"""Consent, tokens and limits on a pretend Xero over HTTP; and two tenants in many threads, never mixed."""

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from adapters.xero import transport
from adapters.xero.transport import Transport
from connector.domain.receivables import Kind
from connector.platforms import Identity, OrganizationRef, Reconnect, Refused, TryLater
from sandbox.faults import Fault
from sandbox.grants import USERS
from tests.adapters.xero_books import HARBOUR, REDIRECT, TOTARA, VERIFIER, Meter, Permission, Xero, xero


@pytest.fixture
def ledgers(tmp_path: Path) -> Iterator[Xero]:
    with xero(tmp_path) as running:
        yield running


def test_one_consent_brings_who_signed_in_and_each_chosen_organization(ledgers: Xero):
    grant = ledgers.connect(HARBOUR, TOTARA)
    assert {o.external_id: o.name for o in grant.organizations} == {
        HARBOUR: "Harbour Bikes",
        TOTARA: "Totara Tiles",
    }
    assert all(o.connection_ref and o.connection_ref != o.external_id for o in grant.organizations)
    assert isinstance(grant.identity, Identity)
    assert grant.identity.subject
    assert "@" in grant.identity.email
    assert grant.token.access_token not in repr(grant)


def test_xero_is_given_up_on_when_it_does_not_answer(ledgers: Xero, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transport, "TIMEOUT", (1, 1))  # the SDK ignores a part of a second
    ledgers.world.faults.add(Fault(action="slow", seconds=1.3, path="/api.xro/2.0/", times=1))
    with pytest.raises(TryLater) as caught:
        ledgers.open().accounts()
    assert (caught.value.code, caught.value.uncertain) == ("NO_ANSWER", False)
    assert len(ledgers.meter.calls) == 1  # not tried again behind our back


def test_the_time_that_xero_may_take_is_told_in_the_one_form_that_the_sdk_obeys():
    assert [type(seconds) for seconds in transport.TIMEOUT] == [int, int]  # it ignores a float in silence


def test_a_second_consent_names_only_what_it_added(ledgers: Xero):
    first = ledgers.connect(HARBOUR)
    second = ledgers.connect(TOTARA)
    assert [o.external_id for o in second.organizations] == [TOTARA]
    assert {o.external_id for o in ledgers.platform.organizations(second.token)} == {HARBOUR, TOTARA}
    assert [o.external_id for o in first.organizations] == [HARBOUR]


def test_the_consent_asks_for_no_more_than_we_use(ledgers: Xero):
    url = ledgers.platform.authorization_url(redirect_uri=REDIRECT, state="s", nonce="n", verifier=VERIFIER)
    asked = set(requests.utils.unquote(url.split("scope=")[1].split("&")[0]).replace("+", " ").split())
    assert asked == {
        "openid",
        "profile",
        "email",
        "offline_access",
        "accounting.invoices",
        "accounting.payments",
        "accounting.contacts",
        "accounting.settings",
    }
    assert VERIFIER not in url


@pytest.mark.parametrize(
    "answer",
    [{"error": "access_denied", "state": "s-1"}, {"code": "made-up", "state": "s-1"}, {"state": "s-1"}],
)
def test_a_consent_that_was_not_given_is_a_sentence(ledgers: Xero, answer: dict[str, str]):
    with pytest.raises(Refused, match="Connect"):
        ledgers.exchange(answer)


def test_a_code_works_once(ledgers: Xero):
    answer = ledgers.consent(HARBOUR)
    ledgers.exchange(answer)
    with pytest.raises(Refused):
        ledgers.exchange(answer)


def test_a_sign_in_meant_for_another_window_is_refused(ledgers: Xero):
    answer = ledgers.consent(HARBOUR, nonce="of this window")
    with pytest.raises(Refused):
        ledgers.exchange(answer, nonce="of another")


def test_disconnecting_one_organization_leaves_the_other(ledgers: Xero):
    grant = ledgers.connect(HARBOUR, TOTARA)
    harbour = next(o for o in grant.organizations if o.external_id == HARBOUR)
    ledgers.platform.revoke(grant.token, harbour)
    assert [o.external_id for o in ledgers.platform.organizations(grant.token)] == [TOTARA]
    ledgers.platform.revoke(grant.token, harbour)  # again is harmless
    ledgers.platform.revoke(grant.token, OrganizationRef(TOTARA, "Totara Tiles"))  # found by its tenant
    assert ledgers.platform.organizations(grant.token) == []


def test_a_disconnect_inside_xero_asks_for_a_reconnect(ledgers: Xero):
    ledger = ledgers.open()
    ledgers.world.grants.disconnect("xero", HARBOUR)
    with pytest.raises(Reconnect) as lost:
        ledger.find(Kind.INVOICE, ["INV-1"])
    assert lost.value.code == "DISCONNECTED"


def test_an_expired_token_is_renewed_once_and_the_call_repeated(ledgers: Xero):
    permission = Permission(ledgers.platform, ledgers.connect(HARBOUR).token)
    ledger = ledgers.open(access=permission)
    first = permission.token()
    ledgers.world.grants.expire("xero")
    assert ledger.organization().name == "Harbour Bikes"
    assert permission.renewals == [first]
    assert [call.status for call in ledgers.meter.calls] == [401, 200, 200]


def test_a_token_that_no_renewal_cures_asks_for_a_reconnect(ledgers: Xero):
    permission = Permission(ledgers.platform, ledgers.connect(HARBOUR).token)
    ledgers.world.faults.add(Fault(action="status", status=401, variant="expired", path="/Invoices", times=9))
    with pytest.raises(Reconnect):
        ledgers.open(access=permission).find(Kind.INVOICE, ["INV-1"])
    assert [call.status for call in ledgers.meter.calls] == [401, 401]
    with pytest.raises(Reconnect):
        ledgers.open(access=Once()).find(Kind.INVOICE, ["INV-1"])


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_scope_is_never_renewed(ledgers: Xero, status: int):
    permission = Permission(ledgers.platform, ledgers.connect(HARBOUR).token)
    ledgers.world.faults.add(Fault(action="status", status=status, variant="scope", path="/Invoices"))
    with pytest.raises(Reconnect) as lacking:
        ledgers.open(access=permission).find(Kind.INVOICE, ["INV-1"])
    assert lacking.value.code == "SCOPE_MISSING"
    assert permission.renewals == []


@pytest.mark.parametrize(
    ("variant", "after"), [("minute", True), ("day", True), ("appminute", True), ("concurrent", False)]
)
def test_each_limit_is_told_at_once_and_never_slept_through(ledgers: Xero, variant: str, after: bool):
    ledger = ledgers.open()
    ledgers.world.faults.add(Fault(action="status", status=429, variant=variant, path="/Invoices"))
    with pytest.raises(TryLater) as wait:
        ledger.find(Kind.INVOICE, ["INV-1"])
    assert (wait.value.after is not None, wait.value.uncertain) == (after, False)
    assert [call.status for call in ledgers.meter.calls] == [429]
    assert (ledgers.meter.calls[0].retry_after is not None) == after


@pytest.mark.parametrize("variant", ["offline", "maintenance", "unavailable"])
def test_xero_being_away_is_waited_out(ledgers: Xero, variant: str):
    ledger = ledgers.open()
    ledgers.world.faults.add(Fault(action="status", status=503, variant=variant, path="/Invoices"))
    with pytest.raises(TryLater) as wait:
        ledger.find(Kind.INVOICE, ["INV-1"])
    assert not wait.value.uncertain


@pytest.mark.parametrize("variant", ["json", "html", "empty"])
def test_a_broken_gateway_is_waited_out(ledgers: Xero, variant: str):
    ledger = ledgers.open()
    ledgers.world.faults.add(Fault(action="status", status=500, variant=variant, path="/Invoices"))
    with pytest.raises(TryLater):
        ledger.find(Kind.INVOICE, ["INV-1"])


@pytest.mark.parametrize("shape", [False, True])
def test_a_missing_record_is_none_whatever_the_404_looks_like(ledgers: Xero, shape: bool):
    ledgers.world.set_switch("xero.not_found_json", shape)
    assert ledgers.open().document(Kind.INVOICE, "0a0b0c0d-0000-4000-8000-00000000000a") is None


def test_nobody_at_the_address_is_not_an_uncertain_write(ledgers: Xero):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # an address where nobody listens
        nowhere = Transport(f"http://127.0.0.1:{taken.getsockname()[1]}", HARBOUR, Once(), ledgers.meter)
        with pytest.raises(TryLater) as away:
            nowhere.write("PUT Accounts", "create_account", body={"Name": "x"}, key="k")
    assert (away.value.code, away.value.uncertain) == ("UNREACHABLE", False)
    assert [(c.status, c.bytes_in, c.writes) for c in ledgers.meter.calls] == [(0, 0, True)]


class Once:
    """An Access with one token and no other."""

    def token(self) -> str:
        return "good"

    def renew(self, rejected: str) -> str:
        raise Reconnect("The permission has ended.")


def test_calls_are_metered_compressed_and_without_customer_data(ledgers: Xero):
    for n in range(50):
        ledgers.books.add_customer(type(next(iter(ledgers.books.customers)))(name=f"Customer {n}"))
    ledger = ledgers.open()
    batches = list(ledger.pull(None))
    call = next(c for c in ledgers.meter.calls if c.operation == "GET Contacts")
    log = next(c for c in ledgers.world.calls if "/Contacts" in c.path)
    assert sum(len(b.customers) for b in batches) == 53
    assert (call.bytes_in, log.gzip) == (log.bytes_out, True)
    assert call.bytes_in < log.bytes_plain / 4
    assert call.reference
    assert call.limits.keys() == {"minute", "day", "appminute"}
    assert call.seconds > 0
    assert "Customer" not in f"{call}"


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns after every few instructions, so that whatever is shared shows itself."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("restless")
def test_two_tenants_in_many_threads_never_carry_each_others_token(ledgers: Xero):
    """Two people connected one organization each; Xero answers 403 to a token of the other one's."""
    names = {HARBOUR: "Harbour Bikes", TOTARA: "Totara Tiles"}
    held = {
        tenant: Permission(ledgers.platform, ledgers.connect(tenant, user=user).token)
        for tenant, user in zip(names, USERS, strict=False)
    }
    wrong: list[str] = []

    def work(tenant: str) -> None:
        ledger = ledgers.open(tenant, access=held[tenant], gate=Meter())
        for _ in range(20):
            try:
                found = ledger.organization().name
            except Reconnect as refused:
                found = refused.code
            if found != names[tenant]:
                wrong.append(f"{names[tenant]} got {found}")

    threads = [threading.Thread(target=work, args=(tenant,)) for tenant in names for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_nothing_of_the_sdk_is_shared_between_two_opened_ledgers(ledgers: Xero):
    """The SDK hands out copies of one configuration, with one token object in all of them."""
    opened = [Transport(ledgers.server.url, tenant, Once(), Meter()) for tenant in (HARBOUR, TOTARA)]
    clients = [transport._api.api_client for transport in opened]
    tokens = [client.configuration.oauth2_token for client in clients]
    pools = [client.rest_client.pool_manager for client in clients]
    for one, other in (clients, tokens, pools):
        assert one is not other
    for client in clients:
        retries = client.rest_client.pool_manager.connection_pool_kw["retries"]
        assert (retries.total, retries.redirect, retries.respect_retry_after_header) == (0, 0, False)
