"""What the processes write to standard error: ids to follow one piece of work by, never a secret or a customer.

One line for each record; JSON unless a person looks at a terminal. The ids travel: a request names itself, the
job that it wakes carries that name as its cause, and the ledger's own reference (Intuit's `intuit_tid`, Xero's
correlation id) stands on the line of each call.

Two rules keep data out. Our own messages take ids and counts only. Whatever comes from elsewhere is cut: an
exception keeps its type and where it was raised but not its message, which may quote a customer; a library's
message keeps its fixed words but not its values. What still looks like a secret or an e-mail address is masked.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import TracebackType
from typing import Any

log = logging.getLogger(__name__)

OURS = ("connector", "adapters", "webhooks", "web", "sandbox")
TOLD = (*OURS, "gunicorn", "rq")  # whose values may be shown: processes, signals, addresses of ours
MASK = "***"
REMEMBERED = 200  # secrets that this process handled last
SHORTEST = 6  # characters: masking shorter ones would blank out ordinary words
FRAMES = 12
_HOME = str(Path(__file__).parent.parent) + "/"

_ids: ContextVar[dict[str, str]] = ContextVar("_ids", default={})  # noqa: B039 - never changed in place
_secrets: OrderedDict[str, None] = OrderedDict()

_SHAPES = [
    (re.compile(r"""://[^/\s:@"\\]*:[^/\s@"\\]+@"""), f"://{MASK}@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"\beyJ[\w-]{8,}(\.[\w-]*){1,4}"), MASK),  # a signed or encrypted token
    (
        re.compile(
            r"""(?ix)(\b (?:access_token|refresh_token|id_token|client_secret|code_verifier|password)
            [\\"']* \s* [=:] \s* [\\"']*) [^\s"'&,})\\]+"""
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"([?&](?:code|state)=)[^\s\"'&\\]+"), rf"\1{MASK}"),
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*\w"), MASK),
]


# ---------------------------------------------------------------- ids


@contextmanager
def about(**ids: object) -> Iterator[None]:
    """Every line written inside the block carries these ids: request, cause, job, connection, write."""
    mark = _ids.set(_ids.get() | {name: str(id) for name, id in ids.items() if id})
    try:
        yield
    finally:
        _ids.reset(mark)


def begin(**ids: object) -> None:
    """Start anew with these ids, for as long as this thread's present task lasts (a web request)."""
    _ids.set({name: str(id) for name, id in ids.items() if id})


def current(name: str) -> str:
    """One id of the work under way, "" when there is none."""
    return _ids.get().get(name, "")


def ids() -> dict[str, str]:
    """All ids of the work under way."""
    return dict(_ids.get())


def facts(**values: object) -> dict[str, Any]:
    """Fields of one line of their own: `log.info("...", extra=facts(status=200))`. Ids and figures only."""
    return {"facts": {name: value for name, value in values.items() if value not in ("", None)}}


# ---------------------------------------------------------------- masking


def hide(*secrets: str) -> None:
    """Mask these values wherever this process writes them from now on."""
    for secret in secrets:
        if len(secret) >= SHORTEST:
            _secrets[secret] = None
            _secrets.move_to_end(secret)
    while len(_secrets) > REMEMBERED:
        _secrets.popitem(last=False)


def masked(text: str) -> str:
    """The text without known secrets, and without what looks like one or like an e-mail address."""
    for secret in list(_secrets):
        if secret in text:
            text = text.replace(secret, MASK)
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text


def _message(record: logging.LogRecord) -> str:
    source = record.name.partition(".")[0]
    if source in OURS or not record.args:
        return record.getMessage()
    if source in TOLD:
        first, *more = record.getMessage().strip().splitlines() or [""]
        # A stack, with the error's words at its end
        return f"{first} ... {more[-1].partition(':')[0]}" if more else first
    return str(record.msg)  # a library's values may quote a customer: "%s" says enough


def explained(error: BaseException) -> dict[str, Any]:
    """An exception without its message: type, codes, and where it was raised, innermost last."""
    found: dict[str, Any] = {"type": type(error).__name__}
    for name in ("code", "reference", "errno", "sqlstate"):
        value = getattr(error, name, None) or getattr(getattr(error, "orig", None), name, None)
        if isinstance(value, str | int) and value != "":
            found[name] = value
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    found["at"] = [f"{_short(f.filename)}:{f.lineno} {f.name}" for f in frames]
    if error.__cause__ is not None:
        found["cause"] = explained(error.__cause__)
    return found


def short(error: BaseException) -> str:
    """Type and place of an error in one line, without its words: the same trouble gives the same line."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(_HOME)]
    where = f" in {_short(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


def _short(path: str) -> str:
    return path.rpartition("site-packages/")[2].removeprefix(_HOME)


# ---------------------------------------------------------------- lines


class Lines(logging.Formatter):
    """One record, one line: JSON for machines, or short words for a terminal."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        when = dt.datetime.fromtimestamp(record.created, dt.UTC)
        more: dict[str, Any] = {**_ids.get(), **getattr(record, "facts", {})}
        error = record.exc_info[1] if record.exc_info else None
        if self._as_json:
            line = {
                "at": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "level": record.levelname.lower(),
                "from": record.name,
                "message": _message(record),
                "process": record.process,
                **more,
                **({"error": explained(error)} if error else {}),
            }
            return _one_line(masked(json.dumps(line, ensure_ascii=False, default=str)))
        words = f"{when.astimezone():%H:%M:%S} {record.levelname:<7} {record.name}  {_message(record)}"
        words = _one_line(masked(words + "".join(f"  {name}={value}" for name, value in more.items())))
        if error:
            what = explained(error)
            words += f"  {what['type']}" + "".join(f"\n    {frame}" for frame in what["at"])
        return words


def _one_line(text: str) -> str:
    """A value from elsewhere (a ledger's reference) must not begin a line, nor speak to the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


class Reporter(logging.Handler):
    """Hands each error to whoever is plugged in as `connector.error_reports`, without any data of customers.

    A plug-in is a function of one dictionary: message, from, ids, error (as `explained`). What it raises is
    dropped: a report must not break the work that it reports.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        report = {"message": masked(_message(record)), "from": record.name, "ids": dict(_ids.get())}
        if error:
            report["error"] = explained(error)
        for report_to in _reporters():
            try:
                report_to(report)
            except Exception:  # noqa: S112 - logging it would report it again
                continue


@cache
def _reporters() -> tuple[Any, ...]:
    return tuple(entry.load() for entry in entry_points(group="connector.error_reports"))


def configure(level: int = logging.INFO, stream: Any = None) -> None:
    """Have every logger of this process write our lines to standard error (or `stream`). Call once, early.

    Leaves everything as it is when whoever runs this process has set up logging already, as a test does.
    """
    if logging.getLogger().handlers:
        return
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Lines(as_json=not stream.isatty()))
    logging.basicConfig(level=level, handlers=[handler, Reporter()])
    logging.captureWarnings(True)
    sys.excepthook = _not_caught
    threading.excepthook = lambda ended: _not_caught(
        ended.exc_type, ended.exc_value or ended.exc_type(), ended.exc_traceback
    )
    for talkative in ("urllib3", "xero_python", "authlib", "alembic", "requests", "asyncio"):
        logging.getLogger(talkative).setLevel(max(level, logging.WARNING))


def _not_caught(kind: type[BaseException], problem: BaseException, where: TracebackType | None) -> None:
    """An error that ends a process or a thread. Python would write its words, in many lines."""
    if not issubclass(kind, KeyboardInterrupt | SystemExit):
        log.critical("ended by an error that nobody caught", exc_info=(kind, problem, where))
