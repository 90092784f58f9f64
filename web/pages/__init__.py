"""The bookkeeper's pages, one file each: practice → organization → customer → plan, beside queue, settings, record.

Each page opens with the answer in a sentence; figures below are its proof.
"""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("pages", __name__)

from web.pages import (  # noqa: E402, F401
    charges,
    customer,
    customer_acts,
    customer_addresses,
    customer_answers,
    customer_page,
    data,
    honesty,
    organization,
    papers,
    plan,
    plan_charges,
    plan_steps,
    plan_terms,
    policy,
    practice,
    queue,
    record,
    removal,
    settings,
    start,
    team,
    texts,
)
