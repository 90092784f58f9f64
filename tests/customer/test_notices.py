"""The bookkeeper's e-mail of answers, to a mail server that a test reads: who gets it, when, and what it never holds."""

from __future__ import annotations

import datetime as dt
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from connector import config, db, jobs
from connector.config import WrongSetting
from connector.customer_page import mailing, notices
from connector.platforms import Identity
from connector.practice import people
from tests.customer.desk import PUBLIC, Desk, a_customer, switch_on
from tests.stories.lives import Company

SENDER = "Forbear <forbear@firm.example>"


@dataclass
class Sink:
    """A mail server (RFC 5321) that keeps what it is given; `refusing` makes it busy."""

    url: str = ""
    refusing: bool = False
    took: list[tuple[str, str]] = field(default_factory=list)


def _handler(sink: Sink) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            to = ""
            self._say("220 sink")
            while line := self.rfile.readline().decode().strip():
                word = line[:4].upper()
                if word == "RCPT":
                    to = line.partition("<")[2].partition(">")[0]
                    self._say("451 busy" if sink.refusing else "250 ok")
                elif word == "DATA":
                    self._say("354 go on")
                    lines = iter(lambda: self.rfile.readline().decode(), ".\r\n")
                    sink.took.append((to, "".join(lines)))
                    self._say("250 taken")
                elif word == "QUIT":
                    return self._say("221 bye")
                else:
                    self._say("250 ok")
            return None

        def _say(self, words: str) -> None:
            self.wfile.write(f"{words}\r\n".encode())

    return Handler


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _handler(made)) as server:
        made.url = f"smtp://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def _person(desk: Desk, company: Company, email: str, *, confirmed: bool = True) -> int:
    with db.transaction(desk.practice.engine) as tx:
        who = Identity("https://issuer.example", email, email, confirmed, "Dana Reed")
        person = people.sign_in(tx, who, db.now())
        people.grant(tx, person.id, company.connection_id, "act", by="test", now=db.now())
        notices.switch(tx, company.connection_id, person.id, True, who="Dana Reed", now=db.now())
    return person.id


def _tell(desk: Desk, company: Company, sink: Sink, monkeypatch: pytest.MonkeyPatch, later: int = 0) -> None:
    """What a worker does, so many minutes from now."""
    settings = replace(desk.practice.settings, smtp_url=sink.url, mail_from=SENDER, public_url=PUBLIC)
    now = db.now() + dt.timedelta(minutes=later)
    monkeypatch.setattr("connector.jobs.config.load", lambda: settings)
    monkeypatch.setattr("connector.jobs.db.now", lambda: now)
    jobs.tell_connection(company.connection_id)
    monkeypatch.undo()


def _due(desk: Desk, company: Company) -> list[notices.Notice]:
    with db.reading(desk.practice.engine) as tx:
        return notices.due(tx, company.connection_id, db.now())


def test_who_asked_is_told_once_of_what_is_new_without_a_word_of_the_customer(
    desk: Desk, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = desk.company("quickbooks")
    switch_on(company)
    customer = a_customer(desk, company)
    customer.send("call", reach="+1 555 0100", when="any")  # before anybody asked
    _person(desk, company, "dana@firm.example")
    stranger = _person(desk, company, "left@firm.example")
    _person(desk, company, "unconfirmed@firm.example", confirmed=False)
    with db.transaction(desk.practice.engine) as tx:
        people.ungrant(tx, stranger, company.connection_id)
    _tell(desk, company, sink, monkeypatch)
    assert sink.took == []

    customer.send("call", reach="+1 555 0199", when="any")
    customer.send("dispute", invoice=company.invoice("1001").id, reason="paid", note="Paid in cash <b>")
    _tell(desk, company, sink, monkeypatch)
    [(to, message)] = sink.took
    assert to == "dana@firm.example"
    assert "Subject: Customers answered on their pages" in message
    assert "2 answers are there to read" in message
    assert f"{PUBLIC}/queue?organization={company.connection_id}" in message
    token = customer.path.removeprefix("/c/")
    for secret in ("Fern", "555", "1001", "cash", token, "/c/", "USD", "/feed/"):
        assert secret not in message, secret
    _tell(desk, company, sink, monkeypatch)
    assert len(sink.took) == 1  # nothing is new

    customer.send("call", reach="+1 555 0177", when="any")
    _tell(desk, company, sink, monkeypatch)
    assert len(sink.took) == 1  # a quarter of an hour between two
    _tell(desk, company, sink, monkeypatch, later=16)
    assert "Subject: A customer answered on their page" in sink.took[1][1]


def test_a_server_that_is_busy_is_tried_again_later(
    desk: Desk, sink: Sink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    company = desk.company("xero")
    switch_on(company)
    person = _person(desk, company, "busy@firm.example")
    a_customer(desk, company).send("call", reach="+44 20 7946 0000", when="any")
    sink.refusing = True
    _tell(desk, company, sink, monkeypatch)
    assert sink.took == []
    assert "busy@firm.example" not in caplog.text
    assert _due(desk, company) == []  # it rests
    sink.refusing = False
    _tell(desk, company, sink, monkeypatch, later=2)
    assert [to for to, _ in sink.took] == ["busy@firm.example"]
    with db.transaction(desk.practice.engine) as tx:
        notices.switch(tx, company.connection_id, person, False, who="Dana Reed", now=db.now())
        assert company.connection_id not in notices.pending(tx, db.now() + dt.timedelta(days=1))


def test_without_a_server_nothing_leaves(desk: Desk, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    company = desk.company("quickbooks")
    switch_on(company)
    _person(desk, company, "quiet@firm.example")
    a_customer(desk, company).send("stop")
    address, sink.url = sink.url, ""
    _tell(desk, company, sink, monkeypatch)
    sink.url = address
    assert sink.took == []
    assert len(_due(desk, company)) == 1
    with db.reading(desk.practice.engine) as tx:
        assert company.connection_id in notices.pending(tx, db.now())


@pytest.mark.parametrize(
    ("server", "sender"),
    [
        ("mail.example.org", SENDER),
        ("http://mail.example.org", SENDER),
        ("smtp://", SENDER),
        ("smtp://mail.example.org:many", SENDER),
        ("smtps://u:secret-word@mail.example.org", "nobody"),
    ],
)
def test_a_wrong_setting_is_named_and_its_password_is_not_told(server: str, sender: str) -> None:
    with pytest.raises(WrongSetting, match="SMTP_URL|MAIL_FROM") as wrong:
        config.load({"FORBEAR_SMTP_URL": server, "FORBEAR_MAIL_FROM": sender})
    assert "secret-word" not in str(wrong.value)


def test_outside_this_machine_the_way_is_encrypted_or_nothing_is_sent(
    desk: Desk, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(desk.practice.settings, smtp_url=sink.url, mail_from=SENDER)
    monkeypatch.setattr("connector.customer_page.mailing.LOCAL_HOSTS", frozenset())
    with pytest.raises(mailing.Unsent, match="SMTPNotSupportedError"):
        mailing.send(settings, "dana@firm.example", "Hello", "Text", key="1")
    monkeypatch.undo()
    with pytest.raises(mailing.Unsent, match="ValueError"):
        mailing.send(settings, "dana@firm.example\r\nBcc: all@firm.example", "Hello", "Text", key="1")
    assert sink.took == []
