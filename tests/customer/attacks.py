"""What an outsider tries against the customer's page. Each attack says what it found: "" is nothing.

The tests and `benchmarks/customer_page.py` run the same list.
"""

from __future__ import annotations

import datetime as dt
import io
import itertools
import re
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html import unescape

import sqlalchemy as sa
from itsdangerous import Signer

from connector import db
from connector.customer_page import customer_links, offering
from connector.customer_page.answering import A_DAY
from connector.record import personal
from tests.customer.desk import PUBLIC, Customer, Desk, a_customer, switch_on
from tests.stories.lives import Company

SCRIPT = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}'
LARGE = 50_000_000
ROUNDS = 4  # at most, of a measurement that something disturbed


@dataclass
class Scene:
    """Two organizations, each with a customer at their page."""

    desk: Desk
    mine: Company
    other: Company
    customer: Customer
    stranger: Customer

    def kept(self) -> str:
        """Everything that customers' answers could change, as one text."""
        tables = ("promises", "holds", "customer_answers", "customer_files", "plans")
        with db.reading(self.desk.practice.engine) as tx:
            return str([tx.execute(sa.select(db.metadata.tables[t])).all() for t in tables])

    def status(self, path: str) -> int:
        return self._reader().get(path).status_code

    def _reader(self) -> Customer:
        return Customer(self.desk, self.customer.address)


def scene(desk: Desk, mine: Company, other: Company) -> Scene:
    return Scene(
        desk, mine, other, a_customer(desk, mine, numbers=["1001"]), a_customer(desk, other, numbers=["1001"])
    )


def _found(answers: list[int], allowed: tuple[int, ...] = (404, 429)) -> str:
    wrong = [a for a in answers if a not in allowed]
    return f"answers {sorted(set(wrong))}" if wrong else ""


def guess(s: Scene) -> str:
    """Random addresses, shortened ones, changed letters, no signature."""
    token = s.customer.path.removeprefix("/c/")
    secret, signature = token.rsplit(".", 1)
    tried = [secrets.token_urlsafe(16) for _ in range(5)]
    tried += [
        secret,
        f"{secret}.",
        token[:-1],
        token[1:],
        token.swapcase(),
        f"{secret}.{signature[::-1]}",
        ".",
    ]
    tried += ["../" + token, "%00", "' OR 1=1 --", "0" * 4000]
    return _found([s.status(f"/c/{t}") for t in tried], (404, 429, 308, 400))


def forge(s: Scene) -> str:
    """A signature of a key that is not the installation's over a secret of ours."""
    secret = s.customer.path.removeprefix("/c/").rsplit(".", 1)[0]
    return _found([s.status("/c/" + Signer("guess", salt="forbear customer page").sign(secret).decode())])


def swap_signatures(s: Scene) -> str:
    """One address's secret with another's signature."""
    mine, theirs = (c.path.removeprefix("/c/").rsplit(".", 1) for c in (s.customer, s.stranger))
    return _found([s.status(f"/c/{mine[0]}.{theirs[1]}"), s.status(f"/c/{theirs[0]}.{mine[1]}")])


def expired(s: Scene) -> str:
    past = db.now() - dt.timedelta(days=61)
    old = a_customer(s.desk, s.mine, numbers=["1001"], days=60, now=past)
    return _found([old.get().status_code])


def revoked(s: Scene) -> str:
    gone = a_customer(s.desk, s.mine, numbers=["1001"])
    with db.transaction(s.desk.practice.engine) as tx:
        newest = customer_links.of_connection(tx, s.mine.connection_id)[-1]
        customer_links.revoke(tx, [newest.id], who="Dana", now=db.now())
    return _found([gone.get().status_code])


def other_documents(s: Scene) -> str:
    """A forwarded address shows its documents only; the same customer's others, and other customers', stay unseen."""
    page = s.customer.page()
    seen = [w for w in ("1002", "2001", "Quiet Quay") if w in page]
    return f"shows {seen}" if seen else ""


def swap_ids(s: Scene) -> str:
    """Forms that name documents, plans and counts which the page does not show."""
    before, reader = s.kept(), s._reader()
    hidden = s.mine.invoice("1002").id
    theirs = s.other.invoice("1001").id
    answers = []
    for invoice in (hidden, theirs, "0", "' OR '1'='1", ""):
        answers.append(reader.send("dispute", invoice=invoice, reason="paid").status_code)
        if invoice:
            answers.append(reader.send("promise", invoice=invoice, day="2026-12-01").status_code)
    token = reader.token("call")
    answers.append(reader.send("change", token=token, plan="PP-0001", what="later").status_code)
    for count in ("0", "-3", "61", "9" * 40, "1e9"):
        answers.append(reader.send("terms", token=token, count=count, first="2026-12-01").status_code)
    answers.append(
        reader.send(
            "agree", token=token, count="3", first="2026-12-01", name="X", agreed="yes", read="0" * 64
        ).status_code
    )
    answers.append(reader.get(f"{reader.path}/agreement-PP-0001.pdf").status_code)
    return _found(answers, (404, 422, 429)) or ("something changed" if s.kept() != before else "")


