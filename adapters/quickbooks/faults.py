"""Every way QuickBooks says no → one of the port's four errors, in words for a bookkeeper.

QuickBooks answers in several shapes: `Fault` and lower-case `fault`, at the top or nested, with HTTP 200 or
not, XML and HTML, codes that are missing or no number. The table is in docs/platforms/quickbooks.md. An
error's words may quote the access token (401) or name another user (5010); both are taken out here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from connector.platforms import OutOfDate, PlatformError, Reconnect, Refused, TryLater

THROTTLE_WAIT = 60.0  # seconds; Intuit's own advice, no Retry-After is documented

_RECONNECT = (
    "QuickBooks no longer lets Forbear into this company: the permission was withdrawn or has ended. "
    "Press Reconnect; your plans and history stay as they are."
)
_BUSY = "QuickBooks asks us to slow down. Forbear waits and goes on by itself."
_DOWN = "QuickBooks is not answering properly right now. Forbear tries again by itself."
_DEFECT = (
    "QuickBooks did not understand what Forbear sent. Nothing was changed. "
    "This is a defect in Forbear: please report it with the code."
)
_CLOSED = (
    "The books are closed for that date. Use a date after the closing date, "
    "or open the period in QuickBooks (Settings, Account and settings, Advanced)."
)
_CHANGED = (
    "Someone else changed this in QuickBooks at the same time. Forbear reads it again before it goes on."
)

_CODELESS = re.compile(r"transactions? ha(ve|s) an? (VAT|GST|tax)\b.*(rate|code)", re.IGNORECASE)
_NO_CODE = (
    "This company's QuickBooks wants a VAT or GST code on every line, and it has none that Forbear knows to be "
    'on no return. Make one called "Out of scope" in QuickBooks (Taxes), with a rate of 0 that is reported '
    "nowhere, then try again; or use notes-only plans."
)

VERDICTS: dict[int, tuple[type[PlatformError], str]] = {
    100: (Reconnect, _RECONNECT),
    120: (Reconnect, _RECONNECT),
    3100: (Reconnect, _RECONNECT),
    3200: (Reconnect, _RECONNECT),
    3001: (TryLater, _BUSY),
    10000: (TryLater, _DOWN),
    610: (
        OutOfDate,
        "This was deleted or made inactive in QuickBooks. Forbear reads it again before it goes on.",
    ),
    620: (
        OutOfDate,
        "QuickBooks could not join the two documents. Forbear reads both again before it goes on.",
    ),
    5010: (OutOfDate, _CHANGED),
    6140: (OutOfDate, "QuickBooks already has a document with this number. Forbear looks it up."),
    6240: (OutOfDate, "QuickBooks already has this name. Forbear looks it up."),
    500: (Refused, _DEFECT),
    2010: (Refused, _DEFECT),
    2020: (Refused, _DEFECT),
    2030: (Refused, _DEFECT),
    2050: (Refused, _DEFECT),
    2080: (Refused, _DEFECT),
    4000: (Refused, _DEFECT),
    4001: (Refused, _DEFECT),
    6070: (Refused, _DEFECT),
    2240: (Refused, "QuickBooks refuses this payment amount. Check the invoice's balance in QuickBooks."),
    2390: (Refused, "The item has no account in QuickBooks. Choose the clearing account again in Settings."),
    2500: (
        Refused,
        "Something this needs is missing in QuickBooks: a customer, item or account. Check them.",
    ),
    5030: (Refused, "This company's QuickBooks edition does not include that feature. Use notes-only plans."),
    6190: (
        Refused,
        "This company's QuickBooks subscription has ended, so nothing can be written. Renew it first.",
    ),
    6200: (Refused, _CLOSED),
    6210: (Refused, _CLOSED),
    6430: (Refused, "QuickBooks does not allow this type of account here. Choose another clearing account."),
    6540: (Refused, "The payment is part of a bank deposit. Remove it from the deposit in QuickBooks first."),
}
_WORDS = {  # faults without a usable code
    "throttleexceeded": 3001,
    "authenticationfailed": 3200,
    "applicationauthenticationfailed": 3200,
    "applicationauthorizationfailed": 3100,
    "authorizationfailed": 120,
    "object not found": 610,
    "stale object": 5010,
    "duplicate document number": 6140,
    "duplicate name exists": 6240,
    "account period closed": 6210,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault as QuickBooks worded it. `code` is 0 when there was no number."""

    code: int
    raw_code: str
    message: str
    detail: str
    type: str = ""

    @property
    def words(self) -> str:
        """The ledger's own words, without tokens, addresses or other users' names."""
        if self.code == 5010:  # the detail names the other user
            return scrub(self.message)
        if self.code in (100, 120, 3100, 3200):  # the detail quotes the token
            return scrub(self.message)
        return scrub(": ".join(part for part in (self.message, self.detail) if part))


def scrub(text: str) -> str:
    """`text` without tokens, e-mail addresses and the names of other users; at most 500 characters."""
    text = re.sub(r"(?i)(token[^:=]{0,20}[:=]\s*)\S.*", r"\1…", text)
    text = re.sub(r"(?i)bearer\s+\S+", "Bearer …", text)
    text = re.sub(r"(?i)\byou and .{1,120}? were working", "You and another user were working", text)
    text = re.sub(r"[\w.+-]+@[\w-]+\.[\w.-]+", "…", text)
    text = re.sub(r"[A-Za-z0-9_\-.+/=]{40,}", "…", text)
    return " ".join(text.split())[:500]


