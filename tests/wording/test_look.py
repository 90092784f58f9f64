"""The soft word beside the check: sentences that are about something else than the matter."""

import pytest

from connector.domain import wording, wording_look, wording_tone
from connector.domain.letters import letters, variants
from connector.domain.wording_context import Context
from connector.domain.wording_look import look
from tests.wording import corpus


def pointed_at(line):
    return bool(look(line.text, line.language))


@pytest.mark.parametrize("line", corpus.lines("look_development"), ids=lambda line: line.text[:60])
def test_a_line_at_hand(line):
    assert pointed_at(line) == (line.expected == "look")


def test_nothing_is_said_of_a_fair_line_at_hand_or_of_a_shipped_text():
    assert [
        line.text for line in corpus.lines("development") if line.expected == "ok" and pointed_at(line)
    ] == []
    texts = [
        (v, text) for v in variants() for by_kind in letters(v).bodies.values() for text in by_kind.values()
    ]
    assert len(texts) > 150
    assert [(v, one.sentence) for v, text in texts for one in look(text, v)] == []


@pytest.mark.parametrize(
    ("part", "fair", "pointed", "hints", "found"),
    [
        ("look_unseen", 32, 2, 33, 32),  # written before the lists
        ("hints_after", 14, 2, 28, 17),  # hints of kinds that nobody listed, from long before
        ("fresh_hints", 23, 6, 39, 39),
        ("fresh_usual", 24, 3, 34, 30),
        ("held_back", 74, 10, 107, 107),
        ("last", 14, 0, 31, 29),
    ],
)
def test_the_other_parts_are_judged_as_measured(part, fair, pointed, hints, found):
    """Only the sums are looked at. `pointed`: fair lines with a soft word; `found`: hints refused or pointed at."""
    lines = corpus.lines(part)
    good = [line for line in lines if line.expected == "ok"]
    bad = [line for line in lines if line.expected != "ok"]
    assert (len(good), len(bad)) == (fair, hints)
    assert sum(map(pointed_at, good)) <= pointed
    refused = [bool(wording.check(line.text, Context(line.language))) for line in bad]
    assert sum(no or pointed_at(line) for no, line in zip(refused, bad, strict=True)) >= found


def test_the_two_honest_parts_together():
    precision, recall = corpus.measure_looks("look_unseen", "hints_after")
    assert precision >= 0.9
    assert recall >= 0.8


def test_it_says_what_the_sentence_does_and_where():
    text = "Invoice {number} is still open. My brother-in-law is a solicitor. Could you tell us a date?"
    (one,) = look(text, "en-GB")
    assert (one.kind, one.sentence) == ("others", "My brother-in-law is a solicitor.")
    assert text[one.start :].startswith("My brother-in-law")
    assert one.why == "It brings other people in. What have they to do with this invoice?"


def test_what_is_refused_is_not_pointed_at_as_well():
    text = "My cousin the judge says that we will take you to court."
    assert wording.check(text, Context("en-US"))
    assert look(text, "en-US") == ()


def test_the_name_of_the_customer_is_no_other_person():
    assert look("Smith & Sons Family Law Ltd pays by card.", "en-GB", ("Smith & Sons Family Law Ltd",)) == ()


def test_a_language_without_a_list_is_judged_by_what_the_text_seems_to_be_in():
    assert look("A handshake used to mean something around here.", "pt") != ()


@pytest.mark.parametrize("written", ["matter = ['\\bfatura']", "matter = [", "matter = ['(']", "matter = 1"])
def test_an_added_list_that_is_not_whole_says_nothing(written, tmp_path, monkeypatch):
    monkeypatch.setenv("FORBEAR_WORDS", str(tmp_path))
    (tmp_path / "look.xx.toml").write_text(written)
    assert wording_look._known.__wrapped__("xx") is None


def test_an_objection_names_the_numbers_that_were_written():
    for hours in (24, 36, 24):
        [found] = [o for o in wording.check(f"Please pay within {hours} hours.") if o.kind == "pressure"]
        assert found.words == f"within {hours} hours"


def test_a_pattern_that_knows_a_number_of_its_own_is_asked_about_each():
    names = ("en", "de", "fr", "es")
    assert not any(wording_tone.tone(name).knows_numbers for name in names)
    assert wording_tone.knows_numbers({"urgency": {"haste": r"within (?:24|\d{1,2}) hours"}})
    assert not wording_tone.knows_numbers({"urgency": [r"(?P<verb2>\w+) in \d{1,2}:\d\d"]})
