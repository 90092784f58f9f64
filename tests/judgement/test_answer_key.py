"""The judgement of each hand-made customer is the one a careful bookkeeper would give."""

import pytest

from tests.judgement.answer_key import CASES, Case


def test_there_are_enough_of_them_and_each_says_why():
    assert len(CASES) >= 40
    assert len({c.name for c in CASES}) == len(CASES)
    assert all(len(c.why) >= 20 for c in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_the_judgement_is_the_bookkeepers(case: Case):
    me = case.books().judged(case.today)["me"]
    found = {f["kind"] for f in me["findings"]}
    assessment = me["assessment"]
    assert assessment["segment"] == case.segment, (case.why, assessment["reasons"], found)
    assert case.findings <= found, (case.why, found)
    assert not case.never & found, (case.why, found)
    assert case.path in (None, assessment["path"]), case.why
    assert assessment["reasons"]
    assert assessment["changes"]
