"""What the commands print."""

from __future__ import annotations

import subprocess
import sys

from sqlalchemy.engine import Engine

from connector.commands import terminal
from tests.connector.plan_story import a_story


def test_a_long_name_does_not_push_the_list_apart(engine: Engine, connection_id: str) -> None:
    plan = a_story(engine, connection_id).propose("147")
    listed = terminal.plans([plan], {plan.plan.customer_id: "Harbor " * 36})
    assert max(len(line) for line in listed.splitlines()) < 120
    assert "Harbor Harbor Harbor Harbor Harbor Harb…  " in listed
    assert f"  Red Rock  {plan.plan.balance / 100}" in terminal.plans(
        [plan], {plan.plan.customer_id: "Red Rock"}
    )


def test_the_pretend_ledgers_hear_their_own_options() -> None:
    command = [sys.executable, "-m", "connector", "sandbox", "--port", "0", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "--unthrottled" in said.stdout
