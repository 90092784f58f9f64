"""What leaves us, read as an attacker would: exports that a spreadsheet opens, headers, addresses, lines of the log."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import logging
import re
import unicodedata
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import typst
from flask import Flask
from sqlalchemy.engine import Engine
from werkzeug.test import TestResponse

import web
from connector import config, db, logs
from connector.contact import sheets
from connector.domain.agreement import Agreement
from connector.domain.demand import Block
from connector.planning import printing
from connector.record import audit
from tests.conftest import migrate
from tests.security import tenants
from tests.security.tenants import Tenant
from web import sign_in

EVIL = "evil.example"
FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "\ufeff=1",
    "\uff1d1+1",
    "\uff0b1",
    "\u00a0=1",
)
TWO_LINES = 'Kea\r\n{"level": "forged"}\u2028forged\x1b[2Jforged'


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    settings = config.load({"FORBEAR_DATA_DIR": str(tmp_path_factory.mktemp("outputs"))})
    migrate(settings)
    opened = db.engine(settings)
    yield opened
    opened.dispose()


@pytest.fixture(scope="module")
def app(engine: Engine) -> Flask:
    folder = str(Path(engine.url.database or "").parent)
    return web.create_app(config.load({"FORBEAR_DATA_DIR": folder}), engine)


@pytest.fixture(scope="module")
def tenant(engine: Engine, app: Flask) -> Tenant:
    return tenants._tenant(engine, app, "Albatross")


def answers(app: Flask, tenant: Tenant, **headers: str) -> Iterator[TestResponse]:
    """Of every address that can be looked at, by the person who may see most; whatever host they speak of."""
    cookie = tenant.people["configure"].get_cookie("forbear")
    assert cookie is not None
    browser = app.test_client(use_cookies=False)
    for rule in app.url_map.iter_rules():
        if "GET" in (rule.methods or set()) and rule.endpoint != "static":
            parts = [tenant.ids.get(part, ["xero"])[0] if dynamic else part for dynamic, part in rule._trace]
            path = "".join(part for part in parts if part != "|")
            yield browser.get(path, headers={"Cookie": f"forbear={cookie.value}", **headers})


def test_no_cell_of_the_record_is_a_formula(engine: Engine, tenant: Tenant) -> None:
    with db.transaction(engine) as tx:
        for formula in FORMULAS:
            audit.record(
                tx, who=formula, what=formula, why=formula, subject=formula, now=db.now(),
                connection_id=tenant.connection_id, before=formula, after={formula: formula},
            )  # fmt: skip
        name = sa.update(db.connections).where(db.connections.c.id == tenant.connection_id)
        tx.execute(name.values(organization="=HYPERLINK(1)"))
    said = tenant.people["read"].get("/record.csv").get_data(as_text=True)
    table = list(csv.reader(io.StringIO(said, newline="")))
    assert len(table) > len(FORMULAS)
    for cell in (cell for row in table for cell in row):
        seen = unicodedata.normalize("NFKC", cell).lstrip("\ufeff \t\r\n")
        assert seen[:1] not in ("=", "+", "-", "@"), repr(cell)


def test_nothing_of_the_books_is_kept_by_a_browser_or_a_proxy(app: Flask, tenant: Tenant) -> None:
    shown = [a for a in answers(app, tenant) if a.status_code == 200]
    assert len(shown) > 25
    for answer in shown:
        assert "no-store" in answer.headers["Cache-Control"], answer.request.path


def test_a_forged_host_is_in_no_page_and_no_redirect(app: Flask, tenant: Tenant) -> None:
    seen = 0
    for answer in answers(app, tenant, Host=EVIL, **{"X-Forwarded-Host": EVIL}):
        seen += answer.status_code == 200
        assert EVIL not in answer.get_data(as_text=True), answer.request.path
        assert EVIL not in answer.headers.get("Location", ""), answer.request.path
    assert seen > 25


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "\\/evil.example", "https://evil.example", "evil"]
)
def test_only_a_path_of_ours_is_a_way_back(app: Flask, path: str) -> None:
    assert sign_in.way_back({"next": path}) == "/"
    assert sign_in.way_back({"next": "/queue?item=1"}) == "/queue?item=1"


def test_the_theme_is_one_of_ours_and_its_cookie_as_guarded_as_the_session_s(
    engine: Engine, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORBEAR_PUBLIC_URL", "https://books.example.org")
    monkeypatch.setenv("FORBEAR_DATA_DIR", str(Path(engine.url.database or "").parent))
    browser = web.create_app(config.load(), engine).test_client()
    with tenant.people["read"].session_transaction() as session:
        known = dict(session)
    https = {"base_url": "https://localhost", "headers": {"X-Forwarded-Proto": "https"}}
    with browser.session_transaction(**https) as session:  # type: ignore[arg-type]
        session.update(known)
    for asked, kept in (("dark", "dark"), ("x" * 5000, ""), ("light; Domain=evil.example", "")):
        sent = browser.post("/theme", data={"csrf": known["csrf"], "theme": asked}, **https)  # type: ignore[arg-type]
        [cookie] = [c for c in sent.headers.getlist("Set-Cookie") if c.startswith("theme=")]
        assert cookie.startswith(f"theme={kept};")
        assert all(flag in cookie for flag in ("Secure", "HttpOnly", "SameSite=Lax"))


@pytest.mark.parametrize("as_json", [True, False])
def test_nothing_that_comes_in_makes_a_line_of_the_log(
    as_json: bool, app: Flask, engine: Engine, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    with db.transaction(engine) as tx:
        tx.execute(sa.update(db.customers).values(name=TWO_LINES))
        tx.execute(sa.update(db.connections).values(organization=TWO_LINES))
    person, csrf = tenant.people["configure"], tenant.csrf["configure"]
    headers = {"User-Agent": "x forged", "Referer": "http://localhost/%0Aforged"}
    with caplog.at_level(logging.INFO):
        for path in ("/plans/a%0D%0Aforged", "/organizations/forged%0A", "/find?q=forged%0A", "/forged%0A"):
            person.get(path, headers=headers)
        person.get(f"/organizations/{tenant.connection_id}/customers/{tenants.SHARED_ID}", headers=headers)
        person.post(
            f"/organizations/{tenant.connection_id}/settings/policy", data={"csrf": csrf, "from": TWO_LINES}
        )
        with logs.about(write=TWO_LINES):
            logging.getLogger("connector").info("written", extra=logs.facts(reference=TWO_LINES))
    lines = [logs.Lines(as_json=as_json).format(record) for record in caplog.records]
    assert len(lines) >= 7
    for line in lines:
        assert line.isprintable(), line
        if as_json:
            assert json.loads(line)["level"] != "forged"
    assert sum("forged" in line for line in lines) == 1  # the ids that this test made up itself


# ---------------------------------------------------------------- documents

MARKUP = (
    '") #link("https://evil.example")[x] #("',
    '\\") #link("https://evil.example")[x]',
    ']#link("https://evil.example")[x]',
    '#read("/etc/passwd")',
    "= Heading *bold* $x$ `raw` <label> @ref // gone /* gone",
    '\\u{22}#link("https://evil.example")[x]',
    "(/URI (https://evil.example)) endobj",
)


def inside(pdf: bytes) -> bytes:
    """What stands in a PDF, its packed parts too."""
    packed = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.S)
    return pdf + b"".join(zlib.decompressobj().decompress(part) for part in packed if part[:1] == b"\x78")


def test_a_name_in_a_script_without_a_font_keeps_no_document_from_being_made() -> None:
    day = dt.date(2026, 11, 18)
    for name in ("東京工業株式会社", "Joe’s Pizza 🍕👩‍🍳", "한국 ไทย 😀"):
        text = f"Payment plan\n\nIn short\n- {name} pays 10.00 USD."
        assert printing.agreement(Agreement(name, "", text, "0" * 64), day).startswith(b"%PDF")
        assert sheets.pdf(name, [Block(name, heading=True), Block(rows=((name, "b"), ("c", name)))], day)


def test_no_name_becomes_a_link_or_a_command_of_a_document() -> None:
    day = dt.date(2026, 11, 18)
    known = typst.compile(b'#link("https://evil.example")[x]')
    assert b"/URI" in inside(bytes(known))  # it would be seen
    text = "Payment plan\n\n1. The debt\n" + "\n".join((*MARKUP, *(f"- {m}" for m in MARKUP)))
    blocks = [
        Block(MARKUP[0], heading=True),
        *(Block(m) for m in MARKUP),
        Block(rows=(("a", "b"), *((m, m) for m in MARKUP))),
    ]
    for made in (
        printing.agreement(Agreement(MARKUP[0], "", text, "0" * 64), day, foot=MARKUP[1]),
        sheets.pdf(MARKUP[0], blocks, day),
    ):
        assert made.startswith(b"%PDF")
        for word in (b"/URI", b"/JavaScript", b"/Launch", b"/EmbeddedFile", b"/OpenAction", b"root:x:0"):
            assert word not in inside(made).replace(MARKUP[-1].encode(), b"")
