"""Answering an invitation from the message that it came in."""

from flask import abort, g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.errors import NotFound, Refused
from webmail.mail import folders, reading
from webmail.sending import invitations
from webmail.sending.composing import CompositionError
from webmail.web import invites
from webmail.web.access import requires
from webmail.web.beginnings import author
from webmail.web.viewing import leave, own_mail
from webmail.web.views.mail import blueprint, line_in
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
    with own_mail() as keys:
        line_in(keys, message, folders.by_slug(folder))
        found = invitations.open_one(keys, message, reading.load(keys, message), who[1])
        if found is None:
            raise NotFound("invitation")
        try:
            invitations.answer(
                keys,
                message,
                word,
                account_id=g.viewer.account_id,
                author=who,
                subject=invites.answer_subject(word, found.invitation),
                text=invites.answer_text(word, found.invitation, who[0] or who[1]),
            )
        except CompositionError:
            raise Refused(_("This invitation cannot be answered by mail.")) from None
    leave(word=word)
    return redirect(url_for("mail.message", folder=folder, message=message), 303)
