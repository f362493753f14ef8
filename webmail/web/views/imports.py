"""Bringing mail in from a file: `/my-data/imports`. A plain form, or in pieces for lines that break."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Blueprint, abort, current_app, g, jsonify, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, show_id
from webmail.errors import Refused
from webmail.identity import stepup
from webmail.keys import MailboxKeys
from webmail.mail import folders
from webmail.mail.folders import Kind
from webmail.privacy.taking_in import asking
from webmail.web.access import requires
from webmail.web.confirming import name_act
from webmail.web.htmx import render
from webmail.web.viewing import FOLDER_NAMES, leave, left, more_words, own_mail, page
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

blueprint = Blueprint("imports", __name__)

name_act("import.undo", _l("delete for ever every message that came with an import"))
more_words(
    import_begun=_l("The file is here and is being read. You can leave this page and come back."),
    import_dropped=_l("The import is forgotten. Messages that came of it stay."),
    imports_cleared=_l("They are forgotten. Messages that came of them stay."),
    import_undone=_l("Every message that came with it is deleted."),
)

REFUSALS = {
    "empty": _l("The file is empty. Choose another one."),
    "too-large": _l("The file is too large. Bring it in smaller pieces."),
    "many": _l("Very much is under way already. Wait for it, or forget one of these."),
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
    "no-mail": _l(
        "There is no mail in this file. Choose an mbox, a zip of messages, one message (.eml), contacts (.vcf), or a file of an"
        " export of ours."
    ),
    "large": _l("The file is too large for one that holds no messages."),
    "rules": _l("These rules are not from an export of ours. Write them anew in the settings."),
    "damaged": _l("The file is damaged. Get it anew."),
    "too-many": _l("The zip holds too many files. Make several of it."),
    "zip64": _l("The zip is of a kind for very large files. Make several smaller ones."),
    "swells": _l("The zip holds far more than mail would, and was not read to its end."),
    "full": _l(
        "The mailbox is full. Delete something and bring the file again: what is here is not taken twice."
    ),
    "error": _l("It could not be read to its end. Bring the file again: what is here is not taken twice."),
}
BROUGHT: Mapping[str, Callable[[int], str]] = {
    "contacts": lambda n: ngettext("%(num)s contact", "%(num)s contacts", n),
    "contacts-merged": lambda n: ngettext("%(num)s contact completed", "%(num)s contacts completed", n),
    "groups": lambda n: ngettext("%(num)s group of contacts", "%(num)s groups of contacts", n),
    "learned": lambda n: ngettext("%(num)s learned person", "%(num)s learned people", n),
    "names": lambda n: ngettext("%(num)s name to send under", "%(num)s names to send under", n),
    "texts": lambda n: ngettext("%(num)s text to insert", "%(num)s texts to insert", n),
    "rules": lambda n: ngettext("%(num)s rule about a sender", "%(num)s rules about senders", n),
    "absence": lambda _n: _("the answer while you are away"),
    "folders": lambda _n: _("folders that empty themselves"),
    "settings": lambda _n: _("settings"),
    "drafts": lambda n: ngettext("%(num)s draft", "%(num)s drafts", n),
}
"""What was taken that is no message, by code."""
KNOWN = ("contacts-known", "names-known", "texts-known", "rules-known", "drafts-known")
INTO = (Kind.INBOX, Kind.ARCHIVE, Kind.SENT)


@blueprint.get("/my-data/imports", endpoint="index")
@requires("mail")
def index() -> BaseResponse:
    """My imports, how far they are, and the form for another."""
    return _page("", 200)


@blueprint.post("/my-data/imports", endpoint="bring")
@requires("mail")
def bring() -> BaseResponse:
    """Whole files by a plain form: all of them, or none."""
    given = [file for file in request.files.getlist("file") if file.filename]
    if not given:
        return _page(_("Choose a file first."), 422)
    # Among many an empty one is no mistake: other programs write files for what they have nothing of.
    whole = [file for file in given if file.stream.seek(0, 2)] or given[:1]
    try:
        with own_mail("owner") as keys:
            for file in whole:
                _whole_file(keys, file)
    except Refused as refusal:
        return _page(str(REFUSALS[str(refusal)]), 409)
    leave(word="import_begun")
    return redirect(url_for("imports.index"), 303)


def _whole_file(keys: MailboxKeys, file: FileStorage) -> None:
    total = file.stream.seek(0, 2)
    file.stream.seek(0)
    number = asking.begin(keys, g.viewer.account_id, file.filename or "", total, _folder())
    at = 0
    while piece := file.stream.read(asking.CHUNK):
        at = asking.put(keys, number, at, piece)
    asking.start(keys, number)


@blueprint.post("/my-data/imports/pieces", endpoint="piece")
@requires("mail")
def piece() -> BaseResponse:
    """Begin, or go on where a break left it (`total`, `name`, `folder`); go on (`import`, `offset`, `piece`). Answers how much is
    here. The last piece starts it."""
    form = request.form
    try:
        with own_mail("owner") as keys:
            mine = asking.listed(keys, g.viewer.account_id)
            if "import" not in form:
                number, reached = _begin(keys, mine, form.get("name", ""), _whole("total"))
                return jsonify({"import": show_id(number), "offset": reached, "done": False})
            number = read_id(form["import"])
            one = next((one for one in mine if one.import_id == number), None)
            if one is None:
                abort(404)
            if one.state != "uploading":  # the answer to the last piece was lost
                return jsonify({"import": show_id(number), "offset": one.total_bytes, "done": True})
            data = request.files["piece"].read() if "piece" in request.files else b""
            reached = asking.put(keys, number, _whole("offset"), data)
            is_whole = reached == one.total_bytes
            if is_whole:
                asking.start(keys, number)
    except Refused as refusal:
        response = jsonify(problem=str(REFUSALS[str(refusal)]))
        response.status_code = 409
        return response
    return jsonify({"import": show_id(number), "offset": reached, "done": is_whole})


def _begin(keys: MailboxKeys, mine: Sequence[asking.Import], name: str, total: int) -> tuple[int, int]:
    """A new import, or the one of this very file that broke off, with how much of it is here."""
    for one in mine:
        if (one.state, one.name, one.total_bytes) == ("uploading", name[-200:], total):
            return one.import_id, one.received_bytes
    return asking.begin(keys, g.viewer.account_id, name, total, _folder()), 0


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


@blueprint.post("/my-data/imports/clear", endpoint="clear")
@requires("mail")
def clear() -> BaseResponse:
    """Forget all imports that were read."""
    with own_mail("owner") as keys:
        asking.clear(keys.mailbox_id, g.viewer.account_id)
    leave(word="imports_cleared")
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
        "brought": {one.import_id: _brought(one) for one in found},
        "most": current_app.config["MAX_CONTENT_LENGTH"] - (1 << 20),
        "alarm": alarm,
        "notice": left(),
    }
    context = page(_("Bring mail in"), counts=counts, **context)
    response = render("privacy/imports.html", "privacy/_imports.html", **context)
    response.status_code = status
    return response


def _brought(one: asking.Import) -> list[str]:
    """What came of a file beside messages, in sentences."""
    told = one.brought
    taken = [words(told[code]) for code, words in BROUGHT.items() if told.get(code)]
    known = sum(told.get(code, 0) for code in KNOWN)
    said = []
    if taken:
        said.append(_("Taken: %(what)s.", what=", ".join(taken)))
    if known:
        said.append(ngettext("%(num)s thing was here already.", "%(num)s things were here already.", known))
    if left := told.get("names-left-out"):
        said.append(
            ngettext(
                "%(num)s name was left out: its address is not yours here.",
                "%(num)s names were left out: their addresses are not yours here.",
                left,
            )
        )
    if left := told.get("left-out"):
        said.append(ngettext("%(num)s part could not be taken.", "%(num)s parts could not be taken.", left))
    if told.get("nothing"):
        said.append(_("There is nothing to take of this file: the others have it."))
    return said