def replay(s: Scene) -> str:
    """The same form twenty times is one answer."""
    reader = s._reader()
    token = reader.token("call")
    statuses = [
        reader.send("call", token=token, reach="+1 555 0143", when="any").status_code for _ in range(15)
    ]
    return _found(statuses, (303, 429)) or _more_than_one(s, "+1 555 0143")


def foreign_token(s: Scene) -> str:
    """A form's token of another address, none, or a made-up one."""
    before, reader = s.kept(), s._reader()
    tokens = [s.stranger.token("call"), "", "guess", "W10.aaaa.bbbb"]
    statuses = [reader.send("call", token=t, reach="+1 555 0100").status_code for t in tokens]
    return _found(statuses, (422, 429)) or ("something changed" if s.kept() != before else "")


def script_in_every_field(s: Scene) -> str:
    """Markup, template code and control characters in each field come back as text or not at all."""
    _bill(s, "Markup Mill", "7001", "7002")
    found, reader = [], Customer(s.desk, a_customer(s.desk, s.mine, "Markup Mill").address, agent=SCRIPT)
    invoice = s.mine.invoice("7002").id
    forms: tuple[tuple[str, dict[str, object]], ...] = (
        ("call", {"reach": SCRIPT, "when": SCRIPT}),
        ("promise", {"day": SCRIPT, "invoice": SCRIPT, "amount": SCRIPT}),
        ("dispute", {"invoice": invoice, "reason": "other", "note": SCRIPT,
                     "file": (io.BytesIO(b"%PDF-1.4" + SCRIPT.encode()), f"{SCRIPT}.html")}),
        ("offers", {"amount": SCRIPT}),
        ("data", {"what": "correct", "note": SCRIPT + "\x00\r\nSet-Cookie: a=b"}),
    )  # fmt: skip
    for act, form in forms:
        answer = reader.send(act, **form)
        if answer.status_code not in (303, 422, 429):
            found.append(f"{act}: {answer.status_code}")
        if "Set-Cookie" in answer.headers or "<script" in answer.text or "<img" in answer.text:
            found.append(f"{act}: comes back as markup")
    page = reader.get().text
    if (
        "<script" in page
        or "<img" in page
        or "49" in unescape(page).replace(SCRIPT, "").split("alert(2)", 1)[-1:]
    ):
        found.append("the page holds markup")
    return "; ".join(found)


def upload_of_50_mb(s: Scene) -> str:
    """Refused by its length, before it is read; a file in a form without one, too."""
    before, reader = s.kept(), s._reader()
    token = reader.token("call")
    statuses = []
    for size in (LARGE, 5_100_000):
        head = f'--b\r\nContent-Disposition: form-data; name="t"\r\n\r\n{token}\r\n--b\r\nContent-Disposition: form-data; '
        body = f'{head}name="file"; filename="a.pdf"\r\n\r\n%PDF-'.encode() + b"0" * size + b"\r\n--b--\r\n"
        answer = reader.client.post(
            f"{reader.path}/dispute",
            base_url=PUBLIC,
            data=body,
            content_type="multipart/form-data; boundary=b",
            environ_overrides={"REMOTE_ADDR": reader.remote},
        )
        statuses.append(answer.status_code)
    statuses.append(reader.send("call", token=token, reach="x" * 100_000).status_code)
    return _found(statuses, (413, 429)) or ("something was kept" if s.kept() != before else "")


def wrong_types(s: Scene) -> str:
    """What pretends to be a picture is none."""
    before, reader = s.kept(), s._reader()
    statuses = []
    for content in (
        b"MZ\x90\x00",
        b"<html><script>alert(1)</script>",
        b"GIF89a",
        b"PK\x03\x04",
        b"<svg onload=alert(1)>",
    ):
        file = (io.BytesIO(content), "photo.jpg", "image/jpeg")
        invoice = s.mine.invoice("1001").id
        statuses.append(reader.send("dispute", invoice=invoice, reason="other", file=file).status_code)
    return _found(statuses, (422, 429)) or ("something was kept" if s.kept() != before else "")


