"""Install, connect, deny, come back wrong: each has its page, and none stores anything it should not."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import sqlalchemy as sa

from connector import db
from connector.connecting import access, connections
from tests.web.office import TODAY, Office

PLATFORMS = ("quickbooks", "xero")


def _connections(office: Office) -> list[str]:
    with db.reading(office.engine) as tx:
        return [c.organization for c in connections.every(tx)]


@pytest.mark.parametrize("path", ["install", "connect"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_one_consent_signs_in_connects_and_leads_to_the_guide(
    office: Office, platform: str, path: str
) -> None:
    browser = office.browser()
    back = browser.connect(platform, path)
    assert back.status_code == 302
    assert back.location == f"/organizations/{office.connection(platform)}/start"
    page = browser.get(back.location)
    assert page.status_code == 200
    assert "Corner Bakery" in page.text
    assert "two questions" in page.text
    assert browser.get("/account").text.count("Corner Bakery") >= 1


def test_the_callback_is_only_ever_a_redirect(office: Office) -> None:
    """Its address holds the code: no page may be shown there, whatever comes (S9)."""
    browser = office.browser()
    for query in ("", "?state=x&code=y", "?error=access_denied", "?state=x&code=y&realmId=1"):
        answer = browser.get(f"/connect/quickbooks/callback{query}")
        assert answer.status_code == 302
        assert "code=" not in answer.location


def test_denied_consent_says_that_nothing_was_read(office: Office) -> None:
    browser = office.browser()
    back = browser.get(browser.decide(browser.ask("xero"), "deny"))
    page = browser.get(back.location)
    assert page.status_code == 200
    assert "Xero was not connected" in page.text
    assert "Nothing was read" in page.text
    assert "you may not have the right to connect apps there" in page.text  # it may not have been a choice
    assert _connections(office) == []


def test_a_failure_at_the_ledger_is_not_called_a_choice(office: Office) -> None:
    browser = office.browser()
    path = browser.decide(browser.ask("xero"), "deny").replace("access_denied", "server_error")
    page = browser.get(browser.get(path).location).text
    assert "Xero ended it with the code “server_error”" in page
    assert "chose not to allow" not in page


def test_installing_again_says_that_nothing_changed(office: Office) -> None:
    browser = office.browser()
    assert (
        "is connected to QuickBooks. Reading the books now."
        in browser.get(browser.connect("quickbooks").location).text
    )
    again = browser.get(browser.connect("quickbooks", "install").location).text
    assert "was connected already to QuickBooks. The permission is renewed; nothing else changed." in again
    assert len(_connections(office)) == 1


def test_a_wrong_state_connects_nothing(office: Office) -> None:
    browser = office.browser()
    path = browser.decide(browser.ask("quickbooks"))
    state = parse_qs(urlsplit(path).query)["state"][0]
    page = browser.get(browser.get(path.replace(state, "forged")).location)
    assert page.status_code == 400
    assert "does not belong to a question of ours" in page.text
    assert _connections(office) == []


def test_another_browser_cannot_finish_the_consent(office: Office) -> None:
    path = office.browser().decide(office.browser().ask("quickbooks"))
    assert "not-connected" in office.browser().get(path).location
    assert _connections(office) == []


def test_a_replayed_callback_connects_nothing_new(office: Office) -> None:
    browser = office.browser()
    path = browser.decide(browser.ask("quickbooks"))
    assert browser.get(path).status_code == 302
    again = browser.get(path)
    assert "not-connected" in again.location
    assert _connections(office) == ["Corner Bakery"]


def test_an_unverified_address_is_not_let_in(office: Office) -> None:
    """Intuit says of its third user that the address is not confirmed (T3)."""
    users = requests.get(f"{office.sandbox.url}/control/users", timeout=120).json()
    unverified = next(u for u in users if not u["email_verified"])
    browser = office.browser()
    back = browser.get(browser.decide(browser.ask("quickbooks"), user=unverified["subject"]))
    page = browser.get(back.location)
    assert "has not confirmed your e-mail address" in page.text
    assert _connections(office) == []


def test_a_second_person_of_the_firm_joins_the_same_organization(office: Office) -> None:
    first, second = office.browser(), office.browser()
    first.connect("quickbooks")
    users = requests.get(f"{office.sandbox.url}/control/users", timeout=120).json()
    back = second.get(second.decide(second.ask("quickbooks"), user=users[1]["subject"]))
    assert back.location == f"/organizations/{office.connection('quickbooks')}/start"
    assert _connections(office) == ["Corner Bakery"]
    assert first.get("/account").text != second.get("/account").text


def test_a_ledger_that_does_not_answer_is_named(office: Office) -> None:
    browser = office.browser()
    path = browser.decide(browser.ask("quickbooks"))
    fault = {"action": "status", "status": 503, "platform": "quickbooks", "times": 9}
    requests.post(f"{office.sandbox.url}/control/faults", json=fault, timeout=120).raise_for_status()
    page = browser.get(browser.get(path).location)
    assert page.status_code == 503
    assert "QuickBooks did not answer" in page.text
    assert _connections(office) == []


def test_disconnect_and_reconnect_keep_the_history(office: Office) -> None:
    browser = office.browser()
    browser.connect("quickbooks")
    id = office.connection("quickbooks")
    office.read(id)
    said = browser.post(f"/connections/{id}/disconnect", f"/organizations/{id}/settings")
    assert said.status_code == 302
    page = browser.get(f"/organizations/{id}").text
    assert "Not connected." in page
    assert "Reconnect to QuickBooks" in page
    assert "<b>1 plan waits for your yes.</b>" in page
    browser.connect("quickbooks")
    assert office.connection("quickbooks") == id
    assert "Not connected." not in browser.get(f"/organizations/{id}").text


def test_nobody_is_told_that_nothing_is_to_do_before_the_first_look_or_without_permission(
    office: Office,
) -> None:
    browser = office.browser()
    browser.connect("quickbooks")
    id = office.connection("quickbooks")
    with db.transaction(office.engine) as tx:  # an empty book is read; nobody was looked at
        tx.execute(sa.update(db.connections).values(last_sync_at=db.now()))
    page = browser.get(f"/organizations/{id}").text
    assert "Nobody has been looked at yet." in page
    assert "Nobody is worth a look" not in page
    office.read(id)
    draft = office.plan(id).id
    browser.post(f"/plans/{draft}/cancel", f"/plans/{draft}")
    page = browser.get(f"/organizations/{id}").text  # no look at everybody is over
    assert "Nothing for you to do" not in page
    with db.transaction(office.engine) as tx:
        tx.execute(sa.update(db.connections).values(last_review_on=TODAY))
    assert "<b>Nothing for you to do.</b>" in browser.get(f"/organizations/{id}").text
    access.lost(office.engine, id, "Gone.")
    assert "Nothing for you to do" not in browser.get(f"/organizations/{id}").text
    assert "<b>1 connection needs a hand</b>." in browser.get("/").text


def test_the_marketplace_disconnect_page_needs_no_sign_in(office: Office) -> None:
    for platform, query in (("quickbooks", "?realmId=9130000000000001"), ("xero", "")):
        page = office.browser().get(f"/disconnected/{platform}{query}")
        assert page.status_code == 200
        assert "is disconnected" in page.text
        assert f"/connect/{platform}" in page.text


def test_nobody_is_sent_to_another_site_after_signing_in(office: Office) -> None:
    browser = office.browser()
    browser.get("//evil.example/", follow_redirects=False)
    with browser.client.session_transaction(base_url="http://localhost:8000") as session:
        session["next"] = "//evil.example/"
    assert "evil" not in browser.connect("quickbooks").location


def test_without_an_app_the_page_says_which_settings_are_missing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    object.__setattr__(office.config.xero, "client_id", "")
    page = office.browser().get("/connect/xero")
    assert page.status_code == 400
    assert "FORBEAR_XERO_CLIENT_ID" in page.text
