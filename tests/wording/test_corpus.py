"""The wording check against the labelled corpus."""

from pathlib import Path

import pytest

from connector.domain import wording
from connector.domain.wording_context import Context
from tests.wording import corpus


@pytest.mark.parametrize("line", corpus.lines("development"), ids=lambda line: line.text[:60])
def test_a_line_of_the_development_part(line):
    found = {o.rule for o in wording.check(line.text, Context(line.language))}
    if line.expected == "ok":
        assert found == set()
    else:
        assert found


@pytest.mark.parametrize(
    ("part", "lines", "recall"),
    [
        ("held_back", 181, 0.95),
        ("unseen", 78, 0.95),
        ("last", 45, 0.9),
        ("fresh_usual", 58, 0.85),
        ("fresh_hints", 62, 0.9),
        (
            "hints_after",
            42,
            0.0,
        ),  # hints of other kinds: as good as none is found, and docs/contact.md says so
    ],
)
def test_the_other_parts_are_judged_as_measured(part, lines, recall):
    """Only the sums are looked at, so that the parts stay some to measure with."""
    measured = corpus.measure(part)
    assert measured.lines == lines
    assert measured.precision >= 0.95
    assert measured.recall >= recall


def test_every_line_says_where_it_comes_from():
    for part in (p.stem for p in Path(__file__).parent.glob("*.tsv")):
        for line in corpus.lines(part):
            assert line.source
            assert line.language.partition("-")[0] in ("en", "es", "fr", "de")


def test_the_same_text_gives_the_same_answer_and_needs_no_language():
    for line in corpus.lines("development"):
        known = wording.check(line.text, Context(line.language))
        assert wording.check(line.text, Context(line.language)) == known
    assert wording.language_of("Könnten Sie uns sagen, bis wann wir mit der Zahlung rechnen dürfen?") == "de"
    assert wording.check("Nous transmettrons votre dossier à un huissier.") != ()
