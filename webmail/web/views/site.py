"""Pages that belong to the service itself: health and the privacy policy."""

import hmac

from flask import Blueprint, Response, current_app, request
from sqlalchemy import text
from werkzeug.wrappers import Response as BaseResponse

from webmail import metrics
from webmail.db import transaction
from webmail.errors import NotFound
from webmail.web import policy
from webmail.web.htmx import render
from webmail.web.viewing import page
from webmail.web.words import gettext as _

health = Blueprint("health", __name__)
pages = Blueprint("pages", __name__)


@health.get("/healthz", endpoint="alive")
def healthz() -> Response:
    """Alive: this process answers."""
    return Response("ok\n", content_type="text/plain; charset=utf-8")


@health.get("/readyz", endpoint="ready")
def readyz() -> Response:
    """Ready: the database answers too."""
    with transaction() as session:
        session.execute(text("SELECT 1"))
    return Response("ready\n", content_type="text/plain; charset=utf-8")


@health.get("/metrics", endpoint="metrics")
def metrics_page() -> Response:
    """Numbers for a Prometheus that shows the token of this installation; for all others there is no such page."""
    token = current_app.extensions["settings"].metrics_token
    shown = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not token or not hmac.compare_digest(shown.encode(), token.encode()):
        raise NotFound("metrics")
    metrics.flush()
    with transaction():
        facts = metrics.facts()
    told = metrics.exposition(facts, metrics.counted())
    return Response(told, content_type="text/plain; version=0.0.4; charset=utf-8")


@pages.get("/privacy", endpoint="privacy")
def privacy() -> BaseResponse:
    """The policy that this service keeps, and what keeps it."""
    with transaction():
        sections = policy.sections()
    return render("privacy.html", None, **page(_("Privacy Policy"), policy=sections))
