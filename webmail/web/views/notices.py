"""What the staff did about me, and my objection: `/notices`; and the same for who may not sign in now: `/suspended` (P19, P20)."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, current_app, g, make_response, redirect, render_template, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail import audit
from webmail.db import transaction
from webmail.errors import NotFound
from webmail.governance.appeals import appealing
from webmail.governance.notices import telling
from webmail.keys import MasterKeys
from webmail.web import action_words, proofs
from webmail.web.access import WAY_OUT, requires
from webmail.web.auth_answers import answer
from webmail.web.auth_answers import page as bare_page
from webmail.web.gate import Gate, asked
from webmail.web.viewing import Notice, leave, left, more_words, page
from webmail.web.words import gettext as _

blueprint = Blueprint("notices", __name__)
more_words(appeal_made=_l("We have your objection. Somebody else looks at it, and answers within a week."))


def master_keys() -> MasterKeys:
    """The master keys of this application."""
    keys: MasterKeys = current_app.extensions["master_keys"]
    return keys


@blueprint.get("/notices", endpoint="index")
@requires("account")
def index() -> BaseResponse:
    """Everything that I was told, newest first. Reading it counts as having read it."""
    with transaction():
        told = telling.told(master_keys(), g.viewer.account_id)
        telling.seen(g.viewer.account_id)
    return _page("notices/index.html", _("From our staff"), notices=told, viewer=replace(g.viewer, told=0))


@blueprint.route("/appeals/<id:action>", methods=["GET", "POST"], endpoint="appeal")
@requires("account")
def appeal(action: int) -> BaseResponse:
    """Object to one thing, once; and what became of that."""
    return _appeal(g.viewer.account_id, action)


@blueprint.get("/notices/<id:action>/proof", endpoint="proof")
@requires("account")
def proof(action: int) -> BaseResponse:
    """The proof that what was done to me stands in the log, to be checked without us."""
    account_id = g.viewer.account_id
    with transaction():
        event = telling.event_of(account_id, telling.one(master_keys(), account_id, action))
        if event is None:
            raise NotFound("event")
        made = audit.proof(event, about=account_id)
    return proofs.answer(made, f"notice-{event}")


# --- for who may not sign in ---------------------------------------------------------------------------------------------


@blueprint.get("/suspended", endpoint="suspended")
@requires(WAY_OUT)
def suspended() -> BaseResponse:
    """Why somebody may not sign in, and how to object: open to him alone, and with it nothing else."""
    if not g.barred:
        return redirect("/", 303)
    with transaction():
        told = telling.told(master_keys(), g.barred)
        telling.seen(g.barred)
    return _page("notices/index.html", _("Your account is suspended"), 403, notices=told)


@blueprint.route("/suspended/<id:action>", methods=["GET", "POST"], endpoint="suspended_appeal")
@requires(WAY_OUT)
def suspended_appeal(action: int) -> BaseResponse:
    """Object while suspended."""
    if not g.barred:
        gate: Gate = current_app.extensions["auth"]
        return answer(g.auth, asked(), gate.settings) if g.viewer is None else redirect("/", 303)
    return _appeal(g.barred, action)


def _appeal(account_id: int, action_id: int) -> BaseResponse:
    words = request.form.get("words", "")
    problem = ""
    with transaction():
        found = telling.one(master_keys(), account_id, action_id)
        if request.method == "POST":
            problem = appealing.make(master_keys(), action_id, words, account_id=account_id)
    if problem == "none":
        raise NotFound("notice")
    if request.method == "POST" and not problem:
        if not g.barred:
            leave(word="appeal_made", anywhere=True)
        return redirect(
            url_for("notices.suspended_appeal" if g.barred else "notices.appeal", action=action_id), 303
        )
    said = Notice("alert", action_words.refusal(problem)) if problem else None
    status = 422 if problem == "words" else 409 if problem else 200
    return _page("appeals/mine.html", _("Your objection"), status, notice=said, one=found, typed=words)


def _page(template: str, title: str, status: int = 200, **context: Any) -> BaseResponse:
    told: dict[str, Any] = {"words": action_words, "barred": bool(g.barred)} | context
    if g.barred:
        return bare_page(template, status, title, **told)
    if told.get("notice") is None:
        told["notice"] = left()
    return make_response(render_template(template, **page(title, **told)), status)
