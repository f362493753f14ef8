"""What the staff do with a case. Each act is one POST, says on which revision it was chosen, and comes back to the case."""

from collections.abc import Callable
from typing import Any

from flask import g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, show_id
from webmail.errors import Conflict, NotFound, Refused
from webmail.governance.cases import acts, answering, grouping
from webmail.governance.cases.sealing import CaseSecret, open_secret
from webmail.web.access import requires
from webmail.web.staff import staff_page, staff_transaction
from webmail.web.viewing import Notice, leave, more_words
from webmail.web.views.cases import blueprint, master_keys, show
from webmail.web.words import gettext as _

__all__ = ["blueprint"]

more_words(
    case_taken=_l("It is yours."),
    case_given=_l("Given."),
    case_released=_l("It is nobody’s now."),
    case_waiting=_l("It waits."),
    case_open=_l("It is open."),
    case_kind=_l("Its kind was changed, and its clock with it."),
    case_closed=_l("Closed. Everybody who brought it sees the outcome."),
    case_noted=_l("Noted."),
    case_answered=_l("Answered. The letters are on their way."),
    case_merged=_l("Merged: everything is here now."),
    case_split=_l("Taken apart: this is the new case."),
    canned_kept=_l("Kept."),
    canned_dropped=_l("Deleted."),
)


def _act(case: int, word: str, act: Callable[[CaseSecret], object], kept: str = "") -> BaseResponse:
    """Do it and go back to the case; or show the case as it is, with what was typed, and why nothing was done."""
    try:
        with staff_transaction():
            act(open_secret(master_keys()))
    except Conflict:
        words = _(
            "Somebody else changed this case meanwhile. Nothing was done: look at it as it is now, and choose again."
        )
        return show(case, _typed(kept), words, 409)
    except Refused as refusal:
        return show(case, _typed(kept), str(refusal), 422)
    leave(word=word)
    return redirect(url_for("cases.case", case=case), 303)


def _typed(kept: str) -> dict[str, str]:
    return {kept: request.form.get("words", "")} if kept else {}


def _revision() -> int:
    shown = request.form.get("revision", "")
    if not shown.isdecimal() or len(shown) > 9:
        raise NotFound("revision")
    return int(shown)


@blueprint.post("/staff/cases/<id:case>/assign", endpoint="assign")
@requires("staff.cases")
def assign(case: int) -> BaseResponse:
    """Take it, give it to a colleague, or let it go."""
    wanted, me = request.form.get("to", ""), g.viewer.account_id
    to = {"me": me, "": None}.get(wanted) if wanted in ("me", "") else read_id(wanted)
    word = "case_taken" if to == me else "case_given" if to is not None else "case_released"
    revision = _revision()
    return _act(case, word, lambda _secret: acts.assign(case, revision, me, to))


@blueprint.post("/staff/cases/<id:case>/wait", endpoint="wait")
@requires("staff.cases")
def wait(case: int) -> BaseResponse:
    """It waits for somebody else, or no more."""
    waiting, revision = request.form.get("waiting") == "1", _revision()
    word = "case_waiting" if waiting else "case_open"
    return _act(case, word, lambda _secret: acts.wait(case, revision, g.viewer.account_id, waiting))


@blueprint.post("/staff/cases/<id:case>/kind", endpoint="kind")
@requires("staff.cases")
def kind(case: int) -> BaseResponse:
    """Call it what it is."""
    wanted, revision = request.form.get("kind", ""), _revision()
    return _act(case, "case_kind", lambda _secret: acts.set_kind(case, revision, g.viewer.account_id, wanted))


@blueprint.post("/staff/cases/<id:case>/close", endpoint="close")
@requires("staff.cases")
def close(case: int) -> BaseResponse:
    """End it."""
    outcome, words, revision = request.form.get("outcome", ""), request.form.get("words", ""), _revision()
    return _act(
        case,
        "case_closed",
        lambda secret: acts.close(secret, case, revision, g.viewer.account_id, outcome, words),
        "close",
    )


@blueprint.post("/staff/cases/<id:case>/reopen", endpoint="reopen")
@requires("staff.cases")
def reopen(case: int) -> BaseResponse:
    """Work on it again."""
    revision = _revision()
    return _act(case, "case_open", lambda _secret: acts.reopen(case, revision, g.viewer.account_id))


