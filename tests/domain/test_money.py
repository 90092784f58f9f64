"""Money is whole minor units; the parts of a sum add up to the sum."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.money import Money, exponent, split, split_weighted, to_decimal, to_minor


def test_a_ledgers_decimal_becomes_minor_units_and_back():
    assert [to_minor("850.00", "USD"), to_minor(850, "JPY"), to_minor(Decimal("1.234"), "KWD")] == [
        85000,
        850,
        1234,
    ]
    assert [str(to_decimal(m, c)) for m, c in ((28333, "USD"), (850, "JPY"), (1234, "KWD"))] == [
        "283.33",
        "850",
        "1.234",
    ]
    assert [exponent(c) for c in ("USD", "JPY", "KWD")] == [2, 0, 3]


def test_floats_and_fractions_of_a_cent_are_refused():
    with pytest.raises(ValueError, match="a float is not money"):
        to_minor(8.5, "USD")
    with pytest.raises(ValueError, match="finer than"):
        to_minor("8.505", "USD")
    for odd in ("NaN", "Infinity", "-Infinity"):
        with pytest.raises(ValueError):
            to_minor(odd, "USD")
    with pytest.raises(TypeError, match="whole number"):
        Money(8.5, "USD")
    with pytest.raises(TypeError, match="whole number"):
        Money(True, "USD")


def test_one_currency_adds_and_compares_two_do_not():
    a, b = Money(100, "USD"), Money(250, "USD")
    assert (a + b, b - a, -a) == (Money(350, "USD"), Money(150, "USD"), Money(-100, "USD"))
    assert a < b
    assert a <= b
    assert b.decimal == Decimal("2.50")
    assert str(Money(123456789, "USD")) == "1,234,567.89 USD"
    euro = Money(1, "EUR")
    for mix in (lambda: a + euro, lambda: a - euro, lambda: a < euro, lambda: a <= euro):
        with pytest.raises(ValueError, match="cannot be mixed"):
            mix()


def test_what_cannot_be_split():
    for total, parts in ((5, 0), (2, 3), (-5, 2)):
        with pytest.raises(ValueError, match="cannot be split"):
            split(total, parts)
    for total, weights in ((-1, [1]), (5, []), (5, [0, 0]), (5, [1, -1])):
        with pytest.raises(ValueError, match="weights"):
            split_weighted(total, weights)


@given(st.integers(1, 10**12), st.integers(1, 400))
def test_equal_parts_add_up_and_the_odd_units_come_last(total, parts):
    if total < parts:
        return
    found = split(total, parts)
    assert sum(found) == total
    assert found == sorted(found)
    assert found[-1] - found[0] <= 1


@given(st.integers(0, 10**12), st.lists(st.integers(0, 1000), min_size=1, max_size=30).filter(any))
def test_weighted_parts_add_up_and_stay_within_one_of_their_share(total, weights):
    found = split_weighted(total, weights)
    assert sum(found) == total
    assert all(abs(f * sum(weights) - total * w) < sum(weights) for f, w in zip(found, weights, strict=True))
