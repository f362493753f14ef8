"""Bringing mail in from a file: `/my-data/imports`. A plain form, or in pieces for lines that break."""

from typing import Any

from flask import Blueprint, abort, current_app, g, jsonify, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, show_id
from webmail.errors import Refused
from webmail.identity import stepup
from webmail.mail import folders
from webmail.mail.folders import Kind
from webmail.privacy.taking_in import asking
from webmail.web.access import requires
from webmail.web.confirming import name_act
from webmail.web.htmx import render
from webmail.web.viewing import FOLDER_NAMES, leave, left, more_words, own_mail, page
from webmail.web.words import gettext as _

blueprint = Blueprint("imports", __name__)

name_act("import.undo", _l("delete for ever every message that came with an import"))
more_words(
    import_begun=_l("The file is here and is being read. You can leave this page and come back."),
    import_dropped=_l("The import is forgotten. Messages that came of it stay."),
    import_undone=_l("Every message that came with it is deleted."),
)

REFUSALS = {
    "empty": _l("The file is empty. Choose another one."),
    "too-large": _l("The file is too large. Bring it in smaller pieces."),
    "many": _l("Three imports are under way already. Wait for them, or forget one."),
    "unfinished": _l("Not all of the file is here."),
}
STATES = {
    "uploading": _l("not all of the file is here"),
    "waiting": _l("waits for its turn"),
    "taking": _l("is being read"),
    "done": _l("done"),
    "failed": _l("stopped"),
}
PROBLEMS = {
    "": "",
    "no-mail": _l("There is no mail in this file. Choose an mbox, a zip of messages, or one message (.eml)."),
    "damaged": _l("The zip is damaged. Make it anew."),
    "too-many": _l("The zip holds too many files. Make several of it."),
    "zip64": _l("The zip is of a kind for very large files. Make several smaller ones."),
    "swells": _l("The zip holds far more than mail would, and was not read to its end."),
    "full": _l(
        "The mailbox is full. Delete something and bring the file again: what is here is not taken twice."
    ),
    "error": _l("It could not be read to its end. Bring the file again: what is here is not taken twice."),
}
INTO = (Kind.INBOX, Kind.ARCHIVE, Kind.SENT)


@blueprint.get("/my-data/imports", endpoint="index")
@requires("mail")
def index() -> BaseResponse:
    """My imports, how far they are, and the form for another."""
    return _page("", 200)


@blueprint.post("/my-data/imports", endpoint="bring")
@requires("mail")
def bring() -> BaseResponse:
    """A whole file by a plain form."""
    file = request.files.get("file")
    if file is None or not file.filename:
        return _page(_("Choose a file first."), 422)
    stream = file.stream
    total = stream.seek(0, 2)
    stream.seek(0)
    try:
        with own_mail("owner") as keys:
            number = asking.begin(keys, g.viewer.account_id, file.filename, total, _folder())
            at = 0
            while piece := stream.read(asking.CHUNK):
                at = asking.put(keys, number, at, piece)
            asking.start(keys, number)
    except Refused as refusal:
        return _page(str(REFUSALS[str(refusal)]), 409)
    leave(word="import_begun")
    return redirect(url_for("imports.index"), 303)


@blueprint.post("/my-data/imports/pieces", endpoint="piece")
@requires("mail")
def piece() -> BaseResponse:
    """Begin (`total`, `name`, `folder`), go on (`import`, `offset`, `piece`); answers how much is here. The last one starts it."""
    form = request.form
    try:
        with own_mail("owner") as keys:
            if "import" not in form:
                number = asking.begin(
                    keys, g.viewer.account_id, form.get("name", ""), _whole("total"), _folder()
                )
                return jsonify({"import": show_id(number), "offset": 0, "done": False})
            number = read_id(form["import"])
            mine = next(
                (one for one in asking.listed(keys, g.viewer.account_id) if one.import_id == number), None
            )
            if mine is None:
                abort(404)
            data = request.files["piece"].read() if "piece" in request.files else b""
            reached = asking.put(keys, number, _whole("offset"), data)
            is_whole = reached == mine.total_bytes
            if is_whole:
                asking.start(keys, number)
    except Refused as refusal:
        response = jsonify(problem=str(REFUSALS[str(refusal)]))
        response.status_code = 409
        return response
    return jsonify({"import": show_id(number), "offset": reached, "done": is_whole})


def _whole(name: str) -> int:
    typed = request.form.get(name, "")
    if not (typed.isascii() and typed.isdigit() and len(typed) < 13):
        abort(400)
    return int(typed)


def _folder() -> Kind:
    named = request.form.get("folder", Kind.ARCHIVE.slug)
    found = next((kind for kind in INTO if kind.slug == named), None)
    if found is None:
        abort(400)
    return found


@blueprint.post("/my-data/imports/<id:brought>", endpoint="act")
@requires("mail")
def act(brought: int) -> BaseResponse:
    """Forget an import, or take back what came of it."""
    if "undo" in request.form:
        with own_mail("owner") as keys:
            stepup.require(g.viewer, act="import.undo", target=brought)
            while asking.undo(keys.mailbox_id, g.viewer.account_id, brought):
                pass
        leave(word="import_undone")
    else:
        with own_mail("owner") as keys:
            asking.drop(keys.mailbox_id, g.viewer.account_id, brought)
        leave(word="import_dropped")
    return redirect(url_for("imports.index"), 303)


def _page(alarm: str, status: int) -> BaseResponse:
    with own_mail("owner") as keys:
        counts = folders.counts(keys.mailbox_id)
        found = asking.listed(keys, g.viewer.account_id)
    context: dict[str, Any] = {
        "imports": found,
        "is_under_way": any(one.is_under_way for one in found),
        "into": [(kind.slug, FOLDER_NAMES[kind]) for kind in INTO],
        "names": FOLDER_NAMES,
        "states": STATES,
        "problems": PROBLEMS,
        "most": current_app.config["MAX_CONTENT_LENGTH"] - (1 << 20),
        "alarm": alarm,
        "notice": left(),
    }
    context = page(_("Bring mail in"), counts=counts, **context)
    response = render("privacy/imports.html", "privacy/_imports.html", **context)
    response.status_code = status
    return response
