"""Proofs of entries of the log as files, for the people that the entries are about."""

from flask import Response

from webmail.web import downloads
from webmail.web.htmx import render
from webmail.web.viewing import page
from webmail.web.words import gettext as _


def answer(made: str | None, name: str) -> Response:
    """A proof to be saved as `name`, which holds without us; or that there is none yet (503): no signed root covers the entry."""
    if made is not None:
        return downloads.attachment(f"{name}.tlog-proof", "text/plain; charset=utf-8", made.encode())
    words = _("No signed checkpoint covers this entry yet. There is one every few minutes: please try again.")
    context = page(_("Not yet"), heading=_("Not yet"), code=503, words=words)
    response = render("error.html", "_error.html", **context)
    response.status_code = 503
    response.headers["Retry-After"] = "300"
    return response
