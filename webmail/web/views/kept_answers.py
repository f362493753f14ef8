"""Templates: `/settings/templates`. Answers that somebody keeps for the next time, and whether they are reminded before sending."""

from dataclasses import dataclass

from flask import g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, show_id, transaction
from webmail.errors import Refused
from webmail.identity import accounts
from webmail.mail import folders
from webmail.sending import answers_kept
from webmail.sending.answers_kept import Answer
from webmail.web.access import requires
from webmail.web.composer import blueprint, wants_reminders
from webmail.web.htmx import render
from webmail.web.viewing import leave, left, own_mail, page
from webmail.web.words import gettext as _

__all__ = ["blueprint"]


@dataclass(frozen=True, slots=True)
class Shown:
    """The form of one answer; `ident` is empty for a new one."""

    ident: str = ""
    name: str = ""
    words: str = ""
    field: str = ""
    problem: str = ""


@blueprint.get("/settings/templates", endpoint="templates")
@requires("mail")
def templates() -> BaseResponse:
    """What is kept, and a form for one more or (`edit`) for one of them."""
    shown = Shown()
    if request.args.get("edit"):
        with own_mail() as keys:
            shown = _shown(answers_kept.load(keys, read_id(request.args["edit"])))
    return _page(shown)


@blueprint.post("/settings/templates", endpoint="change_templates")
@requires("mail")
def change_templates() -> BaseResponse:
    """Keep a new one, write one anew, remove one; or switch reminders."""
    form = request.form
    ident = form.get("ident", "")
    if "reminders" in form:
        with transaction():
            accounts.prefer(g.viewer.account_id, {"reminders": form["reminders"]})
        leave(word="settings")
        return redirect(url_for("compose.templates"), 303)
    try:
        with own_mail() as keys:
            if "remove" in form:
                answers_kept.remove(keys, read_id(form["remove"]))
            elif ident:
                answers_kept.change(keys, read_id(ident), form.get("name", ""), form.get("words", ""))
            else:
                answers_kept.add(keys, form.get("name", ""), form.get("words", ""))
    except Refused as refusal:
        field, problem = _refusal(str(refusal))
        return _page(Shown(ident, form.get("name", ""), form.get("words", ""), field, problem), 422)
    leave(word="settings")
    return redirect(url_for("compose.templates"), 303)


def _shown(answer: Answer) -> Shown:
    return Shown(show_id(answer.answer_id), answer.name, answer.words)


def _page(shown: Shown, code: int = 200) -> BaseResponse:
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
        lines = answers_kept.names(keys)
    context = page(
        _("Templates"), counts=counts, notice=left(), lines=lines, answer=shown, reminds=wants_reminders()
    )
    response = render("compose/templates.html", None, **context)
    response.status_code = code
    return response


def _refusal(code: str) -> tuple[str, str]:
    """The field that is wrong, and why."""
    return {
        "no-name": ("name", _("Give it a name that you will know it by.")),
        "long-name": ("name", _("Use at most %(count)s characters.", count=answers_kept.MAX_NAME)),
        "no-words": ("words", _("There is nothing to keep yet.")),
        "long-words": ("words", _("Use at most %(count)s characters.", count=answers_kept.MAX_WORDS)),
        "full": (
            "name",
            _(
                "There are %(count)s already: remove one that you no longer need.",
                count=answers_kept.MAX_ANSWERS,
            ),
        ),
    }[code]
