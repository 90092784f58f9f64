"""Who may do what: sessions, CSRF, roles, other people's organizations, headers, error pages."""

from __future__ import annotations

import datetime as dt
import re

import pytest
import sqlalchemy as sa

from connector import db
from connector.practice import people
from tests.web.office import PUBLIC, Office

FORBIDDEN_IN_PAGES = ("<script>", "style=", "onclick=", "javascript:")


@pytest.fixture
def client(office: Office) -> str:
    """The id of one organization, read once; nobody is a member yet but whoever connected it."""
    office.browser().connect("quickbooks")
    id = office.connection("quickbooks")
    office.read(id)
    return id


def _pages(id: str) -> list[str]:
    customer = f"/organizations/{id}/customers"
    return [
        "/", "/queue", "/record", "/policy", "/account", "/find?q=corner", f"/organizations/{id}", customer,
        f"/organizations/{id}/plans", f"/organizations/{id}/written", f"/organizations/{id}/settings",
        f"/organizations/{id}/start", "/sign-in", "/privacy", "/support", "/disconnected/xero", "/no-such-page",
    ]  # fmt: skip


def test_without_a_session_every_page_of_the_books_leads_to_sign_in(office: Office, client: str) -> None:
    for page in _pages(client)[:12]:
        answer = office.browser().get(page)
        assert (answer.status_code, answer.location) == (302, "/sign-in"), page


def test_after_signing_in_the_person_lands_where_they_wanted(office: Office, client: str) -> None:
    browser = office.browser()
    browser.get("/queue")
    with browser.client.session_transaction(base_url=PUBLIC) as session:
        assert session["next"].startswith("/queue")


def test_every_page_sends_the_headers_and_nothing_inline(office: Office, client: str) -> None:
    browser = office.browser().sign_in()
    office.role(browser, client, "configure")
    for page in _pages(client):
        answer = browser.get(page)
        assert answer.status_code in (200, 302, 404), page
        headers = answer.headers
        assert headers["Cache-Control"] == "no-cache, no-store", page
        assert "'unsafe" not in headers["Content-Security-Policy"], page
        assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        for word in FORBIDDEN_IN_PAGES:
            assert word not in answer.text, (page, word)
        assert not re.search(r'(?:src|href)="https?://', answer.text), page  # nothing comes from elsewhere


def test_the_session_cookie_cannot_be_read_or_sent_along(office: Office) -> None:
    cookie = office.browser().get("/connect/quickbooks").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_webhooks_answer_without_cookie_session_or_page(office: Office) -> None:
    for platform in ("quickbooks", "xero"):
        answer = office.app.test_client().post(f"/webhooks/{platform}", data=b"{}", base_url=PUBLIC)
        assert answer.status_code == 401
        assert answer.data == b""
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("csrf", ["", "forged"])
def test_a_form_from_elsewhere_changes_nothing(office: Office, client: str, csrf: str) -> None:
    browser = office.browser().sign_in()
    office.role(browser, client, "configure")
    answer = browser.post(f"/organizations/{client}/settings/answers", csrf=csrf, income_basis="cash")
    assert answer.status_code == 400
    assert "open too long, or came from elsewhere" in answer.text
    with db.reading(office.engine) as tx:
        assert tx.scalar(sa.select(db.settings.c.income_basis)) is None


def test_another_persons_token_does_not_pass(office: Office, client: str) -> None:
    anna, ben = office.browser().sign_in("anna"), office.browser().sign_in("ben")
    office.role(anna, client, "configure")
    answer = anna.post(f"/organizations/{client}/read-now", csrf=ben.token())
    assert answer.status_code == 400


def test_an_organization_of_others_does_not_exist(office: Office, client: str) -> None:
    stranger = office.browser().sign_in("stranger")
    for page in _pages(client)[6:12]:
        assert stranger.get(page).status_code == 404, page
    with db.reading(office.engine) as tx:
        customer = tx.scalar(sa.select(db.customers.c.id))
    assert stranger.get(f"/organizations/{client}/customers/{customer}").status_code == 404
    assert stranger.get("/plans/PP-0001").status_code == 404
    assert stranger.get(f"/record?organization={client}").status_code == 404
    assert stranger.get(f"/queue?organization={client}").status_code == 404
    assert stranger.post(f"/connections/{client}/disconnect").status_code == 404
    assert "Corner" not in stranger.get("/find?q=corner").text
    assert stranger.get("/record.csv").text.count("\n") == 1  # the heading alone
    assert stranger.get("/record.json").text == "[]"


