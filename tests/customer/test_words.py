"""Every sentence that a customer can read on their page: in each variant, past the wording check."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import web
from connector.domain import wording
from connector.domain.letters import variants
from connector.domain.page_words import words
from connector.domain.wording_context import Context

TEMPLATES = Path(web.__file__).parent / "templates" / "customer_page"
FIELD = re.compile(r"\{(\w+)\}")


@pytest.mark.parametrize("variant", variants())
def test_every_sentence_passes_the_wording_check(variant: str) -> None:
    wrong = {
        name: [(o.rule, o.words) for o in found]
        for name, text in words(variant).sentences()
        if (found := wording.check(text, Context(language=variant)))
    }
    assert wrong == {}


@pytest.mark.parametrize("variant", variants())
def test_every_variant_says_everything_with_the_same_fields(variant: str) -> None:
    ours = {name: set(FIELD.findall(text)) for name, text in words("en-US").sentences()}
    theirs = {name: set(FIELD.findall(text)) for name, text in words(variant).sentences()}
    assert theirs == ours


def test_the_check_of_this_page_can_fail() -> None:
    assert wording.check("Pay at once, or we hand this to debt collectors.", Context(language="en-US"))
    assert wording.check("Zahlen Sie sofort.", Context(language="de"))


def test_templates_hold_no_sentence_of_their_own() -> None:
    """What is left of a template without tags and expressions is punctuation: all words come from the catalog."""
    for file in TEMPLATES.glob("*.html"):
        text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", file.read_text(), flags=re.S)
        text = re.sub(r"<!doctype html>|<[^>]*>", " ", text, flags=re.S)
        assert not re.search(r"[^\W\d_]{2,}", text), (file.name, text.split())


def test_every_sentence_that_templates_and_code_ask_for_exists_and_none_is_left_over() -> None:
    said = dict(words("en-US").sentences())
    text = "".join(f.read_text() for f in TEMPLATES.glob("*.html"))
    root = Path(web.__file__).parents[1]
    sources = [
        *(root / "web" / "customer").glob("*.py"),
        *(root / "connector" / "customer_page").glob("*.py"),
    ]
    code = "".join(f.read_text() for f in sources) + (root / "connector/domain/page_words.py").read_text()
    quoted = set(re.findall(r"""['"](\w+)['"]""", text + code))
    asked = set(re.findall(r"say\('(\w+)'", text))
    prefixes = tuple(name for name in asked if name.endswith("_"))
    assert {name for name in asked if not name.endswith("_")} <= set(said)
    left = {
        bare
        for bare in (name.removeprefix("agreement.") for name in said)
        if bare not in quoted
        and not bare.startswith(prefixes)
        and bare.removesuffix("_text") not in quoted
        and bare.removesuffix("_title") not in quoted
    }
    assert left == set()


def test_what_british_and_american_pages_spell_otherwise() -> None:
    assert words("en-GB").say("installment", n=1, number="7") == "Instalment 1, invoice 7"
    assert words("en-US").say("installment", n=1, number="7") == "Installment 1, invoice 7"
    assert "acknowledgement" in words("en-AU").terms["rest_text"]
