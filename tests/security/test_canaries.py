"""A whole working day on both ledgers, with troubles, and then a search of everything that was written down.

Canaries: every token and code that the ledgers ever gave, our own secrets, and the names, addresses and texts of
customers. None may stand in a log line; no secret may stand on a page, in an export, in the queue, or readable in
the database.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from connector import db, waking
from connector.connecting import keys
from connector.domain.policy import Mode
from connector.planning import plans
from sandbox import acts
from sandbox.faults import Fault
from tests.security.practice import LEDGERS, WEBHOOK_KEY, Practice, a_practice
from webhooks.signature import sign

NAMES = ("Zebulon Finchbird", "Finchbird & Daughters", "canary-line-of-text", "CANARY-REF")
ADDRESSES = ("zebulon@finchbird.example", "+1 555 0199 443")


def company(platform: str) -> dict[str, Any]:
    return {
        "format": "books/1",
        "company": {
            "id": f"aviary-{platform}", "name": "Aviary Supply", "country": "US", "home_currency": "USD",
            "timezone": "America/New_York", "as_of": "2026-11-18",
        },
        "customers": [
            {"id": "c1", "name": "Zebulon Finchbird", "currency": "USD", "email": ADDRESSES[0], "phone": ADDRESSES[1]},
            {"id": "c2", "name": "Finchbird & Daughters", "currency": "USD", "email": ADDRESSES[0]},
        ],
        "invoices": [
            {
                "id": "i1", "number": "1001", "customer_id": "c1", "issue_date": "2026-08-01",
                "due_date": "2026-08-31", "total_cents": 115000, "reference": "CANARY-REF",
                "lines": [{"description": "canary-line-of-text", "net_cents": 100000, "tax_cents": 15000}],
            },
            {
                "id": "i2", "number": "1002", "customer_id": "c2", "issue_date": "2026-10-01",
                "due_date": "2026-11-13", "total_cents": 40000,
            },
        ],
        "payments": [
            {
                "id": "p1", "customer_id": "c1", "date": "2026-09-20", "amount_cents": 30000,
                "allocations": [{"invoice_id": "i1", "amount_cents": 30000}],
            },
        ],
    }  # fmt: skip


def trouble(practice: Practice) -> None:
    """What goes wrong quotes the customer and a token."""
    quoted = (
        f'{{"Message": "Zebulon Finchbird <{ADDRESSES[0]}>", "access_token": "eyJhbGciOiJub25lIn0.canary.x"}}'
    )
    for platform in LEDGERS:
        for variant in (500, 400, 503):
            practice.world.faults.add(
                Fault(action="status", status=variant, platform=platform, method="GET", times=1)
            )
        practice.world.faults.add(
            Fault(
                action="body", body=quoted, content_type="application/json", platform=platform, method="GET"
            )
        )


def a_working_day(practice: Practice) -> list[str]:
    """Connect, plan, remind, pay, fail, disconnect. Returns the pages that were seen, as text."""
    seen: list[str] = []
    ids = {}
    for platform in LEDGERS:
        pretend = practice.add(platform, company(platform))
        id = ids[platform] = practice.connect(platform, pretend)
        practice.until(lambda id=id: practice.connection(id).last_review_on, "the first review")  # type: ignore[misc]
        base = f"/organizations/{id}"
        practice.press(f"{base}/settings/answers", income_basis="accrual", sales_tax_basis="accrual")
        practice.press(f"{base}/settings/live", live="1", ledger_reminders="off")
        draft = the_draft(practice, id)
        practice.press(
            f"/plans/{draft.id}/change", installments="3", mode="split", revision=str(draft.revision)
        )
        practice.press(f"/plans/{draft.id}/approve")

        def written(plan: str = draft.id) -> bool:
            with db.reading(practice.engine) as tx:
                state = plans.get(tx, plan).state
            if (
                state == "proposed"
            ):  # a note was written on its invoice meanwhile: looked at anew, approved anew
                practice.press(f"/plans/{plan}/approve")
            return state == "running"

        practice.until(written, "the plan")
        acts.pay(pretend, invoice=next(i.id for i in pretend.invoices if i.number == "1002"))
        for path in (base, f"{base}/customers", f"{base}/settings", f"{base}/written", f"/plans/{draft.id}"):
            seen.append(practice.browser.session.get(practice.config.public_url + path, timeout=60).text)
    for path in ("/", "/queue", "/record", "/account", "/metrics", "/readyz"):
        seen.append(practice.browser.session.get(practice.config.public_url + path, timeout=60).text)
    a_row_that_the_database_refuses(practice, ids["quickbooks"])
    trouble(practice)
    for id in ids.values():
        for _ in range(4):
            practice.press(f"/organizations/{id}/settings/look")
    bad_messages(practice)
    seen.append(a_page_while_a_table_is_gone(practice))
    practice.press(f"/connections/{ids['xero']}/disconnect")
    return seen


def the_draft(practice: Practice, id: str) -> plans.Record:
    """The draft by the accountant's answers: the first one was made before them, and is withdrawn for it."""
    found: list[plans.Record] = []

    def drafted() -> bool:
        with db.reading(practice.engine) as tx:
            found[:] = [p for p in plans.of_connection(tx, id) if p.state == "proposed"]
        return [p.plan.mode for p in found] == [Mode.SPLIT]

    practice.until(drafted, "the draft by the answers")
    return found[0]


