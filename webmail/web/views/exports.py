"""Taking a mailbox along: `/my-data/exports`. Asked for with a fresh proof, made by a worker, fetched part by part."""

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, abort, current_app, g, redirect, request, stream_with_context, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import transaction
from webmail.errors import Refused
from webmail.identity import stepup
from webmail.keys import open_mailbox
from webmail.mail import folders
from webmail.mail.folders import Kind
from webmail.mail.mailboxes import OwnerSession
from webmail.privacy.export import asking, parts
from webmail.web.access import requires
from webmail.web.confirming import name_act
from webmail.web.htmx import render
from webmail.web.viewing import FOLDER_NAMES, leave, left, more_words, own_mail, page
from webmail.web.words import gettext as _

blueprint = Blueprint("exports", __name__)

name_act("export.ask", _l("take this whole mailbox along as files"))
more_words(
    export_asked=_l("It is being made. You can leave this page and come back."),
    export_dropped=_l("The export is deleted."),
)

REFUSALS = {
    "nothing": _l("Choose something to take along."),
    "busy": _l("An export is being made already. Wait for it, or delete it."),
    "many": _l("You have three exports already. Delete one first."),
}
STATES = {
    "waiting": _l("waits for its turn"),
    "making": _l("is being made"),
    "ready": _l("ready"),
    "failed": _l("failed; delete it and ask again"),
}
ABOUT = {
    "messages.jsonl": _l("Every message with its checksum"),
    "records.json": _l("Everything beside the messages"),
    "schema.json": _l("What is where in records.json"),
    "contacts.vcf": _l("Contacts"),
    "rules.sieve": _l("Blocked senders"),
    "drafts.zip": _l("Files of drafts"),
    "readme.txt": _l("What these files are"),
}


@blueprint.get("/my-data/exports", endpoint="index")
@requires("mail")
def index() -> BaseResponse:
    """My exports, how far they are, and the form for another."""
    return _page("", 200)


@blueprint.post("/my-data/exports", endpoint="ask")
@requires("mail")
def ask() -> BaseResponse:
    """Have an export made."""
    chosen = tuple(kind for kind in Kind if kind.slug in request.form.getlist("folder"))
    wish = asking.Wish(chosen, request.form.get("form", ""), "records" in request.form)
    if wish.form not in asking.FORMS:
        abort(400)
    try:
        with own_mail("owner") as keys:
            named = ",".join(
                [str(keys.mailbox_id), wish.form, *(kind.slug for kind in chosen), str(wish.with_records)]
            )
            stepup.require(g.viewer, act="export.ask", target=named)
            asking.ask(keys, g.viewer.account_id, wish)
    except stepup.ConfirmationNeeded:
        raise
    except Refused as refusal:
        return _page(str(REFUSALS[str(refusal)]), 409)
    leave(word="export_asked")
    return redirect(url_for("exports.index"), 303)


@blueprint.post("/my-data/exports/<id:export>/delete", endpoint="drop")
@requires("mail")
def drop(export: int) -> BaseResponse:
    """Delete one of my exports, made or not."""
    with own_mail("owner") as keys:
        asking.drop(keys.mailbox_id, g.viewer.account_id, export)
    leave(word="export_dropped")
    return redirect(url_for("exports.index"), 303)


def _page(alarm: str, status: int) -> BaseResponse:
    with own_mail("owner") as keys:
        counts = folders.counts(keys.mailbox_id)
        found = [
            (one, [part for part in parts.listed(keys.mailbox_id, one.export_id) if part.sha256])
            for one in asking.listed(keys.mailbox_id, g.viewer.account_id)
        ]
    context: dict[str, Any] = {
        "exports": found,
        "is_under_way": any(one.is_under_way for one, _parts in found),
        "folder_names": [(kind.slug, FOLDER_NAMES[kind]) for kind in Kind if kind is not Kind.DRAFTS],
        "names": FOLDER_NAMES,
        "states": STATES,
        "about": ABOUT,
        "alarm": alarm,
        "notice": left(),
    }
    context = page(_("Take my data along"), counts=counts, **context)
    response = render("privacy/exports.html", "privacy/_exports.html", **context)
    response.status_code = status
    return response


# --- fetching ------------------------------------------------------------------------------------------------------------


@blueprint.get("/my-data/exports/<id:export>/<int:number>/<name>", endpoint="fetch")
@requires("mail")
def fetch(export: int, number: int, name: str) -> BaseResponse:
    """One part, or a range of it (RFC 9110 section 14): what breaks off goes on where it was."""
    with own_mail("owner") as keys:
        of = asking.opened(keys, g.viewer.account_id, export)
        part = asking.part(of, number)
        if part.name != name:
            abort(404)
        assert part.sha256 is not None
        etag = part.sha256.hex()
        begin, end, status = _wanted(part.size_bytes, etag)
        if begin == 0 and request.method == "GET" and status in (200, 206):
            asking.fetched(of, g.viewer.account_id, number)
    if status in (304, 416) or request.method == "HEAD":
        body: Iterator[bytes] = iter(())
    else:
        body = stream_with_context(_stream(keys.mailbox_id, g.viewer.account_id, export, number, begin, end))
    response = Response(body, status)
    _tell(response, part, etag, begin, end)
    return response


def _wanted(size: int, etag: str) -> tuple[int, int, int]:
    """First byte, the byte after the last, and the status of the answer."""
    if request.if_none_match.contains(etag):
        return 0, 0, 304
    condition = request.if_range
    is_same = condition.etag == etag if condition.etag is not None else condition.date is None
    if request.range is None or not is_same or len(request.range.ranges) != 1:
        return 0, size, 200
    span = request.range.range_for_length(size)
    return (span[0], span[1], 206) if span is not None else (0, 0, 416)


def _tell(response: Response, part: parts.Part, etag: str, begin: int, end: int) -> None:
    headers = response.headers
    headers["Content-Type"] = "application/octet-stream"
    headers["Content-Disposition"] = f'attachment; filename="{part.name}"'
    headers["Content-Security-Policy"] = "sandbox;default-src 'none'"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Cache-Control"] = "private, no-store"
    headers["Accept-Ranges"] = "bytes"
    headers["Content-Encoding"] = (
        "identity"  # bytes are counted from here on: nobody may pack them on the way
    )
    headers["ETag"] = f'"{etag}"'
    if response.status_code == 416:
        headers["Content-Range"] = f"bytes */{part.size_bytes}"
    elif response.status_code != 304:
        headers["Content-Length"] = str(end - begin)
    if response.status_code == 206:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{part.size_bytes}"


def _stream(mailbox_id: int, account_id: int, export: int, number: int, at: int, end: int) -> Iterator[bytes]:
    """A piece a transaction: who is no owner any more, or deletes the export, gets no further one."""
    master = current_app.extensions["master_keys"]
    while at < end:
        with transaction(mailbox_id):
            keys = open_mailbox(master, mailbox_id, OwnerSession(account_id, "owner"))
            found = parts.piece(asking.opened(keys, account_id, export), number, at)
        if found is None:
            return
        start, piece = found
        yield piece[at - start : end - start]
        at = start + len(piece)