def found(body: Any) -> Iterator[Fault]:
    """Every fault anywhere in a parsed answer, upper and lower case, except inside a batch's own items."""
    if isinstance(body, list):
        for part in body:
            yield from found(part)
    elif isinstance(body, dict):
        for key, value in body.items():
            if key in ("Fault", "fault") and isinstance(value, dict):
                yield from read(value)
            elif key != "BatchItemResponse" and isinstance(value, (dict, list)):
                yield from found(value)


def read(fault: Mapping[str, Any]) -> list[Fault]:
    """The errors of one `Fault` object; one empty Fault when QuickBooks named none."""
    kind = str(fault.get("type") or "")
    errors = fault.get("Error", fault.get("error"))
    if isinstance(errors, dict):
        errors = [errors]
    faults = [_one(e, kind) for e in errors or [] if isinstance(e, dict)]
    return faults or [Fault(0, "", "", "", kind)]


def _one(error: Mapping[str, Any], kind: str) -> Fault:
    message = str(error.get("Message", error.get("message")) or "")
    detail = str(error.get("Detail", error.get("detail")) or "")
    raw = str(error.get("code") or "").strip()
    return Fault(_number(raw, message, detail), raw, message, detail, kind)


def _number(raw: str, message: str, detail: str) -> int:
    if raw.isdigit():
        return int(raw)
    if inside := re.search(r"errorCode=(\d+)", message):
        return int(inside[1])
    text = f"{raw} {message} {detail}".lower()
    return next((code for words, code in _WORDS.items() if words in text), 0)


def in_text(raw: bytes) -> list[Fault]:
    """The fault of an answer that is not JSON: Intuit's XML, or a gateway's HTML."""
    text = raw[:20_000].decode("utf-8", "replace")
    code = re.search(r"""<Error[^>]*\bcode=["'](\d+)["']|<code>\s*(\d+)""", text, re.IGNORECASE)
    message = re.search(r"<Message>([^<]*)", text, re.IGNORECASE)
    detail = re.search(r"<Detail>([^<]*)", text, re.IGNORECASE)
    words = message[1] if message else ""
    raw_code = next((g for g in code.groups() if g), "") if code else ""
    if not raw_code and not words:
        return []
    return [Fault(_number(raw_code, words, ""), raw_code, words, detail[1] if detail else "")]


def error(
    faults: list[Fault],
    *,
    status: int,
    writes: bool,
    reference: str = "",
    retry_after: float | None = None,
) -> PlatformError:
    """The port's error for an answer. `faults` may be empty: then the HTTP status decides."""
    fault = next((f for f in faults if f.code in VERDICTS), faults[0] if faults else None)
    words = "; ".join(dict.fromkeys(f.words for f in faults if f.words))[:500]
    code = (str(fault.code) if fault.code else scrub(fault.raw_code)) if fault else ""
    kind, sentence = _verdict(fault, status, words)
    if kind is TryLater:
        after = retry_after
        if after is None and (status == 429 or (fault and fault.code == 3001)):
            after = THROTTLE_WAIT
        return TryLater(
            sentence,
            after=after,
            uncertain=writes,
            code=code or str(status),
            words=words,
            reference=reference,
        )
    return kind(sentence, code=code or str(status), words=words, reference=reference)


def _verdict(fault: Fault | None, status: int, words: str) -> tuple[type[PlatformError], str]:
    if fault and fault.code == 6000:
        if "one name at a time" in words:
            return TryLater, _BUSY
        if _CODELESS.search(words):
            return Refused, _NO_CODE
        return Refused, f"QuickBooks refuses this: {_business(words)}"
    if fault and fault.code in VERDICTS:
        return VERDICTS[fault.code]
    if status == 429:
        return TryLater, _BUSY
    if status >= 500 or status == 408:
        return TryLater, _DOWN
    if status == 401 or (fault and fault.type.upper() in ("AUTHENTICATION", "AUTHORIZATION")):
        return Reconnect, _RECONNECT
    if status == 403:  # a firewall's page: no word of QuickBooks itself about our permission
        return TryLater, _DOWN
    if fault and words:
        return Refused, f"QuickBooks refuses this: {_business(words)}"
    if status == 200:
        return TryLater, _DOWN
    return Refused, _DEFECT


def _business(words: str) -> str:
    """A business refusal's text without Intuit's preamble, ended like a sentence."""
    text = re.sub(r"^.*?Business Validation Error:\s*", "", words) or words
    text = re.sub(r"(?i)^unexpected internal error\.?\s*:?\s*", "", text).strip() or "no reason was given"
    return text if text.endswith((".", "!", "?")) else text + "."


def unusable(what: str, *, writes: bool, reference: str = "") -> TryLater:
    """An answer without what was asked for. After a write nobody knows: look up before repeating."""
    return TryLater(
        "QuickBooks gave no usable answer. Forbear checks what happened and tries again by itself.",
        uncertain=writes,
        code="no answer",
        words=scrub(what),
        reference=reference,
    )


def unordered() -> TryLater:
    """The rows come in another order with every page: some would be skipped unseen."""
    return TryLater(
        "QuickBooks lists its records in another order each time, so some could be missed. "
        "Nothing is lost: what was read is kept, and Forbear tries again by itself.",
        code="no order",
    )


def lost(problem: requests.RequestException, *, writes: bool) -> TryLater:
    """The connection failed. Only a connection that was never made is certain not to have written."""
    reason = getattr(problem.args[0] if problem.args else None, "reason", None)
    never_sent = isinstance(problem, requests.ConnectTimeout) or type(reason).__name__ in (
        "NewConnectionError",
        "NameResolutionError",
    )
    return TryLater(
        "QuickBooks could not be reached. Forbear tries again by itself.",
        uncertain=writes and not never_sent,
        code=type(problem).__name__,
    )
