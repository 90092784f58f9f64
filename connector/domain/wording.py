"""The wording check: asked before a text is saved and again before it leaves. Deterministic, explained per sentence.

Refused: threats that no enabled step carries out, guilt, shame, false urgency, legal pretence, capitals, private
questions. Wanted, once something is overdue: whom to ask, how to object, from the second step a plan; and always
the sums and dates of the books. Rules of tone: docs/accounting.md, "Contact". It gives no legal advice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from connector.domain import wording_facts, wording_tone
from connector.domain.wording_context import Context
from connector.domain.wording_text import Sentence, plain, sentences, without_quotations
from connector.domain.wording_tone import Hit, Tone


@dataclass(frozen=True, slots=True)
class Objection:
    """One reason against a text. `sentence` is the customer's reading, "" when something is missing.

    `why` says what is wrong, `suggestion` what to write instead; `start` and `end` are its place in the text.
    """

    rule: str
    kind: str
    sentence: str
    words: str
    why: str
    suggestion: str
    start: int = 0
    end: int = 0


_WHY = {
    "collection": "It announces debt collectors, and no step of your policy hands anything over.",
    "court": "It announces legal steps, and no step of your policy takes any.",
    "report": "It threatens the customer's credit record or a report to others; no step of your policy does that.",
    "publicity": "It threatens to tell other people. A debt is nobody else's business.",
    "seizure": "It threatens to take things away; no step of your policy does that.",
    "cutoff": "It threatens to stop deliveries or service, and no step of your policy does that.",
    "fee": "It announces fees, interest or costs that no step of your policy charges.",
    "vague": "It hints at consequences without saying which. A vague threat is still a threat.",
    "hint": "It hints at what might happen. A veiled threat is still a threat.",
    "regret": "It says how sorry you would be if it came to something. That is a threat in mild words.",
    "decision": "It makes the customer answer for what might happen. That is a threat in mild words.",
    "gossip": "It hints that others talk about the customer. A debt is nobody else's business.",
    "warning": "It warns the customer without saying of what. A veiled threat is still a threat.",
    "ways": "It hints at other means. Say what you will really do, or leave it out.",
    "dealings": "It makes working together depend on this invoice, and no step of your policy does that.",
    "guilt": "It makes the customer answer for your worries. People who feel guilty hide; they do not pay sooner.",
    "shame": "It judges the person instead of speaking of the invoice.",
    "urgency": "It makes the matter more pressing than it is. Name a date instead.",
    "legal": "It sounds like a legal document, which a reminder is not.",
    "private": "It asks for private reasons. Nobody needs them to agree on a date.",
    "capitals": "Capital letters read as shouting.",
}
_INSTEAD = {
    "threat": "Say what you will really do next: “If we do not hear from you, we will call you.” Or leave it out.",
    "guilt": "Speak of the invoice: its number, its sum, its date, and what the customer can choose.",
    "shame": "Assume that it slipped through: “Is anything missing on your side?”",
    "urgency": "“Could you tell us on which date we can expect the payment?”",
    "legal": "Use everyday words: “The invoice is still open.” For a formal letter, use the demand letter.",
    "private": "“Tell us what you can manage; we can usually agree a plan.”",
    "capitals": "Write it in ordinary letters.",
}
_SHOUTING = "Several exclamation marks read as shouting."
_CAPITALS = re.compile(r"(?<![\w@.])[A-ZÀ-ÖØ-Þ]{2,}(?![\w@.]*[a-zà-ÿ0-9])")
_BANK = frozenset(["IBAN", "BIC", "SWIFT", "BSB", "ACH", "SEPA", "BACS", "CHAPS"])  # what follows is a code
_COMPANY = frozenset(
    [
        "LTD",
        "LLC",
        "LLP",
        "INC",
        "GMBH",
        "AG",
        "KG",
        "SA",
        "SAS",
        "SARL",
        "SRL",
        "SL",
        "SLU",
        "SPA",
        "BV",
        "PTY",
        "CO",
        "CORP",
        "PLC",
        "OHG",
        "UG",
        "EURL",
        "LIMITED",
        "LTDA",
    ]
)


@lru_cache(maxsize=512)  # the review asks, and the last look before a message leaves asks again
def check(text: str, context: Context | None = None) -> tuple[Objection, ...]:
    """Why this text may not be saved or sent, in its order; () when it may. The same text gives the same answer."""
    context = context or Context()
    return _in_order([*_tone(text, context), *_capitals(text, context), *facts(text, context)])


def facts(text: str, context: Context) -> tuple[Objection, ...]:
    """The part of `check` that another day may change: what is missing, and sums and dates that are wrong."""
    said = context.language.partition("-")[0].lower()
    tone = wording_tone.tone(said if said in wording_tone.languages() else language_of(text))
    found = [_missing(*m) for m in wording_facts.missing(text, context, tone)]
    wrong = wording_facts.wrong(text, context, tone)
    found += [Objection(r, "", s.original, w, why, what, s.start, s.end) for r, s, w, why, what in wrong]
    return _in_order(found)


def _in_order(found: Iterable[Objection]) -> tuple[Objection, ...]:
    return tuple(sorted(found, key=lambda o: (not o.sentence, o.start, o.rule)))


def is_about_tone(sentence: str) -> bool:
    """Whether a sentence that was kept is an objection of `check` to how a text is said, not to its facts."""
    return sentence.startswith((*_WHY.values(), _SHOUTING))


@lru_cache(maxsize=256)
def language_of(text: str) -> str:
    """The language that the text seems to be in: whose small words it uses most; English when it cannot be told."""
    words = plain(text).replace("'", " ").split()
    scores = {
        code: sum(w in wording_tone.tone(code).markers for w in words) for code in wording_tone.languages()
    }
    best = max(scores, key=lambda code: (scores[code], code == "en"))
    return best if scores[best] else "en"


def _tones(text: str, context: Context) -> list[Tone]:
    """The language that was said, and the one that the text seems to be in."""
    said = context.language.partition("-")[0].lower()
    seen = language_of(text)
    known = [code for code in dict.fromkeys((said, seen)) if code in wording_tone.languages()]
    return [wording_tone.tone(code) for code in known]


def _tone(text: str, context: Context) -> Iterator[Objection]:
    seen: set[tuple[int, str, str]] = set()
    for tone in _tones(text, context):
        own = without_quotations(
            _without_names(text, context), tone.syntax["attributed"], tone.syntax["titled"]
        )
        parts = list(sentences(own))
        for n, part in enumerate(parts):
            around = " ".join(p.plain for p in parts[max(0, n - 1) : n + 2])
            for hit in tone.hits(part.plain, around):
                if hit.rule == "threat" and hit.kind in context.enabled:
                    continue
                if (part.start, hit.rule, hit.kind) not in seen:
                    seen.add((part.start, hit.rule, hit.kind))
                    yield _objection(hit, part, text)


def _without_names(text: str, context: Context) -> str:
    """Names of people, firms and invoices blanked out, at the same length: a customer may be called Last Call Ltd."""
    for name in sorted({*context.names, *context.numbers}, key=len, reverse=True):
        if len(name) > 1:
            text = re.sub(re.escape(name), lambda found: " " * len(found[0]), text, flags=re.IGNORECASE)
    return text


def _objection(hit: Hit, part: Sentence, text: str) -> Objection:
    return Objection(
        rule=hit.rule,
        kind=hit.kind,
        sentence=text[part.start : part.end],
        words=hit.words,
        why=_WHY.get(hit.kind) or _WHY[hit.rule],
        suggestion=_INSTEAD[hit.rule],
        start=part.start,
        end=part.end,
    )


def _capitals(text: str, context: Context) -> Iterator[Objection]:
    """Two words in capitals side by side, or one long one, that are no name, number, code or address."""
    names = {w for name in context.names for w in name.upper().split()}
    stress = {word for tone in _tones(text, context) for word in tone.stress}
    for part in sentences(text):
        if any(name and name.upper() in part.original for name in context.names):
            continue
        for run in _runs(part.original):
            shouted = [w for w in run if w not in names]
            if (_COMPANY | _BANK) & set(run) or not shouted:
                continue
            loud = len(shouted) > 1 and max(map(len, shouted)) > 3
            if loud or len(shouted[0]) > 5 or any(plain(w) in stress for w in shouted):
                why, what = _WHY["capitals"], _INSTEAD["capitals"]
                words = " ".join(run)
                yield Objection("capitals", "", part.original, words, why, what, part.start, part.end)
                break
    for part in sentences(text):
        if re.search(r"[!?]{2,}|!\s*!", part.original):
            yield Objection(
                "urgency",
                "shouting",
                part.original,
                "!!",
                _SHOUTING,
                "End the sentence with a full stop.",
                part.start,
                part.end,
            )


def _runs(text: str) -> Iterator[Sequence[str]]:
    """Words in capitals that follow each other; a word with digits in it is a number or code and breaks a run."""
    run: list[str] = []
    for word in re.findall(r"[\w&'-]+|[.,;:!?()]", text):
        if _CAPITALS.fullmatch(word) or len(word) == 1 and word.isupper() and run:
            run.append(word)
        elif word not in ",":
            if run:
                yield run
            run = []
    if run:
        yield run


def _missing(rule: str, why: str, suggestion: str) -> Objection:
    return Objection(rule, "", "", "", why, suggestion)