def bad_messages(practice: Practice) -> None:
    """Forged and unreadable webhooks, and a callback from nowhere."""
    body = json.dumps({"events": {"customer": NAMES[0], "mail": ADDRESSES[0]}}).encode()
    url = practice.config.public_url
    for signature in ("forged", sign(body, WEBHOOK_KEY)):
        requests.post(f"{url}/webhooks/xero", data=body, headers={"x-xero-signature": signature}, timeout=120)
    requests.get(f"{url}/connect/xero/callback?code=canary-code-1&state=canary-state-1", timeout=120)
    requests.get(f"{url}/{NAMES[0]}?access_token=canary-token-1", timeout=120)


def a_row_that_the_database_refuses(practice: Practice, id: str) -> None:
    """Its error quotes the whole row, if it may."""
    with db.transaction(practice.engine) as tx:
        tx.execute(sa.delete(db.customers).where(db.customers.c.connection_id == id))  # they come as new ones
        tx.execute(
            sa.text("CREATE TRIGGER no BEFORE INSERT ON customers BEGIN SELECT RAISE(ABORT, 'no'); END")
        )
    waking.sync(practice.config, id, full=True)
    practice.until(lambda: "sync_connection of" in practice.log(), "the refused row")
    with db.transaction(practice.engine) as tx:
        tx.execute(sa.text("DROP TRIGGER no"))


def a_page_while_a_table_is_gone(practice: Practice) -> str:
    with db.transaction(practice.engine) as tx:
        tx.execute(sa.text("ALTER TABLE plans RENAME TO plans_away"))
    try:
        page = practice.browser.session.get(f"{practice.config.public_url}/queue", timeout=60)
        assert page.status_code == 500
        return page.text
    finally:
        with db.transaction(practice.engine) as tx:
            tx.execute(sa.text("ALTER TABLE plans_away RENAME TO plans"))


def secrets_of(practice: Practice) -> set[str]:
    """Every secret that existed during the day."""
    grants = practice.world.grants
    ours = keys.of(practice.config)
    found = {*grants.access, *grants.refresh, *grants.codes, ours.secret_key, *ours.token_keys}
    found |= {"sandbox-secret", WEBHOOK_KEY, "canary-code-1", "canary-state-1", "canary-token-1"}
    found |= set(practice.browser.session.cookies.values())
    return found


