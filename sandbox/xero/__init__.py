"""The pretend Xero Accounting API: the books of `sandbox.ledger` behind Xero's addresses, words and refusals.

request     token, organisation, limits, scopes, repeated keys, then the endpoint
routes      which endpoint answers which address
reading     lists (`lists`, `where`) and single records (`rows`, `contacts`, `settings`, `organisation`)
sales, payments, contact_changes, account_changes, notes      writing, element by element (`elements`, `lines`)
statements  two reports
envelope, errors      how replies and refusals are written
switches    what is not known for sure about Xero, each with a value that tests can turn
"""

from __future__ import annotations

from functools import partial

import flask

from sandbox.world import World
from sandbox.xero import errors
from sandbox.xero.request import not_an_endpoint, refusal_response, serve
from sandbox.xero.routes import ROOT, ROUTES, resource


def blueprint(world: World) -> flask.Blueprint:
    """Everything below /api.xro/2.0, over the Xero organisations of `world`."""
    xero = flask.Blueprint("xero", __name__)
    for method, path, view in ROUTES:
        xero.add_url_rule(
            ROOT + path,
            endpoint=f"{method} {path}".replace(".", "_"),
            view_func=partial(serve, world, resource(path), view),
            methods=[method],
        )
    xero.add_url_rule(
        f"{ROOT}/<path:anything>",
        endpoint="anything else",
        view_func=partial(not_an_endpoint, world),
        methods=["GET", "PUT", "POST", "DELETE", "PATCH"],
    )
    return xero


def fault_response(status: int, variant: str = "") -> flask.Response:
    """A failure in Xero's own words, for faults that tests ask for.

    429 takes the limit as variant (concurrent, minute, day, appminute; default minute). 503 takes "offline",
    "maintenance" or "unavailable". 401 takes "expired", "scope" or anything else for a bad token. 500 is JSON, or
    "html" as gateways send it, or "empty".
    """
    return refusal_response(errors.of_status(status, variant))
