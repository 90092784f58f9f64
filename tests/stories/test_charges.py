"""THE CONTRACT of fees, interest and discounts: the same on every platform, over HTTP, in the books to the cent."""

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
    """Fern Foods has 850.00 open on 1001 for 79 days. A fee of 20.00 plus 1 % is agreed, and 12 % a year."""
    monkeypatch.setenv("FORBEAR_BUDGETS", "off")
    with a_desk(request.param, tmp_path, monkeypatch, capsys) as opened:
        opened.run("sync")
        xero = request.param == "xero"
        for kind, role in (("late_fee", "late_fees"), ("interest", "interest"), ("early", "discounts")):
            account = opened.pretend.account_by_role(role)
            item = "" if xero else opened.pretend.add_item(Item(name=kind, income_account=account.id)).id
            code = "NONE" if xero else "NON"
            opened.run(
                "configure",
                *(f"--set=charges.{kind}.{name}={value}" for name, value in (("account", account.code or account.id), ("item", item), ("tax_code", code))),
            )  # fmt: skip
        opened.run(
            "configure", "--set=charges.clause=Terms, section 7", "--set=charges.fee_amount=20", "--set=charges.fee_percent=1",
            "--set=charges.annual_percent=12", "--set=charges.cap=18", "--set=charges.early_percent=2",
        )  # fmt: skip
        yield opened


def offers(desk: Desk, name: str = "Fern Foods") -> dict[str, tuple[int, list[str]]]:
    found = desk.json("charge", "list", "--customer", desk.customer(name))["offers"]
    return {o["kind"]: (o["amount"], o["why_not"]) for o in found}


def key(desk: Desk, kind: str, name: str = "Fern Foods") -> str:
    found = desk.json("charge", "list", "--customer", desk.customer(name))["offers"]
    return str(next(o["key"] for o in found if o["kind"] == kind))


def test_a_fee_is_posted_once_and_waived_without_a_trace_in_the_sums(desk: Desk) -> None:
    before = {basis: desk.trial_balance(basis) for basis in ("accrual", "cash")}
    # 20.00 + 1 % of 850.00; 20 days on 1,150.00 and 59 on 850.00 at 12 %
    assert offers(desk) == {"late_fee": (2850, []), "interest": (756 + 1649, [])}
    fern = desk.customer("Fern Foods")
    posted = desk.json("charge", "approve", key(desk, "late_fee"), "--customer", fern, "--by", "J. Doe")
    assert (posted["number"], posted["state"], posted["amount"]) == ("1001-F1", "posted", 2850)
    assert desk.balances()["1001-F1"] == 2850
    assert "late_fee" not in offers(desk)
    account = desk.pretend.account_by_role("late_fees").name
    assert sum(desk.trial_balance("accrual")[account].values()) == -2850
    again = desk.run("charge", "approve", f"late_fee:{desk.invoice('1001')}", "--customer", fern)
    assert "posted" in again  # the same event: the charge that is there, nothing new
    assert [n for n in desk.balances() if "-F" in n] == ["1001-F1"]

    assert "Write down why" in desk.run("charge", "waive", str(posted["id"]), "--why", " ", code=2)
    desk.run("sync")
    assert "waived" in desk.run("charge", "waive", str(posted["id"]), "--why", "a first slip", "--by", "Ann")
    assert desk.balances()["1001-F1"] == 0
    assert {basis: desk.trial_balance(basis) for basis in ("accrual", "cash")} == before
    assert "late_fee" not in offers(desk)  # waived is waived: not offered again

    posted = desk.json("charge", "approve", key(desk, "interest"), "--customer", fern)
    assert (posted["state"], posted["number"]) == ("posted", "1001-I1")
    assert offers(desk) == {}  # not twice for the same days

    held = desk.json("personal", "--customer", fern)
    assert held["record"]["name"] == "Fern Foods"
    assert "Nothing was erased" in desk.run("personal", "--customer", fern, "--erase", "Fern", code=2)
    desk.run("personal", "--customer", fern, "--erase", "Fern Foods")
    assert "data-protection request" in desk.run("demand", "--customer", fern, code=2)


def test_a_discount_is_earned_by_money_that_came_in_time(desk: Desk) -> None:
    quay = desk.customer("Quiet Quay")
    early = desk.act(
        "bill", customer=quay, net=100000, day="2026-11-10", due="2026-12-10", number="2001", taxed=False
    )
    late = desk.act(
        "bill", customer=quay, net=100000, day="2026-10-20", due="2026-11-19", number="2002", taxed=False
    )
    assert early
    assert late
    desk.act("pay", invoice=desk.invoice("2001"), amount=98000, day="2026-11-17")
    desk.act(
        "pay", invoice=desk.invoice("2002"), amount=98000, day="2026-11-17"
    )  # after ten days: not earned
    desk.run("sync")
    assert offers(desk, "Quiet Quay") == {
        "interest": (66, []),
        "discount": (2000, []),
    }  # 66 on 1002, five days late
    posted = desk.json("charge", "approve", key(desk, "discount", "Quiet Quay"), "--customer", quay)
    assert (posted["number"], posted["state"]) == ("2001-D1", "posted")
    assert desk.balances()["2001"] == 0
    assert desk.balances()["2002"] == 2000
    account = desk.pretend.account_by_role("discounts").name
    assert sum(desk.trial_balance("accrual")[account].values()) == 2000

    desk.act("pay", invoice=desk.invoice("2002"), amount=5000)  # 30.00 stays on account, and nobody synced
    said = desk.run("charge", "approve", key(desk, "interest", "Quiet Quay"), "--customer", quay)
    assert "not matched to an invoice" in said
    assert [n for n in desk.balances() if n.startswith("1002-")] == []

    desk.run("charge", "waive", str(posted["id"]), "--why", "the bank returned the payment")
    assert desk.balances()["2001"] == 2000
    assert not sum(desk.trial_balance("accrual").get(account, {}).values())


def test_a_fee_with_tax_goes_back_with_its_tax(desk: Desk) -> None:
    fern, xero = desk.customer("Fern Foods"), desk.pretend.organization.platform == "xero"
    desk.run("configure", "--set=charges.late_fee.tax_code=" + ("OUTPUT2" if xero else "TAX"))
    before = desk.trial_balance("accrual")
    posted = desk.json("charge", "approve", key(desk, "late_fee"), "--customer", fern)
    assert posted["state"] == "posted", posted
    assert desk.trial_balance("accrual") != before
    desk.run("sync")
    desk.run("charge", "waive", str(posted["id"]), "--why", "a first slip")
    assert desk.trial_balance("accrual") == before
    assert desk.balances()["1001-F1"] == 0
