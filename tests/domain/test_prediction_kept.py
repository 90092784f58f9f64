"""What a book taught is kept and answers as if it had just been learned, until the book says something new."""

from datetime import date, timedelta
from itertools import pairwise

import pytest

from connector.domain.prediction import saved
from connector.domain.prediction.history import history, learnable
from connector.domain.prediction.outlook import learn
from tests.domain.test_prediction import books

TODAY = date(2026, 11, 2)


def columns(today, weeks=30):
    customers = {"prompt": -2, "slow": 12, "moody": lambda week: 3 * (week % 9)}
    invoices, payments = books(customers, weeks, today)
    return history(*learnable(invoices, payments, []), today)


@pytest.fixture(scope="module")
def kept():
    told, model = saved.outlooks(None, *columns(TODAY), TODAY)
    return told, model


def test_a_kept_model_says_what_a_fresh_one_says(kept):
    fresh, model = kept
    assert fresh == learn(*columns(TODAY), TODAY)
    again, same = saved.outlooks(model, *columns(TODAY), TODAY)
    assert again == fresh
    assert same is model


def test_it_answers_for_the_days_that_follow_by_what_is_known_then(kept):
    fresh, model = kept
    days = [TODAY + timedelta(n) for n in range(saved.REFIT_DAYS)]
    said = []
    for day in days:
        found, same = saved.outlooks(model, *columns(TODAY), day)  # nothing was paid since
        assert same is model
        said.append(found["prompt-29"].expected)
    assert said[0] == date(2026, 11, 7)
    assert all(before <= later for before, later in pairwise(said))


def test_it_is_learned_anew_after_a_week_and_after_many_payments(kept):
    model = kept[1]
    week = TODAY + timedelta(saved.REFIT_DAYS)
    found, other = saved.outlooks(model, *columns(TODAY), week)
    assert other != model
    assert found == learn(*columns(TODAY), week)
    more = columns(TODAY, weeks=40)
    found, other = saved.outlooks(model, *more, TODAY)
    assert other != model
    assert found == learn(*more, TODAY)


def test_other_code_learns_anew_and_so_does_a_torn_model(kept, monkeypatch):
    model = kept[1]
    assert saved.outlooks(model[:50], *columns(TODAY), TODAY) == kept
    monkeypatch.setattr(saved.fingerprint, "of_source", lambda package: "other")
    assert saved.outlooks(model, *columns(TODAY), TODAY)[1] != model


def test_a_book_without_anything_open_learns_nothing():
    invoices, payments = books({"prompt": -2}, 5)
    paid = [i for i in invoices if not i.balance]
    assert saved.outlooks(None, *history(*learnable(paid, payments, []), TODAY), TODAY) == ({}, None)