def polyglot(s: Scene) -> str:
    """A PDF that is also a page, under names that a header or a path could misread: kept as bytes, shown by nobody."""
    reader = a_customer(s.desk, s.mine, numbers=["1001"])
    invoice, found = s.mine.invoice("1001").id, []
    for name in (
        "x.html\"; filename*=UTF-8''y.html",
        "a.pdf\r\nSet-Cookie: a=b",
        "../../../etc/passwd",
        "\u202egpj.exe",
        ".",
    ):
        file = (io.BytesIO(b"%PDF-1.7\n<script>alert(1)</script>" + name.encode()), name, "text/html")
        status = reader.send("dispute", invoice=invoice, reason="other", file=file).status_code
        if status not in (303, 422):
            found.append(f"{name!r}: {status}")
    with db.reading(s.desk.practice.engine) as tx:
        f = db.customer_files.c
        kept = tx.execute(sa.select(f.id, f.name, f.type)).all()
    for id, name, type in kept:
        if set(name) & set('\r\n"/\\;:*\u202e') or type == "text/html" or name.startswith("."):
            found.append(f"keeps {name!r} as {type}")
        if reader.get(f"/answers/files/{id}").status_code == 200:
            found.append("hands it to anybody")
    return "; ".join(found)


def left_behind(s: Scene) -> str:
    """Nothing stays in a cache, a referrer or a frame, whatever the answer is; and no host but ours is asked."""
    reader, found = s._reader(), []
    token = reader.token("call")
    answers = [
        reader.get(), reader.get("/c/nothing.at-all"), reader.send("call", token=token, reach="1"),
        reader.send("call", token=token, reach="+1 555 0123"), reader.get(f"{reader.path}/agreement-PP-0001.pdf"),
        reader.client.post(f"{reader.path}/call", base_url=PUBLIC, data={"t": "x" * 99_000}),
    ]  # fmt: skip
    for answer in answers:
        h = answer.headers
        if "no-store" not in h.get("Cache-Control", "") or h.get("Referrer-Policy") != "no-referrer":
            found.append(f"{answer.status_code}: may be kept or told on")
        if "frame-ancestors 'none'" not in h.get("Content-Security-Policy", "") or "Set-Cookie" in h:
            found.append(f"{answer.status_code}: may be framed or followed")
        if re.search(r'(src|srcset|action|background|ping)="(https?:)?//', answer.text):
            found.append(f"{answer.status_code}: asks another host")
    return "; ".join(found)


def at_the_same_moment(s: Scene) -> str:
    """The same form from several connections at once is one answer."""
    reader = a_customer(s.desk, s.mine, numbers=["1001"])
    token = reader.token("call")
    with ThreadPoolExecutor(4) as several:
        again = [
            several.submit(Customer(s.desk, reader.address).send, "call", token=token, reach="+1 555 0142")
            for _ in range(8)
        ]
        statuses = [each.result().status_code for each in again]
    return _found(statuses, (303,)) or _more_than_one(s, "+1 555 0142")


def _more_than_one(s: Scene, reach: str) -> str:
    with db.reading(s.desk.practice.engine) as tx:
        a = db.customer_answers.c
        mine = sa.select(a.data).where(a.connection_id == s.mine.connection_id)
        kept = [d for d in tx.scalars(mine) if d.get("reach") == reach]
    return f"{len(kept)} answers" if len(kept) != 1 else ""


def agree_for_others(s: Scene) -> str:
    """A plan that this address does not show cannot be read, agreed to or changed with it, whoever was offered it."""
    found = []
    for company in (s.other, s.mine):
        switch_on(company)
        who = next(c.id for c in company.pretend.customers if c.name == "Quiet Quay")
        draft = company.propose(who, ["2001"], 2)
        with db.transaction(s.desk.practice.engine) as tx:
            offering.offer(
                tx,
                draft.id,
                alone=True,
                revision=draft.revision,
                who="Dana",
                now=db.now(),
                today=company.today,
            )
        before, reader = s.kept(), s._reader()
        token = reader.token("call")
        signed = {"name": "X", "agreed": "yes", "read": "0" * 64}
        for act, form in (("offered", {}), ("accept", signed), ("change", {"what": "later"})):
            found.append(reader.send(act, token=token, plan=draft.id, **form).status_code)
        for tail in ("", "?of=new"):
            found.append(reader.get(f"{reader.path}/agreement-{draft.id}.pdf{tail}").status_code)
        if s.kept() != before:
            return "something changed"
    return _found(found, (404, 422))


