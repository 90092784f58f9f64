"""Walks a ledger's consent page, as a browser would."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from connector import platforms
from connector.browser import Browser
from connector.config import Config
from connector.platforms import Grant

REDIRECT = "http://localhost:8000/connect/callback"
VERIFIER = "v" * 60


def consent(settings: Config, platform_name: str, company: str) -> Grant:
    """Allow access to one company; what the ledger then gives us."""
    platform = platforms.find(platform_name, settings)
    browser = Browser()
    page = browser.get(
        platform.authorization_url(redirect_uri=REDIRECT, state="s", nonce="n", verifier=VERIFIER)
    )
    form = page.form("user")
    data = {**form.values, "decision": "allow", "company": [company]}
    answer = browser.session.post(form.action, data=data, allow_redirects=False, timeout=60)
    browser.session.close()
    back = dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
    return platform.exchange(back, redirect_uri=REDIRECT, nonce="n", verifier=VERIFIER)
