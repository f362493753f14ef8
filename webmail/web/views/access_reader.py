"""Reading under a grant: one part at a time, each written down and committed before it is opened.

Only POST opens: nothing is opened by a browser that guesses at the next page, by HEAD, or by an address that somebody passes on.
What is shown is never kept by a browser, and leaves the screen when the grant ends.
"""

from datetime import UTC, datetime
from typing import Any

from flask import Response, g, make_response, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.errors import NotFound
from webmail.governance.access import disclosing, grants, opening
from webmail.governance.access.grants import Grant
from webmail.governance.access.opening import Held, Refusal
from webmail.mail.view import View
from webmail.web import access_words, downloads
from webmail.web.access import requires
from webmail.web.confirming import name_act
from webmail.web.opened import pieces
from webmail.web.staff import staff_page, staff_transaction
from webmail.web.views.access import blueprint, grant_page, master_keys
from webmail.web.words import gettext as _

__all__ = ["blueprint"]

name_act("access.open", _l("open somebody’s mail under a grant"))


def _opened(grant_id: int, message_id: int, part: str, file: int = 0) -> tuple[Grant, Held | Refusal]:
    """Written down and committed when this returns: only then may anything be opened. Raises NotFound for no such grant."""
    # A transaction of its own: the proof is written into the log, whose lock comes after those of grants.
    with staff_transaction():
        grants.one(grant_id)
        opening.prove(g.viewer, grant_id)
    with staff_transaction():
        held = opening.ask(grant_id, message_id, part, account_id=g.viewer.account_id, file=file)
        return grants.one(grant_id), held


@blueprint.post("/staff/access/<id:grant>/<id:message>/<any(headers,text,attachments):part>", endpoint="open")
@requires("staff.access")
def open_part(grant: int, message: int, part: str) -> BaseResponse:
    """Open one part of one message, and show it."""
    found, held = _opened(grant, message, part)
    if isinstance(held, Refusal):
        return grant_page(grant, held.code, 403)
    raw = opening.source(master_keys(), held)
    context: dict[str, Any] = {"headers": None, "text": None, "files": None}
    match part:
        case "headers":
            context["headers"] = disclosing.headers(raw)
        case "text":
            text = disclosing.body(raw, message)
            context["text"] = {"body": pieces(View(pieces=text.pieces)), "told": text}
        case _:
            context["files"] = disclosing.files(raw)
    return _leaving(_page(found, held, **context), held, found)


def _page(found: Grant, held: Held, **content: Any) -> Response:
    with staff_transaction():
        named = grants.named(found.grant_id)
    context: dict[str, Any] = {
        "grant": found,
        "held": held,
        "named": named,
        "asked": next(one for one in named if one.message_id == held.message_id),
        "left": max(1, -int((datetime.now(UTC) - held.until).total_seconds() // 60)),
        "words": access_words,
    }
    return staff_page("access/reader.html", title=_("Reading under a grant"), **context, **content)


def _leaving(response: Response, held: Held, found: Grant) -> Response:
    """Not to be kept, and gone from the screen when the grant is over."""
    response.headers["Cache-Control"] = "private, no-store"
    seconds = max(1, int((held.until - datetime.now(UTC)).total_seconds()) + 1)
    response.headers["Refresh"] = f"{seconds}; url={url_for('access.grant', grant=found.grant_id)}"
    return response


@blueprint.post("/staff/access/<id:grant>/<id:message>/layout", endpoint="layout")
@requires("staff.access")
def layout(grant: int, message: int) -> BaseResponse:
    """The text as its sender laid it out, for a sandboxed frame: no pictures, and links are words. An opening of its own."""
    _found, held = _opened(grant, message, "text")
    if isinstance(held, Refusal):
        return _empty(403)
    try:
        document = disclosing.laid_out(opening.source(master_keys(), held))
    except NotFound:
        return _empty(404)
    response = Response(document, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = disclosing.FRAME_CSP
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _empty(status: int) -> Response:
    """Nothing, in the frame: the page around it says what went on when it is loaded anew."""
    response = make_response("", status)
    response.mimetype = "text/plain"
    response.headers["Cache-Control"] = "private, no-store"
    return response


@blueprint.post("/staff/access/<id:grant>/<id:message>/file", endpoint="file")
@requires("staff.access")
def file(grant: int, message: int) -> BaseResponse:
    """One attachment, to be saved: never shown in the browser. An opening of its own."""
    typed = request.form.get("number", "")
    number = int(typed) if typed.isdecimal() and len(typed) < 5 else 0
    if not number:
        raise NotFound("part")
    _found, held = _opened(grant, message, "attachments", number)
    if isinstance(held, Refusal):
        return grant_page(grant, held.code, 403)
    told, content = disclosing.file(opening.source(master_keys(), held), number)
    return downloads.attachment(told.name, "application/octet-stream", content)