def after_erasure(s: Scene) -> str:
    """A forwarded address ends with the person's data, and tells nobody why."""
    owner = _bill(s, "Gone Grocer", "6001")
    gone = a_customer(s.desk, s.mine, "Gone Grocer")
    if gone.get().status_code != 200:
        return "it never worked"
    with db.transaction(s.desk.practice.engine) as tx:
        personal.erase(tx, s.mine.connection_id, owner, who="Dana", now=db.now())
    return _found([gone.get().status_code])


def _bill(s: Scene, name: str, *numbers: str) -> str:
    """A customer whom no other attack touches; returns their id."""
    owner = s.mine.customer(name)
    for number in numbers:
        s.mine.bill(owner, number, s.mine.today - dt.timedelta(40), s.mine.today - dt.timedelta(10), 20000)
    s.mine.sync()
    return owner


def tell_apart(s: Scene) -> str:
    """A guess, an ended and another installation's address: the same words and headers, about the same time."""
    past = db.now() - dt.timedelta(days=61)
    old = a_customer(s.desk, s.mine, numbers=["1001"], days=60, now=past).path
    guessed = "/c/" + secrets.token_urlsafe(16) + "." + "A" * 27
    answers = {path: s._reader().get(path) for path in (old, guessed, "/c/x")}
    if len({(a.status_code, a.text, str(sorted(a.headers))) for a in answers.values()}) != 1:
        return "the answers differ"
    return "the times differ" if _times_differ(s, old, guessed) else ""


def _times_differ(s: Scene, *paths: str) -> bool:
    """By the least disturbed try of each: by the clock, and more sharply by the work done, which a busy machine's
    other work does not lengthen. A true difference stays, however often one looks; a disturbance does not."""
    clock: dict[str, list[float]] = {path: [] for path in paths}
    work: dict[str, list[float]] = {path: [] for path in paths}
    for _ in range(ROUNDS):
        for _, path in itertools.product(range(25), paths):
            reader = s._reader()
            began, worked = time.perf_counter(), time.thread_time()
            reader.get(path)
            work[path].append(time.thread_time() - worked)
            clock[path].append(time.perf_counter() - began)
        if _apart(clock) <= 0.01 and _apart(work) <= 0.005:
            return False
    return True


def _apart(spent: dict[str, list[float]]) -> float:
    least = [min(times) for times in spent.values()]
    return max(least) - min(least)


def too_often(s: Scene) -> str:
    """Guessing and sending are slowed down, also when a minute begins in between."""
    reader = s._reader()
    statuses = [reader.get(f"/c/{n}").status_code for n in range(75)]
    sent = [reader.send("call", token="x", reach="1").status_code for _ in range(130)]  # noqa: S106
    return "" if 429 in statuses and 429 in sent else "nobody slows it down"


def flood_of_answers(s: Scene) -> str:
    """Through one address so many answers a day, then a person is named instead."""
    reader = a_customer(s.desk, s.mine, numbers=["1001"])
    token = reader.token("call")
    statuses = [reader.send("call", token=token, reach=f"+1 555 01{n:02}").status_code for n in range(14)]
    kept = statuses.count(303)
    return "" if kept == A_DAY and statuses[-1] == 422 else f"{kept} answers of one day"


def sign_in_with_it(s: Scene) -> str:
    """An address opens no page of the bookkeeper's."""
    reader = s._reader()
    id = s.mine.connection_id
    statuses = [
        reader.get(p).status_code for p in (f"/organizations/{id}", "/queue", f"{reader.path}/..", "/feed/x")
    ]
    return _found(statuses, (302, 404, 308))


def another_method(s: Scene) -> str:
    """PUT, DELETE and a form sent to the page itself."""
    client = s.desk.app.test_client(use_cookies=False)
    statuses = [
        client.open(
            s.customer.path + tail, method=m, base_url=PUBLIC, environ_overrides={"REMOTE_ADDR": "198.51.9.9"}
        ).status_code
        for m in ("PUT", "DELETE", "PATCH", "POST")
        for tail in ("", "/nonsense")
    ]
    return _found(statuses, (404, 405))


ATTACKS: tuple[Callable[[Scene], str], ...] = (
    guess, forge, swap_signatures, expired, revoked, other_documents, swap_ids, replay, foreign_token,
    script_in_every_field, upload_of_50_mb, wrong_types, tell_apart, too_often, flood_of_answers,
    sign_in_with_it, another_method, polyglot, left_behind, at_the_same_moment, agree_for_others, after_erasure,
)  # fmt: skip
