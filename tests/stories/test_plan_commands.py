"""The whole life of a plan by command, on both ledgers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connector import platforms
from sandbox.documents import Item
from tests.connector.desk import Desk, a_desk


@pytest.fixture(params=platforms.names())
def desk(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Desk]:
    monkeypatch.setenv("FORBEAR_BUDGETS", "off")
    with a_desk(request.param, tmp_path, monkeypatch, capsys) as opened:
        opened.run("sync")
        opened.run("configure", "--income-basis", "accrual", "--sales-tax-basis", "none")
        yield opened


def proposed(desk: Desk) -> str:
    plan = desk.json("plan", "propose", "--customer", desk.customer("Fern Foods"), "--installments", "3")
    return str(plan["id"])


def test_agreed_accepted_paused_and_proven(desk: Desk, tmp_path: Path) -> None:
    plan = proposed(desk)
    agreed = desk.json("plan", "agreement", plan, "--pdf", str(tmp_path / "agreement.pdf"))
    assert "850.00" in agreed["text"]
    pdf = (tmp_path / "agreement.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"StructTreeRoot" in pdf  # tagged: a screen reader follows it
    desk.run("plan", "accept", plan, "--customer", "M. Fern", "--how", "signed", "--by", "J. Doe")
    desk.run("plan", "approve", plan, "--by", "J. Doe")
    assert desk.json("plan", "pause", plan, "--by", "J. Doe")["state"] == "running"
    desk.run("plan", "resume", plan, "--by", "J. Doe")
    shown = desk.run("plan", "show", plan, "--proof")
    for words in (
        "On accrual books",
        "On cash books",
        "2026-08",
        "Clearing account",
        "1001-P1C",
        "1001-P1.3",
    ):
        assert words in shown
    assert "Income recognized early on a cash report: 739.13" in shown


def test_payoff_and_write_off_are_said_before_they_are_done(desk: Desk) -> None:
    plan = proposed(desk)
    assert "has to run" in desk.run("plan", "payoff", plan, code=1)
    desk.run("plan", "approve", plan, "--by", "J. Doe")
    desk.run("sync")
    before = desk.trial_balance("accrual")
    assert desk.json("plan", "payoff", plan)["to_pay"] == 85000
    assert "Name the account for settlement discounts" in desk.run(
        "plan", "payoff", plan, "--discount", "5", code=1
    )
    off = desk.json("plan", "write-off", plan, "--by", "J. Doe")
    assert (off["gross"], off["net"], off["tax"]) == (85000, 73913, 11087)
    assert "Decide on writing off 850.00" in desk.run("plan", "todos")
    assert desk.trial_balance("accrual") == before


def test_renegotiated_and_accelerated(desk: Desk) -> None:
    plan = proposed(desk)
    desk.run("plan", "approve", plan, "--by", "J. Doe")
    desk.run("sync")
    before = desk.trial_balance("accrual")
    desk.run("plan", "renegotiate", plan, "--by", "J. Doe", "--why", "longer", "--installments", "5")
    desk.run("plan", "approve", plan, "--by", "J. Doe")
    again = desk.json("plan", "show", plan, "--proof")
    assert len(again["installments"]) == 5
    assert again["proof"]["differences"] == []
    assert again["proof"]["clearing"][-1]["balance"] == 0
    desk.run("sync")
    desk.run("plan", "accelerate", plan, "--by", "J. Doe", "--why", "two missed")
    assert desk.json("plan", "show", plan)["state"] == "broken"
    assert desk.trial_balance("accrual") == before


def test_all_that_forbear_wrote_is_removed_after_a_preview(desk: Desk) -> None:
    before = {basis: desk.trial_balance(basis) for basis in ("accrual", "cash")}
    plan = proposed(desk)
    desk.run("plan", "approve", plan, "--by", "J. Doe")
    (said,) = desk.json("plan", "remove", "--preview")
    assert len(said["taken_back"]) == 5
    assert desk.json("plan", "show", plan)["state"] == "running"
    assert "Nothing was changed" in desk.run("plan", "remove", "--by", "J. Doe")
    assert desk.json("plan", "show", plan)["state"] == "running"
    desk.run("plan", "remove", "--all", "--by", "J. Doe")
    assert desk.json("plan", "show", plan)["state"] == "cancelled"
    assert {basis: desk.trial_balance(basis) for basis in ("accrual", "cash")} == before
    assert desk.balances()["1001"] == 85000


def test_a_fee_is_waived_and_comes_back_and_is_waived_again(desk: Desk) -> None:
    customer = desk.customer("Fern Foods")
    desk.act(
        "bill", customer=customer, net=5000, day="2026-10-20", due="2026-10-30", number="LF-1", taxed=False
    )
    desk.run("sync")
    for version in (1, 2):
        plan = desk.json("plan", "propose", "--customer", customer, "--invoice", desk.invoice("1001"))["id"]
        desk.run("plan", "waive", plan, "--invoice", desk.invoice("LF-1"), "--why", "part of the plan")
        desk.run("plan", "approve", plan, "--by", "J. Doe")
        assert desk.balances()["LF-1"] == 0, version
        desk.run("plan", "cancel", plan, "--by", "J. Doe")
        assert desk.json("plan", "show", plan)["state"] == "cancelled"
        assert desk.balances()["LF-1"] == 5000
        desk.run("sync")


def test_interest_and_discount_go_where_the_bookkeeper_says(desk: Desk) -> None:
    xero = desk.pretend.organization.platform == "xero"
    account = desk.pretend.account_by_role("discounts")
    item = "" if xero else desk.pretend.add_item(Item(name="Settlement", income_account=account.id)).id
    desk.run("configure", "--set", f"discount_account={account.code or account.id}", "--set", f"discount_item={item}",
             "--set", "discount_tax_code=" + ("NONE" if xero else "NON"))  # fmt: skip
    assert "There is no rule 'discount'" in desk.run("configure", "--set", "discount=5", code=2)
    plan = proposed(desk)
    desk.run("plan", "approve", plan, "--by", "J. Doe")
    desk.run("sync")
    assert desk.json("plan", "payoff", plan, "--discount", "5")["to_pay"] == 80750
    assert desk.balances()["1001-P1.3"] == 28334 - 4250
    assert sum(desk.trial_balance("accrual")[account.name].values()) == 4250


def test_bad_input_ends_in_a_sentence_and_writes_nothing(desk: Desk) -> None:
    fern, quiet = desk.customer("Fern Foods"), desk.customer("Quiet Quay")
    ask = ("plan", "propose", "--customer", fern)
    for words, sentence in (
        (("--installments", "0"), "needs at least one installment"),
        (("--installments", "400"), "400 installments are too many"),
        (("--first", "2026-11-01"), "which has passed"),
        (("--deposit", "850"), "less than the balance"),
        (("--interest", "5"), "clause of the contract that allows it"),
        (("--interest", "-5"), "between 0 and 100"),
        (("--settlement", "100"), "less than 100"),
        (("--settlement", "5"), "no account for discounts is named"),
        (("--invoice", "nothing-like-it"), "has no invoice nothing-like-it"),
        (("--invoice", desk.invoice("1002")), "has no invoice"),
        (("--invoice", desk.invoice("1003")), "has no invoice"),
    ):
        assert sentence in desk.run(*ask, *words, code=1), words
    assert "No organization has a customer" in desk.run("plan", "propose", "--customer", "none", code=1)
    plan = proposed(desk)
    assert f"is in the draft {plan} already" in desk.run(*ask, "--invoice", desk.invoice("1001"), code=1)
    desk.run("configure", "--clearing", "4711")
    assert "no account 4711" in desk.run("plan", "approve", plan, "--by", "J. Doe", code=1)
    desk.run("configure", "--clearing", "auto")
    desk.act("close", until="2026-11-18")
    assert "Books are closed to 2026-11-18" in desk.run("plan", "approve", plan, "--by", "J. Doe", code=1)
    assert [number for number in desk.balances() if "-P" in number] == []
    desk.act("close", until=None)
    other = desk.json("plan", "propose", "--customer", quiet, "--deposit", "100", "--installments", "2")
    assert [part["amount"] for part in other["installments"]] == [10000, 15000, 15000]
