"""Public pages that both marketplaces ask for: privacy, support, how to have data erased."""

from __future__ import annotations

from flask import Blueprint, render_template

blueprint = Blueprint("about", __name__)


@blueprint.get("/privacy")
def privacy() -> str:
    return render_template("privacy.html")


@blueprint.get("/support")
def support() -> str:
    return render_template("support.html")