def found_in(text: str, canaries: set[str]) -> list[str]:
    return sorted(c[:40] for c in canaries if c in text)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Everything that one day left behind."""
    folder = tmp_path_factory.mktemp("day")
    with a_practice(folder) as practice:
        pages = a_working_day(practice)
        secrets = secrets_of(practice)
        said = {
            words: subprocess.run(
                [sys.executable, "-m", "connector", *words.split()],
                env=dict(practice.installation.environment or {}),
                capture_output=True,
                text=True,
                cwd=folder,
                timeout=60,
            )
            for words in ("export --json", "doctor --json", "plan list --json", "sync --connection nowhere")
        }
        lines = practice.lines()
    return practice, pages, secrets, said, lines


def test_no_log_line_holds_a_secret_or_a_customer(day: Any) -> None:
    practice, _, secrets, said, _ = day
    written = practice.log() + "".join(answer.stderr for answer in said.values())
    assert found_in(written, secrets | set(NAMES) | set(ADDRESSES) | {"harbourbooks.example"}) == []


def test_the_day_was_a_real_one(day: Any) -> None:
    """The search above would be worth nothing over an empty log."""
    practice, pages, secrets, said, lines = day
    assert len(secrets) > 12
    assert any(NAMES[0] in page for page in pages)
    messages = {line["message"] for line in lines}
    assert {"answered", "called the ledger", "begins", "is done"} <= messages
    assert any("unexpected error" in m for m in messages)
    assert any("could not be read" in m for m in messages)
    assert any(line.get("error") for line in lines)
    assert {line["status"] for line in lines if line["message"] == "called the ledger"} >= {200, 400, 500}
    assert said["export --json"].returncode == 0
    assert NAMES[0] in said["export --json"].stdout


def test_no_secret_stands_on_a_page_or_in_an_export(day: Any) -> None:
    practice, pages, secrets, said, _ = day
    cookies = set(practice.browser.session.cookies.values())
    shown = "\n".join([*pages, *(answer.stdout for answer in said.values())])
    assert found_in(shown, secrets - cookies) == []


def test_no_token_lies_readable_in_the_data_folder(day: Any) -> None:
    practice, _, secrets, _, _ = day
    kept = {practice.config.data_dir / "keys.json"}
    ours = set(keys.of(practice.config).token_keys) | {keys.of(practice.config).secret_key}
    for file in sorted(p for p in practice.config.data_dir.rglob("*") if p.is_file() and p not in kept):
        assert found_in(file.read_bytes().decode("latin-1"), secrets | ours) == [], file


def test_no_customer_stands_in_the_queue(day: Any) -> None:
    practice, *_ = day
    files = [p for p in (practice.config.data_dir / "valkey").rglob("*") if p.is_file()]
    assert files
    for file in files:
        assert found_in(file.read_bytes().decode("latin-1"), set(NAMES) | set(ADDRESSES)) == [], file


def test_one_piece_of_work_can_be_followed_from_the_request_to_the_ledger(day: Any) -> None:
    *_, lines = day
    calls = [x for x in lines if x["message"] == "called the ledger"]
    writes = [x for x in calls if x.get("write")]
    assert writes
    assert all(x["job"] and x["connection"] and x["reference"] for x in writes)
    # A delivery that is already under way takes an approval along, so it names what started it; whatever no
    # request got around to is found by the sweep, and names none.
    requests = {x["request"] for x in lines if x.get("page")}
    causes = {x["cause"] for x in writes if x.get("cause")}
    assert causes
    assert causes <= requests
    assert len([x for x in lines if x.get("page") == "pages.approve"]) == 2
    events = [x["request"] for x in lines if x.get("page") == "webhooks.receive"]
    assert {x.get("cause") for x in calls} & set(events)


def test_data_files_are_for_their_owner_only(day: Any) -> None:
    practice, *_ = day
    folder: Path = practice.config.data_dir
    assert (folder / "keys.json").stat().st_mode & 0o077 == 0
    assert (folder / "valkey").stat().st_mode & 0o077 == 0