@pytest.mark.parametrize(
    ("role", "path", "form"),
    [
        ("read", "/organizations/{id}/read-now", {}),
        ("read", "/organizations/{id}/customers/{customer}/hold", {"reason": "manual"}),
        ("read", "/organizations/{id}/customers/{customer}/draft", {}),
        ("act", "/organizations/{id}/settings/answers", {"income_basis": "cash"}),
        ("act", "/organizations/{id}/settings/live", {"live": "1"}),
        ("act", "/organizations/{id}/people/invite", {"role": "configure"}),
        ("act", "/organizations/{id}/people/withdraw", {"invitation": "0"}),
        ("act", "/connections/{id}/disconnect", {}),
    ],
)
def test_a_role_that_is_too_small_is_refused_in_words(
    office: Office, client: str, role: str, path: str, form: dict[str, str]
) -> None:
    browser = office.browser().sign_in()
    office.role(browser, client, role)
    with db.reading(office.engine) as tx:
        customer = tx.scalar(sa.select(db.customers.c.id))
    answer = browser.post(path.format(id=client, customer=customer), **form)
    assert answer.status_code == 403
    assert "This needs the right to" in answer.text


def test_a_person_who_may_only_look_sees_no_button_that_acts(office: Office, client: str) -> None:
    browser = office.browser().sign_in()
    office.role(browser, client, "read")
    with db.reading(office.engine) as tx:
        customer = tx.scalar(sa.select(db.customers.c.id))
    page = browser.get(f"/organizations/{client}/customers/{customer}").text
    assert "Draft a plan" not in page
    assert "Note the promise" not in page
    assert "Read QuickBooks now" not in browser.get(f"/organizations/{client}").text


def test_an_expired_session_leads_to_sign_in_and_nothing_is_done(office: Office, client: str) -> None:
    browser = office.browser().sign_in()
    office.role(browser, client, "configure")
    token = browser.token()
    with db.transaction(office.engine) as tx:
        tx.execute(sa.update(db.sessions).values(seen_at=db.now() - people.SESSION_IDLE))
    answer = browser.post(f"/organizations/{client}/settings/answers", csrf=token, income_basis="cash")
    assert (answer.status_code, answer.location) == (302, "/sign-in")
    with db.reading(office.engine) as tx:
        assert tx.scalar(sa.select(db.settings.c.income_basis)) is None


def test_looking_for_news_does_not_keep_a_session_open(office: Office) -> None:
    browser = office.browser().sign_in()
    earlier = db.now() - dt.timedelta(minutes=90)
    with db.transaction(office.engine) as tx:
        tx.execute(sa.update(db.sessions).values(seen_at=earlier))
    browser.get("/account", headers={"X-Live": "1"})
    with db.reading(office.engine) as tx:
        assert tx.scalar(sa.select(db.sessions.c.seen_at)) == earlier
    browser.get("/account")
    with db.reading(office.engine) as tx:
        seen = tx.scalar(sa.select(db.sessions.c.seen_at))
    assert seen is not None
    assert seen > earlier


def test_signing_out_everywhere_ends_the_other_browser_too(office: Office) -> None:
    here, there = office.browser().sign_in(), office.browser().sign_in()
    assert there.get("/account").status_code == 200
    here.post("/sign-out", everywhere="1")
    assert there.get("/account").location == "/sign-in"


def test_signing_out_here_leaves_the_other_browser(office: Office) -> None:
    here, there = office.browser().sign_in(), office.browser().sign_in()
    here.post("/sign-out")
    assert here.get("/account").location == "/sign-in"
    assert there.get("/account").status_code == 200


