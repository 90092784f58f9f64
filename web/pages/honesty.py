"""How right Forbear would have been over the last twelve months of an organization's own books."""

from __future__ import annotations

from dataclasses import dataclass

from flask import render_template
from markupsafe import Markup

from connector import db
from connector.connecting import connections
from connector.domain.prediction.record import FEWEST, Comparison
from connector.platforms import find
from connector.practice import settings
from connector.reviewing import track_record
from web import charts
from web.pages import blueprint
from web.sign_in import config, engine, role_in
from web.words import many

SLIGHT = 0.01  # a difference in error that is a hundredth of the scale: percent of it would only sound like something


@dataclass(frozen=True, slots=True)
class View:
    """One question (late at all, or by more than 30 days) with its answer in a sentence and its chart."""

    title: str
    event: str
    compared: Comparison
    verdict: str
    chart: Markup | None
    small: Markup | None

    @property
    def missed(self) -> int:
        return self.compared.happened - self.compared.flagged_late


@blueprint.get("/organizations/<connection_id>/honesty")
def honesty(connection_id: str) -> str:
    role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        kept = track_record.of_connection(tx, connection_id)
        decided = settings.load(tx, connection_id)
    views = []
    if kept:
        views = [
            view("Late at all", "late", kept.record.late),
            view("More than 30 days late", "more than 30 days late", kept.record.late_30),
        ]
    return render_template(
        "honesty.html",
        organization=connection,
        platform=find(connection.platform, config()),
        settings=decided,
        tab="honesty",
        kept=kept,
        views=views,
        today=connections.today(connection, config()),
    )


def view(title: str, event: str, compared: Comparison) -> View:
    """Ready for the template."""
    if not compared.enough:
        return View(title, event, compared, _too_few(compared), None, None)
    sentence = (
        f"Of {compared.invoices:,} invoices {compared.happened:,} were {event}. Each column is what happened to "
        "invoices with a like chance; the dashed line is the chance that Forbear would have said."
    )
    bands = [(b.said, b.was, b.invoices) for b in compared.bands]
    wide, narrow = (
        charts.said_and_was(bands, title, sentence, width, more)
        for width, more in ((600, "wide-only"), (330, "narrow-only"))
    )
    return View(title, event, compared, _verdict(compared), wide, narrow)


def _too_few(compared: Comparison) -> str:
    return (
        f"Not enough to compare: {many(compared.invoices, 'invoice')} of these twelve months "
        f"{'has' if compared.invoices == 1 else 'have'} a certain answer, and a comparison needs {FEWEST}."
    )


def _verdict(compared: Comparison) -> str:
    own = compared.error_of_own_rate
    if not compared.better:
        return (
            "Here Forbear would not have been better than each customer's own late rate. "
            "So it falls back: the chances it shows are those own rates, moved only by how long an invoice has been open."
        )
    if own - compared.error < SLIGHT:
        return (
            f"There is little between the two: Forbear's error is {compared.error:.4f}, that of each customer's own late "
            f"rate {own:.4f} (0 is always right, 0.25 the toss of a coin). The smaller one is shown."
        )
    less = round(100 * (own - compared.error) / own)
    return f"Forbear would have made {less} % less error than each customer's own late rate, so its chances are shown."
