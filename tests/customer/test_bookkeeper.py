"""The bookkeeper's side: answers in the queue, one press each, addresses, settings, preview, feed."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from connector import db
from connector.contact import holds
from connector.customer_page import customer_answers, customer_links
from connector.platforms import Identity
from connector.practice import people, settings
from tests.customer.desk import PUBLIC, TODAY, Customer, Desk, a_customer, switch_on
from tests.stories.lives import Company


@dataclass
class Bookkeeper:
    client: FlaskClient

    def get(self, path: str) -> TestResponse:
        return self.client.get(path, base_url=PUBLIC)

    def post(self, path: str, **form: object) -> TestResponse:
        return self.client.post(path, base_url=PUBLIC, data={"csrf": "token-of-this-test", **form})


@pytest.fixture
def company(desk: Desk, platform: str) -> Company:
    made = desk.company(platform)
    switch_on(made)
    return made


@pytest.fixture
def bookkeeper(desk: Desk, company: Company) -> Bookkeeper:
    engine = desk.practice.engine
    with db.transaction(engine) as tx:
        who = Identity("https://issuer.example", company.connection_id, "d@firm.example", True, "Dana Reed")
        person = people.sign_in(tx, who, db.now())
        people.grant(tx, person.id, company.connection_id, "configure", by="test", now=db.now())
        key = people.start_session(tx, person.id, db.now())
    client = desk.app.test_client()
    with client.session_transaction(base_url=PUBLIC) as session:
        session["key"], session["csrf"] = key, "token-of-this-test"
    return Bookkeeper(client)


def _waiting(company: Company) -> list[customer_answers.Answer]:
    with db.reading(company.practice.engine) as tx:
        return customer_answers.waiting(tx, [company.connection_id])


def test_each_answer_stands_in_the_queue_and_is_settled_by_one_press(
    desk: Desk, company: Company, bookkeeper: Bookkeeper
) -> None:
    customer = a_customer(desk, company)
    invoice = company.invoice("1001").id
    customer.send("call", reach="+1 555 0100", when="any")
    customer.send("promise", day="2027-02-01", invoice=invoice)
    customer.send(
        "dispute", invoice=company.invoice("1002").id, reason="double", note="Twice?",
        file=(io.BytesIO(b"%PDF-1.7 <script>alert(1)</script>"), "../../two<b>.pdf"),
    )  # fmt: skip
    queue = bookkeeper.get("/queue").text
    assert "Customers answered, 3" in queue
    assert "3 things need" in queue or "things need" in queue
    call, promise, dispute = _waiting(company)
    assert bookkeeper.post(f"/answers/{call.id}/settle", act="done").status_code == 302
    bookkeeper.post(f"/answers/{promise.id}/settle", act="accept", reply="That works for us.")
    with db.reading(desk.practice.engine) as tx:
        [kept] = holds.promised(tx, company.connection_id)
    assert (kept.promised_on.isoformat(), kept.recorded_by) == ("2027-02-01", "Dana Reed")
    assert "answered: That works for us." in customer.page()

    found = re.search(r"/answers/files/(\d+)", bookkeeper.get("/queue").text)
    assert found
    file = bookkeeper.get(f"/answers/files/{found[1]}")
    assert file.mimetype == "application/octet-stream"
    assert file.headers["Content-Disposition"] == "attachment; filename=two_b_.pdf"
    assert "sandbox" in file.headers["Content-Security-Policy"]
    harsh = bookkeeper.post(f"/answers/{dispute.id}/settle", act="lift", reply="Pay now or we will sue you.")
    assert harsh.status_code == 302
    assert [a.id for a in _waiting(company)] == [dispute.id]  # such words do not go out
    bookkeeper.post(f"/answers/{dispute.id}/settle", act="lift", reply="We sent a corrected copy.")
    assert _waiting(company) == []
    with db.reading(desk.practice.engine) as tx:
        assert holds.active(tx, company.connection_id, today=TODAY) == []
    assert "Customers answered" not in bookkeeper.get("/queue").text
    time_line = bookkeeper.get(f"/organizations/{company.connection_id}/customers/{kept.customer_id}").text
    assert "Disputed an invoice" in time_line


def test_settings_preview_addresses_and_feed(desk: Desk, company: Company, bookkeeper: Bookkeeper) -> None:
    id, customer_id = company.connection_id, company.invoice("1001").customer
    path = f"/organizations/{id}/customer-page"
    with db.reading(desk.practice.engine) as tx:
        revision = settings.load(tx, id).revision
    wrong = bookkeeper.post(path, revision=revision, on="yes", color="#ffffff")
    assert wrong.status_code == 302
    assert "White words on this color are hard to read" in bookkeeper.get(path).text
    bookkeeper.post(
        path, revision=revision, on="yes", promise_days="21", color="#7A1F3D", holdout_percent="10"
    )
    with db.reading(desk.practice.engine) as tx:
        page = settings.load(tx, id).policy.page
    assert (page.on, page.promise_days, page.color, page.plans_alone) == (True, 21, "#7A1F3D", False)
    assert page.holdout_since == TODAY

    preview = bookkeeper.get(f"/organizations/{id}/customers/{customer_id}/page")
    assert "This is a preview." in preview.text
    assert "#7A1F3D" in preview.text
    assert 'name="t"' not in preview.text

    addresses = f"/organizations/{id}/customers/{customer_id}/addresses"
    bookkeeper.post(addresses)
    shown = bookkeeper.get(f"/organizations/{id}/customers/{customer_id}").text
    made = re.search(r"http://localhost:8000/c/[\w.-]+", shown)
    assert made
    customer = Customer(desk, made[0])
    customer.page()
    with db.reading(desk.practice.engine) as tx:
        [link] = customer_links.of_customer(tx, id, customer_id)
    bookkeeper.post(addresses, revoke=link.id, renew="yes")
    assert customer.get().status_code == 404
    with db.reading(desk.practice.engine) as tx:
        newest, _ = customer_links.of_customer(tx, id, customer_id)
    assert newest.documents == link.documents
    assert newest.works(db.now())

    bookkeeper.post(f"{path}/feed")
    feed = re.search(r"http://localhost:8000(/feed/[\w.-]+)", bookkeeper.get(path).text)
    assert feed
    reader = desk.app.test_client(use_cookies=False)
    news = reader.get(feed[1], base_url=PUBLIC)
    assert news.mimetype == "application/atom+xml"
    assert "Fern" not in news.text
    assert reader.get(feed[1].replace("/feed/", "/c/"), base_url=PUBLIC).status_code == 404
    bookkeeper.post(f"{path}/feed", end="yes")
    assert reader.get(feed[1], base_url=PUBLIC).status_code == 404
    assert "Who answered" in bookkeeper.get(path).text
