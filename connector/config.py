"""The environment, read once into one frozen Config. A wrong value stops the process with a sentence."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from email.utils import parseaddr
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

PREFIX = "FORBEAR_"
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class WrongSetting(Exception):
    """A setting cannot be used. `str()` names the variable and says what to set."""


@dataclass(frozen=True, slots=True)
class LedgerApp:
    """Our app's credentials and addresses at one ledger. `webhook_key` signs what the ledger sends us."""

    client_id: str
    client_secret: str = field(repr=False)
    webhook_key: str = field(repr=False)
    discovery_url: str
    api_url: str

    @property
    def configured(self) -> bool:
        return bool(self.client_id and self.client_secret)


@dataclass(frozen=True, slots=True)
class Config:
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)  # "" means: the embedded server in `data_dir`
    data_dir: Path
    public_url: str
    port: int
    secret_key: str = field(repr=False)
    token_keys: tuple[str, ...] = field(repr=False)
    quickbooks: LedgerApp
    xero: LedgerApp
    traces_url: str = ""  # "": no traces
    smtp_url: str = field(default="", repr=False)  # "": no e-mail leaves
    mail_from: str = ""
    listen: str = (
        ""  # an IP address; "": this machine only, or everybody where `public_url` is not this machine's
    )
    proxies: int = (
        0  # so many stand in front of the web process, and what they say of a request's origin is believed
    )
    xero_tier: str = (
        "plus"  # of our app, in Xero's price list: how many calls a day each organization allows us
    )
    budgets: bool = True  # keep below the ledgers' limits; off only beside a pretend ledger without any
    today: date | None = None  # a pretend date for replays and the demo; never near a real ledger


_LEDGER_DEFAULTS = {
    "QUICKBOOKS": (
        "_WEBHOOK_TOKEN",
        "https://developer.api.intuit.com/.well-known/openid_configuration",
        "https://quickbooks.api.intuit.com",
    ),
    "XERO": (
        "_WEBHOOK_KEY",
        "https://identity.xero.com/.well-known/openid-configuration",
        "https://api.xero.com",
    ),
}
XERO_TIERS = ("starter", "core", "plus", "advanced", "enterprise")
KNOWN = frozenset(
    ["DATABASE_URL", "REDIS_URL", "DATA_DIR", "PUBLIC_URL", "SECRET_KEY", "TOKEN_KEYS", "TRACES_URL"]
    + ["TODAY", "BUDGETS", "SMTP_URL", "MAIL_FROM", "WORDS", "LISTEN", "PROXIES", "XERO_TIER"]
    + [
        ledger + part
        for ledger, (webhook, _, _) in _LEDGER_DEFAULTS.items()
        for part in ("_CLIENT_ID", "_CLIENT_SECRET", webhook, "_DISCOVERY_URL", "_API_URL")
    ]
)