def test_error_pages_are_in_plain_words(office: Office) -> None:
    browser = office.browser().sign_in()
    for path, status, words in (
        ("/no-such-page", 404, "There is no such page"),
        ("/plans/PP-9999", 404, "There is no such page"),
        ("/plans/drop table", 404, "There is no such page"),
        ("/connect/sage", 404, "There is no such page"),
        ("/sign-out", 405, "cannot be used like this"),
    ):
        answer = browser.get(path)
        assert answer.status_code == status, path
        assert words in answer.text
        assert "Traceback" not in answer.text
        assert "werkzeug" not in answer.text.lower()


def test_an_error_on_our_side_says_so_and_shows_nothing_inside(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = office.browser().sign_in()
    with db.transaction(office.engine) as tx:
        tx.exec_driver_sql("DROP TABLE memberships")
    answer = browser.get("/account")
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    assert "memberships" not in answer.text


def test_names_from_the_ledger_are_text_and_never_markup(office: Office, client: str) -> None:
    browser = office.browser().sign_in("x", "<script>alert(1)</script>")
    office.role(browser, client, "configure")
    with db.transaction(office.engine) as tx:
        tx.execute(sa.update(db.customers).values(name="<img src=x onerror=alert(1)>"))
    for page in (f"/organizations/{client}", f"/organizations/{client}/customers", "/account"):
        text = browser.get(page).text
        assert "<img src=x" not in text
        assert "<script>alert" not in text


def test_an_invitation_gives_one_role_and_can_be_spoiled(office: Office, client: str) -> None:
    owner, guest = office.browser().sign_in("owner"), office.browser().sign_in("guest")
    office.role(owner, client, "configure")
    page = owner.post(f"/organizations/{client}/people/invite", role="act").text
    link = re.search(r"http://localhost:8000(/invited/[^<\s]+)", page)
    assert link
    assert guest.get(f"/organizations/{client}").status_code == 404
    assert "approve plans" in guest.get(link.group(1)).text
    assert guest.get(link.group(1)[:-3]).status_code == 400
    guest.post(link.group(1), link.group(1))
    assert guest.get(f"/organizations/{client}").status_code == 200
    assert guest.post(f"/organizations/{client}/settings/live", live="1").status_code == 403

    second = office.browser().sign_in("second")
    assert "Somebody has used this link already" in second.get(link.group(1)).text
    assert second.post(link.group(1)).status_code == 400
    assert second.get(f"/organizations/{client}").status_code == 404


def test_an_invitation_ends_after_three_days_when_taken_back_and_with_its_maker(
    office: Office, client: str
) -> None:
    owner, guest = office.browser().sign_in("owner"), office.browser().sign_in("guest")
    office.role(owner, client, "configure")

    def link() -> str:
        page = owner.post(f"/organizations/{client}/people/invite", role="read").text
        found = re.search(r"http://localhost:8000(/invited/[^<\s]+)", page)
        assert found
        return found.group(1)

    old = link()
    with db.transaction(office.engine) as tx:
        tx.execute(sa.update(db.invitations).values(expires_at=db.now()))
    assert "good for three days" in guest.get(old).text

    settings_page = f"/organizations/{client}/settings"
    assert "Links not used yet" not in owner.get(settings_page).text
    taken_back = link()
    button = re.search(r'name="invitation" value="(\w+)"', owner.get(settings_page).text)
    assert button
    assert 'name="invitation"' not in guest.get(settings_page).text
    owner.post(f"/organizations/{client}/people/withdraw", settings_page, invitation=button.group(1))
    assert "taken back" in guest.get(taken_back).text

    orphan = link()
    office.role(owner, client, "act")
    assert "may no longer invite" in guest.get(orphan).text
    assert guest.post(orphan).status_code == 400
    assert guest.get(f"/organizations/{client}").status_code == 404


def test_the_last_person_who_may_configure_stays(office: Office, client: str) -> None:
    owner = office.browser().sign_in("owner")
    office.role(owner, client, "configure")
    with db.transaction(office.engine) as tx:
        for person, _ in people.members(tx, client):
            if person.id != owner.person_id:
                people.ungrant(tx, person.id, client)
    owner.post(f"/organizations/{client}/people/{owner.person_id}", role="read")
    with db.reading(office.engine) as tx:
        assert people.role(tx, owner.person_id, client) == "configure"
    assert "Somebody must be left" in owner.get("/account").text