@blueprint.post("/staff/cases/<id:case>/notes", endpoint="note")
@requires("staff.cases")
def note(case: int) -> BaseResponse:
    """Write a note."""
    words, once = request.form.get("words", ""), read_id(request.form.get("once", ""))
    return _act(
        case, "case_noted", lambda secret: acts.note(secret, case, g.viewer.account_id, words, once), "note"
    )


@blueprint.post("/staff/cases/<id:case>/answers", endpoint="answer")
@requires("staff.cases")
def answer(case: int) -> BaseResponse:
    """Answer everybody who brought it."""
    words, once = request.form.get("words", ""), read_id(request.form.get("once", ""))
    only_new, revision = request.form.get("to") == "new", _revision()

    def act(secret: CaseSecret) -> int:
        me = g.viewer.account_id
        return answering.answer(secret, case, revision, me, words, once, only_new=only_new)

    return _act(case, "case_answered", act, "answer")


@blueprint.post("/staff/cases/<id:case>/merge", endpoint="merge")
@requires("staff.cases")
def merge(case: int) -> BaseResponse:
    """Put it into another case, whose number was typed or pasted with its address."""
    shown, revision = request.form.get("into", "").strip().rstrip("/").rpartition("/")[2], _revision()
    try:
        into = read_id(shown)
        with staff_transaction():
            grouping.merge(case, revision, g.viewer.account_id, into)
    except NotFound:
        return show(case, None, _("There is no case with that number."), 422)
    except Conflict:
        return show(case, None, _("Somebody else changed this case meanwhile. Nothing was done."), 409)
    except Refused as refusal:
        return show(case, None, str(refusal), 422)
    leave(word="case_merged")
    return redirect(url_for("cases.case", case=into), 303)


@blueprint.post("/staff/cases/<id:case>/split", endpoint="split")
@requires("staff.cases")
def split(case: int) -> BaseResponse:
    """Move what was ticked into a case of its own."""
    items, revision = [read_id(one) for one in request.form.getlist("item")], _revision()
    try:
        with staff_transaction():
            made = grouping.split(case, revision, g.viewer.account_id, items)
    except Conflict:
        return show(case, None, _("Somebody else changed this case meanwhile. Nothing was done."), 409)
    except Refused as refusal:
        return show(case, None, str(refusal), 422)
    leave(word="case_split")
    return redirect(url_for("cases.case", case=made), 303)


# --- canned answers --------------------------------------------------------------------------------------------------------


@blueprint.get("/staff/answers", endpoint="canned")
@requires("staff.cases")
def canned() -> BaseResponse:
    """Words for next time."""
    wanted = request.args.get("edit", "")
    return _canned(
        {"once": wanted or show_id(acts.fresh_id()), "title": "", "words": ""},
        read_id(wanted) if wanted else None,
    )


@blueprint.post("/staff/answers", endpoint="keep_canned")
@requires("staff.cases")
def keep_canned() -> BaseResponse:
    """Keep them, or change what was kept."""
    form = {name: request.form.get(name, "") for name in ("once", "title", "words")}
    try:
        with staff_transaction():
            answering.keep(read_id(form["once"]), form["title"], form["words"], g.viewer.account_id)
    except Refused as refusal:
        return _canned(form, None, str(refusal))
    leave(word="canned_kept")
    return redirect(url_for("cases.canned"), 303)


@blueprint.post("/staff/answers/<id:canned>/delete", endpoint="drop_canned")
@requires("staff.cases")
def drop_canned(canned: int) -> BaseResponse:
    """Forget them."""
    with staff_transaction():
        answering.drop(canned, g.viewer.account_id)
    leave(word="canned_dropped")
    return redirect(url_for("cases.canned"), 303)


def _canned(form: dict[str, str], edited: int | None, error: str = "") -> BaseResponse:
    with staff_transaction():
        kept = answering.all_canned()
    for one in kept:
        if one.canned_id == edited:
            form |= {"title": one.title, "words": one.words}
    more: dict[str, Any] = {"notice": Notice("alert", error)} if error else {}
    return staff_page(
        "case/canned.html",
        title=_("Canned answers"),
        status=422 if error else 200,
        kept=kept,
        form=form,
        edited=edited,
        placeholders=answering.PLACEHOLDERS,
        max_words=acts.MAX_WORDS,
        **more,
    )
