"""Every way Xero says no → one of the port's four errors, with a sentence for a bookkeeper. Pure.

The table is in docs/platforms/xero.md. Xero's own words go along in `words`; no sentence quotes a token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from adapters import waiting
from connector.platforms import OutOfDate, PlatformError, Reconnect, Refused, TryLater

_TOKENS = re.compile(r"\beyJ[\w.~+/=-]+|\bBearer\s+\S+", re.IGNORECASE)
_WORDS_LIMIT = 500  # characters of Xero's own words that we keep


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it came. `headers` have lower-case names."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def reference(self) -> str:
        return self.headers.get("xero-correlation-id", "")

    @property
    def retry_after(self) -> float | None:
        return waiting.seconds(self.headers.get("retry-after"))


@dataclass(frozen=True, slots=True)
class _Rule:
    """A validation message that we know: the error it means, our code, and what the bookkeeper reads."""

    pattern: re.Pattern[str]
    error: type[OutOfDate] | type[Refused]
    code: str
    sentence: str


def _rule(pattern: str, error: type[OutOfDate] | type[Refused], code: str, sentence: str) -> _Rule:
    return _Rule(re.compile(pattern, re.IGNORECASE), error, code, sentence)


_RULES = (
    _rule(
        r"lock date.*?(?:currently set at (?P<day>.+?))?\.?$",
        Refused,
        "PERIOD_LOCKED",
        "Xero's books are closed{day}; a document must be dated after that. "
        "Ask whoever closed the period, or use a later date.",
    ),
    _rule(
        r"has a payment or credit note allocated",
        Refused,
        "DOC_HAS_ALLOCATIONS",
        "Xero does not let an app change a document that has a payment or credit on it. "
        "Change it in Xero, or take the payment or credit off it first.",
    ),
    _rule(
        r"idempotency key",
        OutOfDate,
        "KEY_REUSED",
        "Xero remembers this step with other contents. Forbear looks at what is there before it goes on.",
    ),
    _rule(
        r"unique",
        OutOfDate,
        "ALREADY_EXISTS",
        "Xero already has a record with this number or name. Forbear looks at it before it goes on.",
    ),
    _rule(
        r"exceeds the (amount outstanding|remaining|amount)|greater than the (amount|remaining|outstanding)",
        OutOfDate,
        "BALANCE_CHANGED",
        "The open amount in Xero is smaller than it was. Forbear reads the document again.",
    ),
    _rule(
        r"not of valid status|only be made against authorised|must be authorised",
        OutOfDate,
        "STATUS_CHANGED",
        "The document was paid, voided or changed in Xero meanwhile. Forbear reads it again.",
    ),
    _rule(
        r"could not be found|cannot be found|does not exist|doesn't exist",
        OutOfDate,
        "NOT_FOUND",
        "Xero no longer has this record. Forbear reads the books again.",
    ),
    _rule(
        r"account (code|id).*(not a valid|archived|deleted)",
        Refused,
        "CLEARING_INVALID",
        "Xero cannot post to the chosen account: it is archived, deleted, or of a kind that documents cannot "
        "use. Choose another clearing account in the settings.",
    ),
    _rule(
        r"contact.*(has been|is) archived",
        Refused,
        "CUSTOMER_INACTIVE",
        "The customer is archived in Xero, so no document can be made for them. Restore them there, or use "
        "notes-only.",
    ),
    _rule(
        r"not subscribed to currency",
        Refused,
        "FOREIGN_CURRENCY",
        "This currency is not switched on in Xero. Switch it on there, or use notes only.",
    ),
    _rule(
        r"e-?mail",
        Refused,
        "EMAIL_REFUSED",
        "Xero did not send the e-mail: the customer's address is missing or wrong, or today's number of "
        "e-mails is used up. Check the address in Xero.",
    ),
)


def translate(answer: Answer, *, writes: bool) -> PlatformError:
    """The error that an answer other than 2xx means. `writes`: the call could have changed the books."""
    status = answer.status
    if status == 400:
        return _bad_request(answer)
    if status in (401, 403):
        return _no_permission(answer)
    if status == 404:
        return OutOfDate(
            "Xero no longer has this record. Forbear reads the books again.",
            code="NOT_FOUND",
            reference=answer.reference,
        )
    if status == 409:
        return OutOfDate(
            "The record was changed in Xero at the same moment. Forbear reads it again.",
            code="CONFLICT",
            words=_words(answer.body),
            reference=answer.reference,
        )
    if status == 429:
        return _limit(answer)
    if status == 501 or 400 <= status < 500:
        return Refused(
            f"Xero refused the call ({status}). Forbear tries nothing more here; please report this.",
            code=f"HTTP_{status}",
            words=_words(answer.body),
            reference=answer.reference,
        )
    return _outage(answer, writes)


def refused_element(messages: Iterable[str], reference: str = "") -> PlatformError:
    """The error that the validation messages of one document mean."""
    texts = [text.strip() for text in messages if text and text.strip()]
    words = _scrub(" ".join(texts))
    for rule in _RULES:
        for text in texts:
            if match := rule.pattern.search(text):
                day = match.groupdict().get("day")
                sentence = rule.sentence.replace("{day}", f" to {day}" if day else "")
                return rule.error(sentence, code=rule.code, words=words, reference=reference)
    return Refused(
        f"Xero refused this document: {words}" if words else "Xero refused this document without a reason.",
        code="VALIDATION",
        words=words,
        reference=reference,
    )


def not_delivered() -> PlatformError:
    """The call never reached Xero: repeating it is safe."""
    return TryLater("Xero cannot be reached right now. Forbear tries again by itself.", code="UNREACHABLE")


def no_answer(*, writes: bool) -> PlatformError:
    """The call went out, and no whole answer came back: it may have been carried out."""
    return TryLater(
        "Xero did not answer in full. Forbear looks at what is there, then goes on by itself.",
        code="NO_ANSWER",
        uncertain=writes,
    )


def unreadable_answer(answer: Answer, *, writes: bool) -> PlatformError:
    """Success by its number, and not Xero's JSON: a proxy's page, or half an answer."""
    return TryLater(
        "Xero's answer could not be read. Forbear looks at what is there, then goes on by itself.",
        code="UNREADABLE_ANSWER",
        uncertain=writes,
        reference=answer.reference,
    )


def token_expired(answer: Answer) -> bool:
    """A 401 that a newer token may cure. A missing scope never is cured by one."""
    return answer.status == 401 and not _lacks_scope(answer)


def lacks_scope(problem: PlatformError) -> bool:
    return problem.code == "SCOPE_MISSING"


def _bad_request(answer: Answer) -> PlatformError:
    body = _json(answer.body)
    if body is None:
        return refused_element([answer.body.decode("utf-8", "replace")[:_WORDS_LIMIT]], answer.reference)
    return refused_element(_messages(body), answer.reference)


def _messages(body: Mapping[str, Any]) -> list[str]:
    """The validation messages of all elements; where there are none, the summary."""
    found: list[str] = []
    elements = body.get("Elements")
    for element in elements if isinstance(elements, list) else []:
        found += element_messages(element)
    if not found:
        found += element_messages(body)
    if not found:
        summary = body.get("Message") or body.get("Detail") or body.get("detail") or body.get("error") or ""
        found = [str(summary)]
    return list(dict.fromkeys(found))


def element_messages(element: Any) -> list[str]:
    """The texts of an element's `ValidationErrors`, then of what it holds: its lines, its contact."""
    found: list[str] = []
    if isinstance(element, list):
        for part in element:
            found += element_messages(part)
    elif isinstance(element, dict):
        for problem in element.get("ValidationErrors") or []:
            text = problem.get("Message") if isinstance(problem, dict) else problem
            if isinstance(text, str) and text:
                found.append(text)
        for name, part in element.items():
            if name != "ValidationErrors" and isinstance(part, dict | list):
                found += element_messages(part)
    return found


