"""The page that says how right Forbear would have been, and says so where it would not."""

import random

import pytest

from connector import db
from connector.domain.prediction.record import Band, Comparison
from connector.domain.receivables import Customer
from connector.mirroring import mirror
from connector.platforms import Batch
from connector.reviewing import review
from tests.domain.test_prediction import books as weekly
from tests.web.office import CONNECTION, TODAY
from tests.web.test_lists import browser  # noqa: F401
from web.pages.honesty import view

PAGE = f"/organizations/{CONNECTION}/honesty"


def reviewed(engine, customers):
    invoices, payments = weekly(customers, 50, TODAY)
    with db.transaction(engine) as tx:
        who = tuple(Customer(name, name, currency="USD") for name in customers)
        mirror.store(
            tx, CONNECTION, Batch(customers=who, invoices=tuple(invoices), payments=tuple(payments)), 1
        )
    review.predict(engine, CONNECTION, today=TODAY)


def test_it_says_what_would_have_been_flagged_and_what_happened(engine, browser):  # noqa: F811
    reviewed(engine, {"prompt": -2, "slow": 12, "turning": lambda week: 9 if week > 25 else -3})
    page = browser.get(PAGE).get_data(as_text=True)
    assert "less error than each customer" in page
    assert "Would have been flagged" in page
    assert 'role="img"' in page
    assert "Of 144 invoices 70 were late." in page


@pytest.mark.parametrize(
    ("error", "own", "said"),
    [
        (0.0005, 0.0025, "There is little between the two: Forbear's error is 0.0005"),
        (0.16, 0.2, "20 % less error than"),
        (0.003, 0.002, "So it falls back"),
    ],
)
def test_of_tiny_errors_it_says_no_percentage(error, own, said):
    compared = Comparison(0, 400, 1, error, own, own, 0, 0, (Band(0.003, 0.0025, 400),), ())
    assert said in view("Late at all", "late", compared).verdict


def test_it_says_where_it_falls_back(engine, browser):  # noqa: F811
    chance = random.Random(5)
    flips = {name: [chance.choice((-3, 6)) for _ in range(60)] for name in ("a", "b", "c")}
    reviewed(engine, {n: (lambda week, of=of: of[week]) for n, of in flips.items()})
    assert "So it falls back" in browser.get(PAGE).get_data(as_text=True)


def test_before_the_first_review_nothing_is_claimed(browser):  # noqa: F811
    assert "Not known yet." in browser.get(PAGE).get_data(as_text=True)


def test_it_is_read_by_those_of_the_organization_alone(engine, browser):  # noqa: F811
    assert browser.get("/organizations/somebody-elses/honesty").status_code in (403, 404)
