"""An outsider's attempts against the customer's page: each finds nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connector import db
from connector.connecting import keys
from connector.contact import holds
from connector.customer_page import customer_links
from connector.record import personal
from tests.customer import attacks
from tests.customer.attacks import ATTACKS, Scene
from tests.customer.desk import Desk, a_customer, switch_on


@pytest.fixture(scope="module")
def scene(desk: Desk) -> Scene:
    mine, other = desk.company("quickbooks"), desk.company("xero")
    for company in (mine, other):
        switch_on(company)
    return attacks.scene(desk, mine, other)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.__name__)
def test_an_attempt_finds_nothing(scene: Scene, attack: Callable[[Scene], str]) -> None:
    assert attack(scene) == ""


def test_a_page_that_is_switched_off_shows_nothing(desk: Desk) -> None:
    company = desk.company("quickbooks")
    switch_on(company)
    customer = a_customer(desk, company)
    customer.page()
    switch_on(company, on=False)
    assert customer.get().status_code == 404


def test_no_secret_of_an_address_is_kept(desk: Desk, scene: Scene) -> None:
    secret = scene.customer.path.removeprefix("/c/").split(".")[0]
    with db.reading(desk.practice.engine) as tx:
        for table in db.metadata.sorted_tables:
            assert not any(secret in str(row) for row in tx.execute(table.select())), table.name


def test_addresses_live_through_a_new_key_and_end_with_the_old_one(desk: Desk) -> None:
    from dataclasses import replace

    from cryptography.fernet import Fernet

    company = desk.company("xero")
    switch_on(company)
    token = a_customer(desk, company).path.removeprefix("/c/")
    old = keys.of(desk.practice.settings).token_keys
    new = Fernet.generate_key().decode()
    both, only = (
        replace(desk.practice.settings, secret_key="s", token_keys=keys)
        for keys in ((new, *old), (new,))  # noqa: S106
    )
    with db.reading(desk.practice.engine) as tx:
        assert customer_links.find(tx, both, token, db.now()) is not None
        assert customer_links.find(tx, only, token, db.now()) is None


def test_an_address_outlives_a_merge_of_the_customer_and_ends_with_their_data(
    desk: Desk, platform: str
) -> None:
    company = desk.company(platform)
    switch_on(company)
    gone, lives = (
        next(c.id for c in company.pretend.customers if c.name == n) for n in ("Quiet Quay", "Fern Foods")
    )
    customer = a_customer(desk, company, "Quiet Quay")
    company.pretend.merge_customers(gone, lives)
    company.sync()
    if platform == "xero":  # it has told of the documents, and not yet of the merge
        assert customer.get().status_code == 404
        for _ in range(4):
            company.sync()
    page = customer.page()
    assert "Invoice 2001" in page
    assert "Nothing is open here" not in page
    assert "1001" not in page  # the survivor's own stay unseen
    assert customer.send("promise", day="2026-12-01", invoice="").status_code == 303
    assert "You named" in customer.page()
    with db.transaction(desk.practice.engine) as tx:
        [promise] = holds.promised(tx, company.connection_id)
        assert promise.customer_id == lives
        personal.erase(tx, company.connection_id, lives, who="Dana", now=db.now())
    assert customer.get().status_code == 404