def _lacks_scope(answer: Answer) -> bool:
    challenge = answer.headers.get("www-authenticate", "")
    return bool(re.search(r"insuff?icient?_scope|insufficent_scope", challenge, re.IGNORECASE))


_NOT_CONNECTED = "authenticationunsuccessful"  # how a 403 says: this organization is not ours to see


def _no_permission(answer: Answer) -> PlatformError:
    body = _json(answer.body)
    if body is None and answer.status == 403 and answer.body.lstrip().startswith(b"<"):
        return _outage(answer, writes=False)  # a firewall's page: no word of Xero about our permission
    body = body or {}
    detail = str(body.get("Detail") or body.get("detail") or "")
    details = {"words": _scrub(detail), "reference": answer.reference}
    other_reason = answer.status == 403 and detail.lower() not in ("", _NOT_CONNECTED)
    if _lacks_scope(answer) or other_reason:
        return Reconnect(
            "The permission that Xero gave us does not cover this. Press Reconnect and allow everything "
            "that is asked.",
            code="SCOPE_MISSING",
            **details,
        )
    if answer.status == 403:
        return Reconnect(
            "Xero no longer lets us into this organization: it was disconnected there, or the person who "
            "connected it lost access. Press Reconnect; your plans and history stay as they are.",
            code="DISCONNECTED",
            **details,
        )
    return Reconnect(
        "Xero no longer accepts our permission. Press Reconnect; your plans and history stay as they are.",
        code="TOKEN_REFUSED",
        **details,
    )


_LIMITS = {
    "day": "Today's number of Xero calls for this organization is used up. Forbear goes on when Xero allows.",
    "minute": "Xero asks us to wait a moment. Forbear goes on by itself.",
    "appminute": "Xero asks us to wait a moment. Forbear goes on by itself.",
    "concurrent": "Xero is answering other calls of ours. Forbear goes on by itself.",
}


def _limit(answer: Answer) -> PlatformError:
    window = answer.headers.get("x-rate-limit-problem", "").strip().lower()
    return TryLater(
        _LIMITS.get(window, _LIMITS["minute"]),
        after=answer.retry_after,
        code=f"LIMIT_{window.upper()}" if window in _LIMITS else "LIMIT",
        reference=answer.reference,
    )


def _outage(answer: Answer, writes: bool) -> PlatformError:
    text = answer.body[:200].decode("utf-8", "replace")
    if "organisation is offline" in text.lower():
        sentence = "This organization is offline at Xero right now. Forbear tries again by itself."
    elif answer.status == 503:
        sentence = "Xero is not available right now. Forbear tries again by itself."
    else:
        sentence = "Xero had a problem of its own. Forbear tries again by itself."
    return TryLater(
        sentence,
        after=answer.retry_after,
        uncertain=writes,
        code=f"HTTP_{answer.status}",
        reference=answer.reference,
    )


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return decoded if isinstance(decoded, dict) else None


def _words(body: bytes) -> str:
    decoded = _json(body)
    if decoded is not None:
        return _scrub(" ".join(_messages(decoded)))
    return _scrub(body[:_WORDS_LIMIT].decode("utf-8", "replace"))


def _scrub(text: str) -> str:
    return _TOKENS.sub("[token]", text)[:_WORDS_LIMIT]
