"""The bookkeeper's own texts: tried on a real customer, refused with the sentence, kept, and taken back."""

from __future__ import annotations

import pytest

from connector import db
from connector.domain.policy import OwnText
from connector.mirroring import sync
from connector.practice import settings
from tests.web.office import Browser, Office

GOOD = "Could you tell us on which day we can expect {amount} for {number}?"
BAD = "Pay {amount} by tomorrow or we will hand you to a collection agency. You should be ashamed."


@pytest.fixture
def page(office: Office) -> tuple[Browser, str, str]:
    browser = office.browser()
    browser.connect("quickbooks")
    id = office.connection("quickbooks")
    sync.sync(office.engine, office.config, id)
    return browser, id, f"/organizations/{id}/texts"


def own(office: Office, id: str) -> tuple[OwnText, ...]:
    with db.reading(office.engine) as tx:
        return settings.load(tx, id).policy.letters.own


def test_tried_refused_kept_and_taken_back(office: Office, page: tuple[Browser, str, str]) -> None:
    browser, id, address = page
    shown = browser.get(address).text
    assert "Nothing speaks against it." in shown
    assert "Invoice 1001: 1,150.00 USD" in shown  # a real customer's letter
    where = {"level": "check", "segment": "default", "language": "en-US"}

    tried = browser.post(address, address, do="try", text=BAD, **where).text
    assert "no step of your policy hands anything over" in tried
    refused = browser.post(address, address, do="keep", text=BAD, **where).text
    assert "The text is not kept" in refused
    assert BAD.replace("'", "&#39;") in refused  # nothing that was written is lost
    assert own(office, id) == ()
    assert "is not a field" in browser.post(address, address, do="keep", text="Dear {nickname}", **where).text
    assert own(office, id) == ()

    assert browser.post(address, address, do="keep", text=GOOD, **where).status_code == 302
    assert own(office, id) == (OwnText("en-US", "check", "default", GOOD),)
    assert "This text is your own." in browser.get(address).text
    assert browser.post(address, address, do="reset", **where).status_code == 302
    assert own(office, id) == ()


def test_a_sentence_about_something_else_is_pointed_at_and_kept(
    office: Office, page: tuple[Browser, str, str]
) -> None:
    browser, id, address = page
    where = {"level": "check", "segment": "default", "language": "en-US"}
    strange = f"{GOOD} My brother-in-law is a solicitor."
    tried = browser.post(address, address, do="try", text=strange, **where).text
    assert "Please read this sentence once more" in tried
    assert "<b>“My brother-in-law is a solicitor.”</b><br>It brings other people in." in tried
    assert "Please read" not in browser.post(address, address, do="try", text=GOOD, **where).text
    assert browser.post(address, address, do="keep", text=strange, **where).status_code == 302
    assert own(office, id) == (OwnText("en-US", "check", "default", strange),)


def test_every_step_kind_and_language_opens(page: tuple[Browser, str, str]) -> None:
    browser, _, address = page
    for level, segment, language in (("friendly", "reliable", "de"), ("final", "backlog", "fr"), ("installment_missed", "squeezed", "es")):  # fmt: skip
        text = browser.get(f"{address}?level={level}&segment={segment}&language={language}").text
        assert "Nothing speaks against it." in text
    assert browser.get(f"{address}?level=sulk&language=tlh&customer=nobody").status_code == 200


def test_who_may_only_look_keeps_nothing(office: Office, page: tuple[Browser, str, str]) -> None:
    _, id, address = page
    other = office.browser().sign_in("bert", "Bert Ohm")
    office.role(other, id, "act")
    answer = other.post(
        address, address, do="keep", text=GOOD, level="check", segment="default", language="en-US"
    )
    assert answer.status_code == 403
    assert own(office, id) == ()
