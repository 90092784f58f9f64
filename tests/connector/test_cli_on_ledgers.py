"""The whole job by command, over HTTP and through the real SDKs, on each ledger that we know."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connector import platforms
from tests.connector.desk import Desk, a_desk


@pytest.fixture(params=platforms.names())
def desk(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Desk]:
    with a_desk(request.param, tmp_path, monkeypatch, capsys) as opened:
        yield opened


def test_from_the_first_sync_to_the_proof_and_back(desk: Desk) -> None:
    desk.run("sync")
    desk.run("configure", "--income-basis", "accrual", "--sales-tax-basis", "accrual", "--by", "J. Doe")
    desk.run("review")
    seen = desk.json("export")["connections"][0]
    fern = next(c for c in seen["customers"] if c["name"] == "Fern Foods")
    assert [(b["open"], b["overdue"], b["buckets"]["61-90"]) for b in fern["balances"]] == [
        (85000, 85000, 85000)
    ]
    assert [f["kind"] for f in fern["findings"]][:2] == ["overdue", "partly_paid"]
    (drafted,) = [p for p in seen["plans"] if p["customer"] == fern["id"]]
    assert (drafted["state"], drafted["mode"], drafted["principal"]) == ("proposed", "split", 85000)

    before = {basis: desk.trial_balance(basis) for basis in ("accrual", "cash")}
    desk.run("plan", "approve", drafted["id"], "--by", "J. Doe")
    assert desk.trial_balance("accrual") == before["accrual"]
    running = desk.json("plan", "show", drafted["id"], "--proof")
    assert running["state"] == "running"
    assert sum(row["open"] for row in running["installments"]) == 85000
    proof = running["proof"]
    assert proof["differences"] == []
    assert {row["change"] for row in proof["accrual"]} == {0}
    assert proof["clearing"][-1]["balance"] == 0
    assert desk.balances()["1001"] == 0
    parts = {n: b for n, b in desk.balances().items() if n.startswith("1001-P1.")}
    assert sorted(parts.values()) == sorted(row["open"] for row in running["installments"])
    shown = desk.run("plan", "show", drafted["id"], "--proof")
    assert "Every document is as it was meant to be." in shown
    assert "Clearing" in shown

    desk.run("plan", "approve", drafted["id"], "--by", "J. Doe")  # twice is harmless
    assert len([n for n in desk.balances() if n.startswith("1001-P")]) == len(running["installments"])

    desk.run("plan", "cancel", drafted["id"], "--by", "J. Doe")
    assert desk.trial_balance("accrual") == before["accrual"]
    assert desk.trial_balance("cash") == before["cash"]
    assert desk.balances() == {"1001": 85000, "1002": 40000, "1003": 0}
    assert desk.json("plan", "show", drafted["id"])["state"] == "cancelled"


def test_books_on_cash_get_notes_only(desk: Desk) -> None:
    desk.run("sync")
    desk.run("configure", "--income-basis", "cash", "--sales-tax-basis", "cash")
    fern = desk.customer("Fern Foods")
    refused = desk.run("plan", "propose", "--customer", fern, "--mode", "split", code=1)
    assert "would show its unpaid 850.00 USD as income and tax now. Use notes-only." in refused
    plan = desk.json("plan", "propose", "--customer", fern, "--installments", "3")
    assert plan["mode"] == "notes"
    before = {basis: desk.trial_balance(basis) for basis in ("accrual", "cash")}
    desk.run("plan", "approve", plan["id"], "--by", "J. Doe")
    assert {basis: desk.trial_balance(basis) for basis in ("accrual", "cash")} == before
    assert desk.balances()["1001"] == 85000
    assert desk.json("plan", "show", plan["id"])["state"] == "running"
    writes = desk.json("export")["connections"][0]["writes"]
    assert sorted((w["kind"], w["state"]) for w in writes) == [("attach", "done"), ("note", "done")]


def test_the_invoice_changes_between_draft_and_approval(desk: Desk) -> None:
    desk.run("sync")
    desk.run("configure", "--income-basis", "accrual", "--sales-tax-basis", "none")
    plan = desk.json("plan", "propose", "--customer", desk.customer("Fern Foods"))
    desk.act("pay", invoice=desk.invoice("1001"), amount=10000)
    said = desk.run("plan", "approve", plan["id"], "--by", "J. Doe", code=1)
    assert "changed since the plan was drawn up" in said
    assert desk.json("plan", "show", plan["id"])["state"] == "proposed"
    assert [n for n in desk.balances() if "-P" in n] == []


def test_a_payment_moves_the_plan(desk: Desk) -> None:
    desk.run("sync")
    desk.run("configure", "--income-basis", "accrual", "--sales-tax-basis", "none")
    plan = desk.json("plan", "propose", "--customer", desk.customer("Fern Foods"), "--installments", "2")
    desk.run("plan", "approve", plan["id"], "--by", "J. Doe")
    first = desk.json("plan", "show", plan["id"])["installments"][0]
    desk.act("pay", invoice=first["invoice"], amount=30000)
    desk.run("sync")
    desk.run("review")
    assert [row["open"] for row in desk.json("plan", "show", plan["id"])["installments"]] == [12500, 42500]


def test_reminders_are_written_as_notes_once_and_only_live(desk: Desk) -> None:
    desk.run("sync")
    desk.run("review")
    held = desk.json("export")["connections"][0]["reminders"]
    quay = [r for r in held if r["customer"] == desk.customer("Quiet Quay")]
    assert [r["state"] for r in quay] == ["held"]
    assert any("preview" in reason for reason in quay[0]["held_because"])
    desk.run("deliver")
    assert desk.json("export")["connections"][0]["writes"] == []

    if desk.pretend.organization.platform == "quickbooks":  # Xero tells by itself whether it reminds
        refused = desk.run("configure", "--go-live", "--mode", "notes", code=2)
        assert "Say whether the ledger sends reminders of its own" in refused
        kept = desk.json("configure")
        assert (kept["live"], kept["ledger_reminders"], kept["mode"]) == (False, None, "notes")
    desk.run("configure", "--go-live", "--ledger-reminders", "off", "--by", "J. Doe")
    desk.run("review")
    for _ in (1, 2):
        desk.run("deliver")
        desk.run("review")
    after = desk.json("export")["connections"][0]
    quay = [r for r in after["reminders"] if r["customer"] == desk.customer("Quiet Quay")]
    assert [(r["state"], r["invoice"]) for r in quay] == [("noted", desk.invoice("1002"))]
    assert [w["kind"] for w in after["writes"]] == ["note"]


def test_nobody_who_paid_is_reminded(desk: Desk) -> None:
    desk.run("sync")
    desk.run("configure", "--go-live", "--ledger-reminders", "off")
    desk.run("review")
    due = desk.json("export")["connections"][0]["reminders"]
    assert [r["state"] for r in due if r["customer"] == desk.customer("Quiet Quay")] == ["due"]
    desk.act("pay", invoice=desk.invoice("1002"), amount=40000)  # nobody synced since
    desk.run("deliver")
    after = desk.json("export")["connections"][0]
    assert after["writes"] == []
    assert [r["state"] for r in after["reminders"] if r["customer"] == desk.customer("Quiet Quay")] == [
        "held"
    ]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["plan", "approve", "PP-0099", "--by", "J."], 1, "There is no plan PP-0099"),
        (["plan", "approve", "seven", "--by", "J."], 1, "'seven' is not the number of a plan"),
        (["plan", "propose", "--customer", "nobody"], 1, "No organization has a customer nobody"),
        (["sync", "--connection", "nowhere"], 1, "There is no connection 'nowhere'"),
        (["replay", "none.jsonl", "--at", "2026-01-01", "--json"], 2, "There is no file"),
    ],
)
def test_bad_input_ends_in_a_sentence(desk: Desk, words: list[str], code: int, sentence: str) -> None:
    desk.run("sync")
    assert sentence in desk.run(*words, code=code)


def test_the_doctor_finds_this_installation_well(desk: Desk) -> None:
    desk.run("sync")
    checks = {c["name"]: c for c in desk.json("doctor")}
    assert checks["database"]["state"] == "good"
    assert checks["Harbor Supply"]["state"] == "good"
    assert checks["audit log"]["state"] == "good"
