"""The installation's secrets, and the permissions that they keep encrypted at rest."""

from __future__ import annotations

import base64
import datetime as dt
import json
import logging
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy.engine import Engine

from connector import db, logs
from connector.config import Config, WrongSetting
from connector.platforms import Token

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keys:
    """The installation's secrets. The first token key encrypts; all decrypt."""

    secret_key: str
    token_keys: tuple[str, ...]


def of(config: Config) -> Keys:
    """From the settings, or made once and kept in the data folder, readable by its owner only."""
    if config.secret_key and config.token_keys:
        return Keys(config.secret_key, config.token_keys)
    made = _kept_keys(config.data_dir / "keys.json")
    return Keys(config.secret_key or made.secret_key, config.token_keys or made.token_keys)


def _kept_keys(file: Path) -> Keys:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = {"secret_key": secrets.token_urlsafe(32), "token_keys": [Fernet.generate_key().decode()]}
        draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
            json.dump(made, out)
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(draft, file)  # two processes may start at once: the first one's keys count
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    kept = json.loads(file.read_text())
    logs.hide(kept["secret_key"], *kept["token_keys"])
    return Keys(kept["secret_key"], tuple(kept["token_keys"]))


def _cipher(config: Config) -> MultiFernet:
    raw = [base64.urlsafe_b64decode(key) for key in of(config).token_keys]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in raw])


def encrypt(config: Config, token: Token) -> str:
    """A permission as it lies in the database."""
    logs.hide(token.access_token, token.refresh_token)
    plain = {
        "access_token": token.access_token,
        "refresh_token": token.refresh_token,
        "expires_at": token.expires_at.isoformat(),
        "refresh_expires_at": token.refresh_expires_at.isoformat() if token.refresh_expires_at else None,
        "scope": token.scope,
    }
    return _cipher(config).encrypt(json.dumps(plain).encode()).decode()


def decrypt(config: Config, stored: str) -> Token:
    """What `encrypt` made. Raises WrongSetting when none of our keys opens it."""
    try:
        plain = json.loads(_cipher(config).decrypt(stored.encode()))
    except InvalidToken:
        raise WrongSetting(
            "A stored permission cannot be read with the keys of this installation. Put the earlier key back "
            "as the last one in FORBEAR_TOKEN_KEYS (or restore keys.json in the data folder), or reconnect."
        ) from None
    logs.hide(plain["access_token"], plain["refresh_token"])
    ends = plain["refresh_expires_at"]
    return Token(
        access_token=plain["access_token"],
        refresh_token=plain["refresh_token"],
        expires_at=dt.datetime.fromisoformat(plain["expires_at"]),
        refresh_expires_at=dt.datetime.fromisoformat(ends) if ends else None,
        scope=plain["scope"],
    )


def rotate(engine: Engine, config: Config) -> int:
    """Encrypt what older keys encrypted anew with the first one, so that those can be dropped. Safe while
    others work: a token that was refreshed meanwhile is left as it is. Returns how many were changed."""
    cipher = _cipher(config)
    g = db.grants.c
    done = 0
    for id, token in _on_older_keys(engine, config):
        try:
            again = cipher.rotate(token.encode()).decode()
        except InvalidToken:
            log.error("grant %s cannot be read with the keys of this installation", id)
            continue
        with db.transaction(engine) as tx:
            done += tx.execute(
                sa.update(db.grants).where(g.id == id, g.token == token).values(token=again)
            ).rowcount
    return done


def on_older_keys(engine: Engine, config: Config) -> tuple[int, int]:
    """How many stored tokens the first key alone cannot read, and how many of these no key can: where the first is 0,
    the other keys can be dropped."""
    older, cipher = _on_older_keys(engine, config), _cipher(config)
    return len(older), sum(not _reads(cipher, token) for _, token in older)


def _on_older_keys(engine: Engine, config: Config) -> list[tuple[int, str]]:
    newest = Fernet(of(config).token_keys[0])
    g = db.grants.c
    with db.reading(engine) as tx:
        stored = tx.execute(sa.select(g.id, g.token).where(g.token.is_not(None))).all()
    return [(id, token) for id, token in stored if not _reads(newest, token)]


def _reads(cipher: Fernet | MultiFernet, token: str) -> bool:
    try:
        cipher.decrypt(token.encode())
    except InvalidToken:
        return False
    return True
