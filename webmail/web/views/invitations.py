"""Answering an invitation from the message that it came in."""

from flask import abort, g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.errors import Refused
from webmail.sending import invitations
from webmail.sending.composing import CompositionError
from webmail.web import invites
from webmail.web.access import requires
from webmail.web.beginnings import author
from webmail.web.viewing import leave, own_message
from webmail.web.views.mail import blueprint
from webmail.web.words import gettext as _

__all__ = ["blueprint"]


@blueprint.post("/mail/<folder>/<id:message>/invitation", endpoint="answer_invitation")
@requires("mail")
def answer_invitation(folder: str, message: int) -> BaseResponse:
    """Accept, decline or leave open: a mail to the organizer alone. The same answer twice leaves once."""
    word = request.form.get("answer", "")
    if word not in invitations.ANSWERS:
        abort(400)
    who = author()
    with own_message(folder, message) as (keys, _line):
        try:
            invitations.answer(
                keys,
                message,
                word,
                account_id=g.viewer.account_id,
                author=who,
                words=lambda invitation: invites.answer_words(word, invitation, who[0] or who[1]),
            )
        except CompositionError:
            raise Refused(_("This invitation cannot be answered by mail.")) from None
    leave(word=word)
    return redirect(url_for("mail.message", folder=folder, message=message), 303)
