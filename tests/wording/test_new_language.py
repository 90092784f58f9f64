"""A language that an operator adds: two files in a folder, no code."""

import re
from pathlib import Path

import pytest

from connector.domain import (
    demand,
    fingerprint,
    letters,
    page_words,
    reminder_words,
    wording,
    wording_tone,
    words,
)
from tests.domain import test_demand
from tests.domain.test_dunning import after, an_open, reminder

CACHED = (
    letters.letters, letters.variants, letters.unusable, letters._countries, page_words.words,
    wording_tone.tone, wording_tone.languages, wording_tone._hits, wording.language_of, fingerprint.of_source,
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Portuguese, for the test in Spanish words: what matters is that nothing but files is needed."""
    monkeypatch.setenv(words.FOLDER, str(tmp_path))
    spanish = words.read("letters.es.toml")
    text = re.sub(r"countries = .*", 'countries = ["PT", "BR"]', spanish).replace("Español", "Português")
    (tmp_path / "letters.pt.toml").write_text(text.replace("Hola, {customer}", "Olá, {customer}"), "utf-8")
    (tmp_path / "tone.pt.toml").write_text(words.read("tone.es.toml"), "utf-8")
    forget()
    yield tmp_path
    monkeypatch.undo()
    forget()


def forget():
    for cached in CACHED:
        cached.cache_clear()


def test_its_letters_are_sent_and_checked(folder):
    assert "pt" in letters.variants()
    assert [
        letters.variant_for(*asked) for asked in (("pt-BR", "", "US"), ("", "pt", "US"), ("", "", "PT"))
    ] == ["pt"] * 3
    due = reminder([an_open()], after(3))
    sender = reminder_words.Sender("Alder", "Jo Doe", "jo@alder.example", language="pt")
    said = reminder_words.text(due, "Brook", sender, after(3))
    assert said.startswith("Olá, Brook")
    context = reminder_words.context(due, "Brook", sender, after(3), language="pt")
    assert wording.check(said, context) == ()
    assert wording.check(said + " De lo contrario acudiremos al juzgado.", context) != ()


def test_what_is_not_translated_is_in_english(folder):
    assert page_words.words("pt").variant == "en-GB"
    text = (folder / "letters.pt.toml").read_text("utf-8")
    (folder / "letters.pt.toml").write_text(text[: text.index("[demand]")], "utf-8")
    forget()
    assert "pt" in letters.variants()
    drawn = test_demand.in_language("pt")
    assert isinstance(drawn, demand.Demand)
    assert drawn.variant == "en-GB"


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("letters.pt.toml", "questions = ", "asks = ", "the line questions is missing"),
        ("letters.pt.toml", "{amount}, ", "", "or has other fields"),
        ("letters.pt.toml", "[lines]", "[lines", "cannot be read"),
        ("tone.pt.toml", "[guilt]", "[remorse]", "nothing can be checked"),
    ],
)
def test_a_language_that_is_not_whole_is_not_used_and_the_doctor_says_why(folder, file, old, new, says):
    text = (folder / file).read_text("utf-8")
    (folder / file).write_text(text.replace(old, new, 1), "utf-8")
    forget()
    assert "pt" not in letters.variants()
    assert letters.variant_for("pt", "", "PT") == "en-US"
    assert any(says in problem for problem in letters.unusable()), letters.unusable()


def test_a_file_never_takes_the_place_of_ours(folder):
    (folder / "tone.en.toml").write_text("markers = []", "utf-8")
    forget()
    assert wording.check("We will not hesitate to sue.") != ()


def test_the_rules_are_others_with_it(folder):
    before = fingerprint.of_source("connector.domain")
    (folder / "tone.pt.toml").write_text(words.read("tone.es.toml") + "\n# changed\n", "utf-8")
    fingerprint.of_source.cache_clear()
    assert fingerprint.of_source("connector.domain") != before
