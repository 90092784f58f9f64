"""The rules behind the page: what is offered, what waits for a person, honest shares, the hold-out."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from decimal import Decimal

import pytest

from connector.commands.policy import with_rules
from connector.commands.shell import Wrong
from connector.domain import codec, offers, shares
from connector.domain.codec import WrongValue
from connector.domain.offers import Asker
from connector.domain.page_policy import SOURCES, PagePolicy, contrast, help_for
from connector.domain.plan import Installment, Plan, Source
from connector.domain.policy import InterestPolicy, Mode, PlanPolicy, Policy, load

TODAY = dt.date(2026, 11, 24)
OPEN_HANDED = PagePolicy(on=True, plans_alone=True, business_only=False)
COMPANY = Asker("US", is_person=False)


def a_plan(count: int = 3, total: int = 90000, interest: int = 0) -> Plan:
    source = Source("1", "1001", TODAY, TODAY, total, 0, total)
    due = [TODAY + dt.timedelta(days=7 + 30 * n) for n in range(count)]
    rows = tuple(Installment(n, d, d, total // count, interest) for n, d in enumerate(due, 1))
    return Plan("", 1, "58", "USD", Mode.NOTES, (source,), rows, TODAY)


@pytest.mark.parametrize(
    ("monthly", "most", "expected"),
    [
        (30000, None, [2, 3, 4]),  # 900.00 at 300.00: three, one fewer, one more
        (45000, None, [2, 3, 4]),
        (1, None, [4, 5, 6]),  # never longer than the usual six months
        (90000, None, [2, 3]),  # all at once fits, but they asked to spread it
        (20000, 4, [2, 3, 4]),  # a consumer in the United States
        (0, None, []),
    ],
)
def test_plans_are_offered_near_what_can_be_managed(
    monthly: int, most: int | None, expected: list[int]
) -> None:
    assert offers.counts(90000, "USD", monthly, PlanPolicy(), most) == expected


def test_no_offer_is_below_the_smallest_payment() -> None:
    assert offers.counts(6000, "USD", 500, PlanPolicy()) == [2]  # 60.00 in parts of at least 25.00
    assert offers.counts(3000, "USD", 500, PlanPolicy()) == [1]


def test_a_plan_is_agreed_alone_only_within_every_rail() -> None:
    policy = PlanPolicy()
    assert offers.waits(a_plan(), COMPANY, OPEN_HANDED, policy, TODAY) == []

    def waits(plan: Plan = a_plan(), asker: Asker = COMPANY, page: PagePolicy = OPEN_HANDED) -> str:  # noqa: B008
        return " ".join(offers.waits(plan, asker, page, policy, TODAY))

    assert "no plan through" in waits(page=PagePolicy(on=True))
    assert "more than 500 USD" in waits(page=replace(OPEN_HANDED, plans_alone_up_to=Decimal(500)))
    assert "longer than 1 months" in waits(page=replace(OPEN_HANDED, plans_alone_months=1))
    assert "longer than 6 months" in waits(a_plan(9))
    charging = InterestPolicy(clause="Terms 7", cap=Decimal(99))
    assert "interest" in " ".join(
        offers.waits(a_plan(interest=100), COMPANY, OPEN_HANDED, replace(policy, interest=charging), TODAY)
    )


def test_the_rails_of_consumer_credit_bind_whoever_is_not_known_to_be_a_company() -> None:
    policy = PlanPolicy()
    for unknown in (None, True):
        shy = replace(OPEN_HANDED, business_only=True)
        assert offers.waits(a_plan(), Asker("US", unknown), shy, policy, TODAY)
        assert offers.waits(a_plan(4, 100000), Asker("US", unknown), OPEN_HANDED, policy, TODAY) == []
        [why] = offers.waits(a_plan(5, 100000), Asker("US", unknown), OPEN_HANDED, policy, TODAY)
        assert "More than 4 payments" in why
        [why] = offers.waits(a_plan(2), Asker("DE", unknown), OPEN_HANDED, policy, TODAY)
        assert "legal review" in why
    assert offers.waits(a_plan(5, 100000), COMPANY, OPEN_HANDED, policy, TODAY) == []


def test_wilson_s_interval_as_published() -> None:
    """Values of R's binom.confint(…, methods="wilson")."""
    for count, whole, low, high in (
        (0, 10, 0, 0.2775),
        (1, 10, 0.0179, 0.4042),
        (3, 12, 0.0889, 0.5323),
        (10, 10, 0.7225, 1),
    ):
        found = shares.share(count, whole)
        assert (found.low, found.high) == (pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))
    assert (shares.share(0, 0).low, shares.share(0, 0).high) == (0, 1)
    with pytest.raises(ValueError, match="some of a whole"):
        shares.share(3, 2)


