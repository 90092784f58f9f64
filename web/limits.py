"""How often one address may begin to sign in: each try is a new session and a call to the ledger's discovery page.

The page after a disconnect counts too: it lets the organization's books be looked at.
"""

from __future__ import annotations

from flask import Flask, abort, request

from webhooks.limit import PerMinute

SIGN_INS = 30  # a minute from one address: an office behind one router, and far too few to guess anything
LIMITED = ("connect.start", "connect.callback", "connect.disconnected")


def guard(app: Flask) -> None:
    """Answer 429 to an address that begins to sign in too often."""
    tries = PerMinute(SIGN_INS)

    def check() -> None:
        if request.endpoint in LIMITED and tries.exceeded(request.remote_addr):
            abort(429)

    app.before_request(check)