def _address(name: str, value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise WrongSetting(
            f"{PREFIX}{name} is {value!r}. Set it to a whole address such as https://example.org."
        )
    if parts.scheme == "http" and parts.hostname not in LOCAL_HOSTS:
        raise WrongSetting(f"{PREFIX}{name} is {value!r}. Use https for anything outside this machine.")
    return value.rstrip("/")


def _mail(server: str, sender: str) -> tuple[str, str]:
    """The server and the sender of e-mails; both or neither."""
    parts = urlsplit(server)
    try:
        good = not server or (parts.scheme in ("smtp", "smtps") and parts.hostname and parts.port != 0)
    except ValueError:  # a port that is none
        good = False
    if not good:  # never shown: it holds a password
        raise WrongSetting(
            f"{PREFIX}SMTP_URL cannot be read. Write it as smtps://user:password@mail.example.org, "
            "or smtp:// for a server that encrypts once connected."
        )
    if server and "@" not in parseaddr(sender)[1]:
        raise WrongSetting(f"{PREFIX}MAIL_FROM is {sender!r}. Set it to the address that e-mails come from.")
    return server, sender


def _ledger(name: str, env: Mapping[str, str]) -> LedgerApp:
    webhook, discovery, api = _LEDGER_DEFAULTS[name]
    return LedgerApp(
        client_id=env.get(f"{PREFIX}{name}_CLIENT_ID", "").strip(),
        client_secret=env.get(f"{PREFIX}{name}_CLIENT_SECRET", "").strip(),
        webhook_key=env.get(f"{PREFIX}{name}{webhook}", "").strip(),
        discovery_url=_address(
            f"{name}_DISCOVERY_URL", env.get(f"{PREFIX}{name}_DISCOVERY_URL") or discovery
        ),
        api_url=_address(f"{name}_API_URL", env.get(f"{PREFIX}{name}_API_URL") or api),
    )


def _token_keys(value: str) -> tuple[str, ...]:
    keys = tuple(k.strip() for k in value.split(",") if k.strip())
    for n, key in enumerate(keys, 1):
        try:
            good = len(base64.urlsafe_b64decode(key)) == 32
        except ValueError:
            good = False
        if not good:
            raise WrongSetting(
                f"{PREFIX}TOKEN_KEYS: key {n} is not 32 bytes of URL-safe base64. "
                "Make one with `forbear doctor --new-key`."
            )
    return keys


def load(environment: Mapping[str, str] | None = None) -> Config:
    """Read and check every setting. Raises WrongSetting, which names the variable and the remedy.

    Without SECRET_KEY and TOKEN_KEYS an embedded installation makes its own in the data folder (see
    `keys.of`); they are "" and () here.
    """
    env = os.environ if environment is None else environment
    data_dir = Path(env.get(f"{PREFIX}DATA_DIR") or "var").expanduser().resolve()
    try:
        port = int(env.get("PORT") or 8000)
        if not 0 < port < 65536:
            raise ValueError
    except ValueError:
        raise WrongSetting(
            f"PORT is {env.get('PORT')!r}. Set it to a whole number from 1 to 65535."
        ) from None
    database_url = env.get(f"{PREFIX}DATABASE_URL") or f"sqlite:///{data_dir / 'forbear.sqlite3'}"
    if database_url.startswith(("postgres://", "postgresql://")):  # as hosting platforms set it
        database_url = "postgresql+psycopg://" + database_url.split("://", 1)[1]
    if not database_url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise WrongSetting(f"{PREFIX}DATABASE_URL must start with sqlite:/// or postgresql://.")
    redis_url = env.get(f"{PREFIX}REDIS_URL", "").strip()
    if redis_url and not redis_url.startswith(("redis://", "rediss://", "unix://")):
        raise WrongSetting(f"{PREFIX}REDIS_URL must start with redis://, rediss:// or unix://.")
    traces = env.get(f"{PREFIX}TRACES_URL", "").strip()
    smtp_url, mail_from = _mail(*(env.get(f"{PREFIX}{n}", "").strip() for n in ("SMTP_URL", "MAIL_FROM")))
    public_url = _address("PUBLIC_URL", env.get(f"{PREFIX}PUBLIC_URL") or f"http://localhost:{port}")
    config = Config(
        database_url=database_url,
        redis_url=redis_url,
        data_dir=data_dir,
        public_url=public_url,
        port=port,
        secret_key=env.get(f"{PREFIX}SECRET_KEY", ""),
        token_keys=_token_keys(env.get(f"{PREFIX}TOKEN_KEYS", "")),
        quickbooks=_ledger("QUICKBOOKS", env),
        xero=_ledger("XERO", env),
        traces_url=_address("TRACES_URL", traces) if traces else "",
        smtp_url=smtp_url,
        mail_from=mail_from,
        listen=_listen(env.get(f"{PREFIX}LISTEN", "").strip()),
        proxies=_proxies(env.get(f"{PREFIX}PROXIES", "").strip(), public_url),
        xero_tier=_tier(env.get(f"{PREFIX}XERO_TIER", "")),
        budgets=_switch("BUDGETS", env.get(f"{PREFIX}BUDGETS", "")),
        today=_pretend_day(env.get(f"{PREFIX}TODAY", "")),
    )
    addresses = (config.quickbooks.api_url, config.xero.api_url)
    for name, asked in (("TODAY", config.today), ("BUDGETS", not config.budgets)):
        if asked and any(urlsplit(a).hostname not in LOCAL_HOSTS for a in addresses):
            raise WrongSetting(
                f"{PREFIX}{name} is for pretend ledgers on this machine. Remove it, or point both "
                f"{PREFIX}QUICKBOOKS_API_URL and {PREFIX}XERO_API_URL at this machine."
            )
    return config


def unknown_names(environment: Mapping[str, str] | None = None) -> list[str]:
    """Variables that look like ours and are not: most likely typing errors. `forbear doctor` shows them."""
    env = os.environ if environment is None else environment
    return sorted(n for n in env if n.startswith(PREFIX) and n.removeprefix(PREFIX) not in KNOWN)


def _listen(value: str) -> str:
    try:
        return str(ip_address(value)) if value else ""
    except ValueError:
        raise WrongSetting(
            f"{PREFIX}LISTEN is {value!r}. Set it to an address of this machine such as 127.0.0.1, or 0.0.0.0 for all."
        ) from None


def _proxies(value: str, public_url: str) -> int:
    """We speak plain http, so a public https address means that at least one proxy stands in front."""
    if not value:
        return int(public_url.startswith("https://"))
    if value not in tuple("0123456789"):
        raise WrongSetting(f"{PREFIX}PROXIES is {value!r}. Set it to the number of proxies in front, 0 to 9.")
    return int(value)


def _tier(value: str) -> str:
    tier = value.strip().lower() or "plus"
    if tier not in XERO_TIERS:
        raise WrongSetting(f"{PREFIX}XERO_TIER is {value!r}. Set it to one of {', '.join(XERO_TIERS)}.")
    return tier


def _switch(name: str, value: str) -> bool:
    if value.lower() not in ("", "on", "off"):
        raise WrongSetting(f"{PREFIX}{name} is {value!r}. Set it to on or off.")
    return value.lower() != "off"


def _pretend_day(value: str) -> date | None:
    if not value:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise WrongSetting(f"{PREFIX}TODAY is {value!r}. Write a date as 2026-11-21.") from None
