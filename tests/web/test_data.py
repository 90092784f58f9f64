"""Taking an organization's data along, and erasing it."""

from __future__ import annotations

import json

import sqlalchemy as sa

from connector import db
from connector.record import audit
from tests.web.office import Browser, Office


def _everything(office: Office) -> str:
    """All that the database holds, as text."""
    with db.reading(office.engine) as tx:
        return json.dumps(
            {t.name: [list(row) for row in tx.execute(sa.select(t))] for t in db.metadata.sorted_tables}, default=str
        )  # fmt: skip


def _at_work(office: Office) -> tuple[Browser, str, str]:
    browser = office.browser()
    browser.connect("quickbooks")
    id = office.connection("quickbooks")
    office.read(id)
    with db.reading(office.engine) as tx:
        name = tx.scalar(sa.select(db.connections.c.organization).where(db.connections.c.id == id))
    return browser, id, str(name)


def test_everything_can_be_taken_along(office: Office) -> None:
    browser, id, name = _at_work(office)
    assert "Held here: <b>1 customer, " in browser.get(f"/organizations/{id}/data").text
    answer = browser.get(f"/organizations/{id}/data.json")
    assert "attachment" in answer.headers["Content-Disposition"]
    [mine] = json.loads(answer.text)["connections"]
    assert mine["organization"] == name
    assert {"customers", "invoices", "plans", "reminders", "writes"} <= mine.keys()
    reader = office.browser().sign_in("rita")
    office.role(reader, id, "read")
    assert "can download it" in reader.get(f"/organizations/{id}/data").text
    assert reader.get(f"/organizations/{id}/data.json").status_code == 403
    assert reader.post(f"/organizations/{id}/data/erase", name=name).status_code == 403


def test_erasing_leaves_nothing_but_the_line_that_says_so(office: Office) -> None:
    browser, id, name = _at_work(office)
    page = f"/organizations/{id}/data"
    browser.post(f"{page}/erase", name=name)
    assert "Disconnect the organization first" in browser.get(page).text
    browser.post(f"/connections/{id}/disconnect", f"/organizations/{id}/settings")
    browser.post(f"{page}/erase", name="Somebody Else")
    assert "Nothing was erased" in browser.get(page).text
    assert "Corner Cafe" in _everything(office)

    done = browser.post(f"{page}/erase", page, name=f"  {name.upper()} ")
    assert done.status_code == 302
    left = _everything(office)
    assert "Corner Cafe" not in left
    assert name not in left
    assert browser.get(page).status_code == 404
    with db.reading(office.engine) as tx:
        assert audit.verify(tx) == []
        [said] = audit.of_connection(tx, id, limit=1)
        assert said.what == "erased an organization's data"
        for table in db.metadata.sorted_tables:
            if "connection_id" in table.c and table.name != "audit":
                mine = sa.select(sa.func.count()).select_from(table).where(table.c.connection_id == id)
                assert tx.scalar(mine) == 0, table.name
    # The same company can come back, as a new one.
    browser.connect("quickbooks")
    assert office.connection("quickbooks")


def test_a_line_emptied_by_hand_is_found(office: Office) -> None:
    _, id, _ = _at_work(office)
    with db.transaction(office.engine) as tx:
        audit.record(tx, who="Dana", what="did something", connection_id=id, now=db.now())
        assert audit.verify(tx) == []
        first = sa.select(sa.func.min(db.audit.c.seq)).where(db.audit.c.connection_id == id).scalar_subquery()
        tx.execute(
            sa.update(db.audit).where(db.audit.c.seq == first).values(who="", what=audit.ERASED, why="")
        )
        assert len(audit.verify(tx)) == 1
