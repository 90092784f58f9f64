"""A replay says only what was known on its day, in the shape that the export has."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from connector import cli, db
from connector.record import export
from connector.reviewing import review
from connector.reviewing.replay import replay
from tests.conftest import shared
from tests.connector.conftest import TODAY
from tests.connector.plan_story import a_story
from tests.connector.test_books_file import a_company

DAY = dt.date


def books(tmp_path: Path) -> Path:
    file = tmp_path / "books.jsonl"
    file.write_text(json.dumps(a_company()))
    return file


def one(said: dict[str, Any]) -> dict[str, Any]:
    (company,) = said["connections"]
    return dict(company)


def test_each_day_knows_only_its_past(tmp_path: Path) -> None:
    august, september, november = replay(
        books(tmp_path), [DAY(2026, 8, 15), DAY(2026, 9, 19), DAY(2026, 11, 18)]
    )
    assert one(august)["customers"][0]["findings"] == []
    assert one(august)["invoices"][0]["balance"] == 115000
    (late,) = one(september)["customers"][0]["findings"]
    assert (late["kind"], late["since"]) == ("overdue", "2026-09-01")
    assert late["evidence"] == [{"invoice": "147", "date": "2026-08-31", "amount": 115000}]
    kinds = [f["kind"] for f in one(november)["customers"][0]["findings"]]
    assert kinds[:2] == ["overdue", "partly_paid"]
    assert one(november)["customers"][0]["balances"][0]["buckets"] == {
        "current": 0,
        "1-30": 0,
        "31-60": 0,
        "61-90": 85000,
        "90+": 0,
    }


def test_the_command_prints_one_object_or_a_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(books(tmp_path))
    assert cli.main(["replay", file, "--at", "2026-09-19", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["as_of"] == "2026-09-19"
    assert cli.main(["replay", file, "--at", "2026-09-19", "--at", "2026-11-18", "--json"]) == 0
    assert [said["as_of"] for said in json.loads(capsys.readouterr().out)] == ["2026-09-19", "2026-11-18"]


def test_a_wrong_file_is_refused_with_its_line_and_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "books.jsonl"
    file.write_text(json.dumps(a_company(invoices=[{"id": "1"}])))
    assert cli.main(["replay", str(file), "--at", "2026-09-19", "--json"]) == 2
    assert capsys.readouterr().err.startswith("forbear: Line 1, field invoices[0]")


def test_real_books_replay(tmp_path: Path) -> None:
    file = shared("data/highradius_until_cut.jsonl.gz")
    (said,) = replay(file, [DAY(2026, 11, 18)])
    open_ = [i for c in said["connections"] for i in c["invoices"] if i["balance"]]
    assert len(open_) == 689  # as the data's own description says


SHAPE = {
    "connection": {"id", "platform", "organization", "external_id", "status", "customers", "invoices"}
    | {"plans", "reminders", "writes"},
    "customers": {"id", "name", "balances", "findings", "assessment", "hold"},
    "invoices": {"id", "number", "customer", "currency", "date", "due", "total", "balance", "status"}
    | {"prediction", "plan"},
    "plans": {"id", "version", "customer", "mode", "state", "invoices", "installments", "reasons"},
    "reminders": {"invoice", "level", "state", "held_because", "at"},
    "writes": {"id", "kind", "state", "attempts", "external_id", "error"},
}


def test_the_export_has_the_promised_shape(engine: Engine, connection_id: str) -> None:
    story = a_story(engine, connection_id)
    review.review(engine, connection_id, now=story.now, today=TODAY)
    plan = story.propose("160")
    story.approve(plan.id)
    story.deliver()
    with db.reading(engine) as tx:
        said = export.export(tx, today=lambda c: TODAY)
    json.dumps(said)
    (connection,) = said["connections"]
    assert said["as_of"] == "2026-11-21"
    assert set(connection) >= SHAPE["connection"]
    for group in ("customers", "invoices", "plans", "reminders", "writes"):
        assert connection[group], group
        for line in connection[group]:
            assert set(line) >= SHAPE[group], group
    assert {p["id"]: p["state"] for p in connection["plans"]} == {"PP-0001": "proposed", plan.id: "running"}
    in_plan = {i["number"]: i["plan"] for i in connection["invoices"]}
    assert in_plan == {
        "1001": "PP-0001",
        "1010": plan.id,
        "1010-P1.1": plan.id,
        "1010-P1.2": plan.id,
        "1010-P1.3": plan.id,
    }
    assert {w["state"] for w in connection["writes"]} == {"done"}
