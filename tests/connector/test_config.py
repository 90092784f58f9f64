"""Settings: defaults that work, and a sentence for each value that cannot be used."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from connector import config
from connector.config import KNOWN, PREFIX, WrongSetting
from tests.conftest import ROOT

LOCAL = {
    "FORBEAR_QUICKBOOKS_API_URL": "http://127.0.0.1:9",
    "FORBEAR_XERO_API_URL": "http://localhost:9/xero",
}


def test_nothing_set_is_a_working_installation() -> None:
    found = config.load({})
    assert found.database_url == f"sqlite:///{Path('var').resolve() / 'forbear.sqlite3'}"
    assert (found.redis_url, found.port, found.public_url) == ("", 8000, "http://localhost:8000")
    assert found.quickbooks.api_url == "https://quickbooks.api.intuit.com"
    assert found.xero.api_url == "https://api.xero.com"
    assert not found.quickbooks.configured
    assert found.budgets


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "eighty", "whole number from 1 to 65535"),
        ("PORT", "70000", "whole number from 1 to 65535"),
        ("FORBEAR_DATABASE_URL", "mysql://x", "sqlite:/// or postgresql://"),
        ("FORBEAR_REDIS_URL", "localhost:6379", "redis://, rediss:// or unix://"),
        ("FORBEAR_PUBLIC_URL", "forbear.example.org", "whole address"),
        ("FORBEAR_PUBLIC_URL", "http://forbear.example.org", "https"),
        ("FORBEAR_XERO_API_URL", "http://api.example.org", "https"),
        ("FORBEAR_TOKEN_KEYS", "short", "32 bytes of URL-safe base64"),
        ("FORBEAR_TODAY", "21/11/2026", "2026-11-21"),
        ("FORBEAR_TODAY", "2026-11-21", "pretend ledgers on this machine"),
        ("FORBEAR_XERO_TIER", "gold", "starter, core, plus"),
        ("FORBEAR_BUDGETS", "maybe", "on or off"),
        ("FORBEAR_BUDGETS", "off", "pretend ledgers on this machine"),
    ],
)
def test_a_wrong_value_is_refused_with_what_to_set(name: str, value: str, says: str) -> None:
    with pytest.raises(WrongSetting) as refused:
        config.load({name: value})
    assert name in str(refused.value)
    assert says in str(refused.value)


def test_a_pretend_day_is_for_pretend_ledgers() -> None:
    found = config.load({**LOCAL, "FORBEAR_TODAY": "2026-11-21", "FORBEAR_BUDGETS": "off"})
    assert (found.today, found.budgets) == (date(2026, 11, 21), False)


def test_hosting_platforms_name_their_database_the_old_way() -> None:
    found = config.load({"FORBEAR_DATABASE_URL": "postgres://u:p@db/forbear"})
    assert found.database_url == "postgresql+psycopg://u:p@db/forbear"


def test_secrets_are_not_in_the_printed_settings() -> None:
    found = config.load({"FORBEAR_SECRET_KEY": "hush", "FORBEAR_XERO_CLIENT_SECRET": "hush-hush"})
    assert "hush" not in repr(found)


def test_a_proxy_is_expected_where_the_address_is_https_and_nowhere_else() -> None:
    https = {"FORBEAR_PUBLIC_URL": "https://books.example.org"}
    assert (config.load({}).proxies, config.load(https).proxies) == (0, 1)
    assert config.load({**https, "FORBEAR_PROXIES": "2"}).proxies == 2
    for name, value in (
        ("PROXIES", "-1"),
        ("PROXIES", "many"),
        ("PROXIES", "\u0662"),
        ("LISTEN", "everywhere"),
    ):
        with pytest.raises(WrongSetting, match=f"FORBEAR_{name} is"):
            config.load({f"FORBEAR_{name}": value})


def test_a_name_that_nobody_knows_is_named() -> None:
    assert config.unknown_names({"FORBEAR_REDIS": "x", "HOME": "/"}) == ["FORBEAR_REDIS"]


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    assert [n for n in sorted(KNOWN) if f"`{PREFIX}{n}`" not in text] == []
    named = {part.split("`")[0] for part in text.split(f"`{PREFIX}")[1:]}
    assert named - KNOWN <= {"PUBLIC_URL"}
