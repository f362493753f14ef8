"""Deleting one's account or a mailbox: what goes, what remains and when, with a fresh proof; taking it back; the certificate."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, current_app, g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail import audit
from webmail.db import read_id, show_id, transaction
from webmail.errors import NotFound
from webmail.identity import memberships, stepup
from webmail.identity.names import RESTS
from webmail.keys import MasterKeys
from webmail.privacy import register
from webmail.privacy.erasure import asking
from webmail.privacy.erasure.asking import Erasure, ErasureRefused
from webmail.settings import kept
from webmail.web import downloads
from webmail.web import register_words as words
from webmail.web.access import requires
from webmail.web.confirming import name_act
from webmail.web.htmx import render
from webmail.web.viewing import leave, left, more_words, page
from webmail.web.words import gettext as _

blueprint = Blueprint("leaving_us", __name__)

name_act(asking.ACCOUNT_ACT, _l("have your account deleted"))
name_act(asking.MAILBOX_ACT, _l("have a mailbox deleted"))
more_words(
    erasure_asked=_l("It will be deleted. Until then you can take it back here."),
    erasure_undone=_l("Taken back. Nothing is deleted."),
)

_REFUSED: Mapping[str, Any] = {
    "asked": _l("This is to be deleted already."),
    "last-owner": _l(
        "Other people belong to a mailbox that only you own. Make one of them an owner, or have that mailbox deleted first."
    ),
    "not-owner": _l("Only an owner can have a mailbox deleted."),
    "other-owners": _l("This mailbox has other owners. You can leave it, and it stays theirs."),
    "last-admin": _l("You are the only admin. Make somebody else one first."),
}
STATES: Mapping[str, Any] = {
    "waiting": _l("waits; it can be taken back"),
    "undone": _l("taken back"),
    "rows": _l("keys are destroyed; the rest is being removed"),
    "person": _l("keys are destroyed; the rest is being removed"),
    "telling": _l("deleted"),
    "done": _l("deleted"),
}


@blueprint.get("/my-data/delete", endpoint="index")
@requires("account")
def index() -> BaseResponse:
    """What can be deleted, what waits to be, and what was."""
    return _index()


@blueprint.post("/my-data/delete", endpoint="ask")
@requires("account")
def ask() -> BaseResponse:
    """Have the account, or the mailbox that the form names, deleted when the time to undo is over."""
    shown = request.form.get("mailbox", "")
    mailbox_id = read_id(shown) if shown else None
    viewer = g.viewer
    act = asking.ACCOUNT_ACT if mailbox_id is None else asking.MAILBOX_ACT
    try:
        with transaction():
            asking.check(viewer.account_id, mailbox_id)
            stepup.require(viewer, act=act, target=mailbox_id or viewer.account_id)
            asking.ask(viewer.account_id, mailbox_id)
    except ErasureRefused as refusal:
        return _index(str(_REFUSED[refusal.reason]), 409)
    leave(word="erasure_asked", anywhere=True)
    return redirect(url_for("leaving_us.index"), 303)


@blueprint.post("/my-data/delete/undo", endpoint="undo")
@requires("account")
def undo() -> BaseResponse:
    """Take it back, that of the account where none is named: no proof is asked for, for nothing is lost by it."""
    shown = request.form.get("erasure", "")
    with transaction():
        asking.undo(g.viewer.account_id, read_id(shown) if shown else None)
    leave(word="erasure_undone", anywhere=True)
    return redirect(url_for("leaving_us.index"), 303)


def _index(problem: str = "", code: int = 200) -> BaseResponse:
    account_id = g.viewer.account_id
    with transaction():
        all_of_them = asking.mine(account_id)
        boxes = memberships.mine(account_id)
        days = kept.whole("privacy.grace_days")
    waiting = [one for one in all_of_them if one.state == "waiting"]
    named = {one.mailbox_id: one.address for one in boxes}
    taken = {one.mailboxes[0] for one in waiting if one.kind == "mailbox"}
    context: dict[str, Any] = {
        "days": days,
        "rests": RESTS.days // 365,
        "waiting": [(one, show_id(one.erasure_id), _called(one, named), _link(one)) for one in waiting],
        "past": [
            (one, _called(one, named), _link(one), STATES[one.state])
            for one in all_of_them
            if one not in waiting
        ],
        "goes": [box.address for box in boxes if box.is_last_owner],
        "leaves": [box.address for box in boxes if not box.is_last_owner],
        "single": [
            (box, show_id(box.mailbox_id))
            for box in boxes
            if box.is_last_owner and box.mailbox_id not in taken
        ],
        "is_asked": any(one.kind == "account" for one in waiting),
        "problem": problem,
        "notice": left(),
    }
    response = render("privacy/erase.html", None, **page(_("Delete your account or a mailbox"), **context))
    response.status_code = code
    return response


def _called(one: Erasure, named: Mapping[int, str]) -> str:
    if one.kind == "account":
        return _("Your account")
    return named.get(one.mailboxes[0]) or _("A mailbox")


def _link(one: Erasure) -> str:
    return url_for(
        "leaving_us.certificate", erasure=one.erasure_id, secret=asking.link(_master(), one.erasure_id)
    )


# --- the certificate -----------------------------------------------------------------------------------------------------


@blueprint.get("/erased/<id:erasure>/<secret>", endpoint="certificate")
def certificate(erasure: int, secret: str) -> BaseResponse:
    """What was destroyed and when, for whoever holds the link."""
    with transaction():
        told = asking.by_link(_master(), erasure, secret)
    context: dict[str, Any] = {
        "told": told,
        "state": STATES[told.state],
        "gone": _by_kind(told.destroyed),
        "proof": url_for("leaving_us.proof", erasure=erasure, secret=secret) if told.event else "",
        "rests": RESTS.days // 365,
    }
    title = _("Deletion of an account") if told.kind == "account" else _("Deletion of a mailbox")
    response = render("privacy/erased.html", None, **page(title, **context))
    return _private(response)


@blueprint.get("/erased/<id:erasure>/<secret>/proof", endpoint="proof")
def proof(erasure: int, secret: str) -> BaseResponse:
    """The proof that the deletion stands in the log, to be checked without us."""
    with transaction():
        told = asking.by_link(_master(), erasure, secret)
    if told.event is None:
        raise NotFound("event")
    with transaction(staff=True):  # an entry about nobody any more, which web by itself does not read
        made = audit.proof(told.event)
    if made is None:
        response = render("privacy/proof_later.html", None, **page(_("The proof is not made yet")))
        response.headers["Retry-After"] = "600"
        return _private(response)
    return downloads.attachment(f"erased-{told.event}.tlog-proof", "text/plain; charset=utf-8", made.encode())


def audit_suffix() -> str:
    """How the file of a proof is called at its end (c2sp.org/tlog-proof)."""
    return ".tlog-proof"


def _by_kind(destroyed: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """Of each kind of the register how many there were, and how many rows; what it does not know any more by its own name."""
    counts = dict(destroyed)
    found = []
    for kind in register.KINDS:
        main = counts.get(kind.tables[0], 0)
        total = sum(counts.pop(table, 0) for table in kind.tables)
        if total:
            found.append((str(words.KINDS[kind.code][0]), main, total))
    return found + [(name, number, number) for name, number in sorted(counts.items())]


def _private(response: BaseResponse) -> BaseResponse:
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex"
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _master() -> MasterKeys:
    master: MasterKeys = current_app.extensions["master_keys"]
    return master