def test_a_difference_of_small_numbers_is_not_known() -> None:
    """Newcombe 1998, table II: 56/70 against 48/80 is 0.0524 to 0.3339; 9/10 against 3/10 is 0.1705 to 0.8090."""
    one = shares.difference(shares.share(56, 70), shares.share(48, 80))
    assert one is not None
    assert (one.low, one.high) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))
    two = shares.difference(shares.share(9, 10), shares.share(3, 10))
    assert two is not None
    assert (two.low, two.high) == (pytest.approx(0.1705, abs=1e-4), pytest.approx(0.8090, abs=1e-4))
    few = shares.difference(shares.share(2, 3), shares.share(1, 3))
    assert few is not None
    assert not few.known
    assert shares.difference(shares.share(0, 0), shares.share(1, 3)) is None


def test_the_hold_out_is_the_same_customers_always_and_about_its_share() -> None:
    ids = [str(n) for n in range(4000)]
    tenth = {id for id in ids if shares.held_out("c1", id, 10)}
    assert tenth == {id for id in ids if shares.held_out("c1", id, 10)}
    assert 340 < len(tenth) < 460
    assert tenth < {id for id in ids if shares.held_out("c1", id, 20)}  # a larger share keeps whom it had
    assert not any(shares.held_out("c1", id, 0) for id in ids)


def test_what_the_policy_refuses_and_keeps() -> None:
    assert contrast("#000000") == pytest.approx(21)
    for wrong in ({"color": "#FFE000"}, {"color": "red"}, {"promise_days": 0}, {"holdout_percent": 80}):
        with pytest.raises(WrongValue):
            replace(PagePolicy(), **wrong)
    kept = Policy(page=replace(OPEN_HANDED, holdout_percent=10, holdout_since=TODAY))
    assert load(kept.to_json()) == kept
    assert load({}).page == PagePolicy()
    assert codec.to_json(PagePolicy())["on"] is False
    assert {h.country for h in help_for("GB", PagePolicy())} == {"GB"}
    assert help_for("JP", PagePolicy()) == ()


def test_the_page_is_set_from_the_command_line_too() -> None:
    source = {"country": "US", "name": "A clinic", "reach": "+1 555 0100", "source": "us", "listed_on": None}
    wanted = (
        "page.on=true",
        "page.promise_days=21",
        "page.holdout_percent=10",
        f"page.help={json.dumps([source])}",
    )
    page = with_rules(Policy(), wanted).page.measured_from(PagePolicy(), TODAY)
    assert (page.on, page.promise_days, page.holdout_since) == (True, 21, TODAY)
    assert [h.name for h in help_for("US", page)] == ["A clinic"]
    assert help_for("DE", page) == help_for("DE", PagePolicy())
    later = TODAY + dt.timedelta(days=30)
    assert replace(page, color="#7A1F3D").measured_from(page, later).holdout_since == TODAY
    assert replace(page, holdout_percent=0).measured_from(page, later).holdout_since is None
    for wrong in ("page.help=nobody", "page.nothing=1", "page.promise_days=often"):
        with pytest.raises((Wrong, WrongValue)):
            with_rules(Policy(), [wrong])


def test_every_source_of_help_says_what_confirmed_it_and_when() -> None:
    for source in SOURCES:
        assert source.reach.startswith("https://"), source
        assert source.source, source
        assert source.listed_on, source
