"""Content that was reported, opened by the staff: written down by a POST, shown behind it for fifteen minutes, and tame."""

from typing import Any

from flask import Response, g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.errors import NotFound
from webmail.governance import opening as openings
from webmail.governance.access import disclosing
from webmail.mail.view import View
from webmail.web import case_words
from webmail.web.access import requires
from webmail.web.opened import pieces
from webmail.web.staff import staff_page, staff_transaction
from webmail.web.views.cases import blueprint, master_keys
from webmail.web.words import gettext as _

__all__ = ["blueprint"]


@blueprint.post("/staff/cases/items/<id:item>/open", endpoint="open_item")
@requires("staff.cases")
def open_item(item: int) -> BaseResponse:
    """Write down who opens what; only then is there an address to read it at."""
    with staff_transaction():
        made = openings.begin(item, g.viewer.account_id, request.form.get("part", "text"))
    return redirect(url_for("cases.opened", opening=made), 303)


@blueprint.get("/staff/openings/<id:opening>", endpoint="opened")
@requires("staff.cases")
def opened(opening: int) -> BaseResponse:
    """The part that was opened: text first; headers and layout are parts of their own."""
    found = _read(opening)
    context: dict[str, Any] = {"headers": (), "text": None, "files": (), "others": openings.PARTS}
    if found.part == "headers":
        context["headers"] = disclosing.headers(found.raw).lines
    if found.part == "text":
        told = disclosing.body(found.raw, found.item_id)
        context["text"] = {"body": pieces(View(pieces=told.pieces)), "told": told}
        context["files"] = disclosing.files(found.raw).files
    return staff_page(
        "case/opening.html", title=_("What was reported"), found=found, words=case_words, **context
    )


@blueprint.get("/staff/openings/<id:opening>/frame", endpoint="opened_frame")
@requires("staff.cases")
def opened_frame(opening: int) -> BaseResponse:
    """The message as its sender laid it out, for the sandboxed frame: without pictures, its links are words."""
    found = _read(opening)
    if found.part != "formatted":
        raise NotFound("part")
    response = Response(disclosing.laid_out(found.raw), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = disclosing.FRAME_CSP
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _read(opening: int) -> openings.Opened:
    with staff_transaction():
        return openings.read(master_keys(), opening, g.viewer.account_id)
