"""Clerk's webhooks: the door they come in by, and the page on which an admin sees what came."""

import logging

from flask import Blueprint, Response, current_app, request
from flask_babel import lazy_gettext as _l
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import transaction
from webmail.errors import NotFound
from webmail.identity import webhooks
from webmail.identity.clerk.webhooks import MAX_BODY, WebhookRefused, receive
from webmail.web.access import requires
from webmail.web.staff import staff_page, staff_transaction
from webmail.web.words import gettext as _

blueprint = Blueprint("webhooks", __name__)
log = logging.getLogger(__name__)

OUTCOMES = {
    "applied": _l("done"),
    "late": _l("too late to matter"),
    "nothing": _l("nothing to do"),
}


@blueprint.post("/webhooks/clerk", endpoint="clerk")
def take() -> Response:
    """Take one event in. Answers bare: 204 done or done before, 400 not genuine, 413 too large, 503 to be sent again."""
    # Read as it came, before anything parses it: the signature is over these very bytes.
    request.max_content_length = MAX_BODY
    clerk = current_app.extensions["auth"].clerk
    if not clerk.settings.webhook_secrets:
        log.error("a webhook came, and CLERK_WEBHOOK_SIGNING_SECRET is not set")
        return _again()
    try:
        event = receive(request.headers, request.get_data(cache=True), clerk.settings, clerk.clock())
    except RequestEntityTooLarge:
        return Response(status=413)
    except WebhookRefused as refused:
        log.warning("a webhook was refused", extra={"status": refused.status})
        return Response(status=refused.status)
    try:
        with transaction():
            outcome = webhooks.take(event)
    except (OperationalError, PoolTimeout) as error:
        log.error("a webhook could not be kept", extra={"error": type(error).__name__})
        return _again()
    log.info("webhook", extra={"kind": event.kind, "outcome": outcome or "again"})
    return Response(status=204)


def _again() -> Response:
    return Response(status=503, headers={"Retry-After": "5"})


@blueprint.get("/admin/webhooks", endpoint="index")
@requires("admin")
def index() -> BaseResponse:
    """What Clerk has told lately, the newest first."""
    before = request.args.get("before", "")
    if before and not (before.isascii() and before.isdigit() and len(before) < 18):
        raise NotFound("page")
    with staff_transaction():
        lines = webhooks.recent(int(before) if before else None, webhooks.PAGE + 1)
    shown = lines[: webhooks.PAGE]
    return staff_page(
        "staff/webhooks.html",
        title=_("Webhooks"),
        lines=[(line, OUTCOMES[line.outcome]) for line in shown],
        older=shown[-1].number if len(lines) > len(shown) else None,
        first=not before,
        configured=bool(current_app.extensions["auth"].settings.webhook_secrets),
    )
