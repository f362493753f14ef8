"""Remote pictures of one message: whether the reader agreed, how far fetching is, and what it costs."""

from dataclasses import dataclass

from flask import g, request

from webmail.keys import MailboxKeys
from webmail.mail import reading, remote_pictures
from webmail.mail.correspondents import Known
from webmail.mail.folders import Kind
from webmail.mail.messages import Line
from webmail.mail.reading import View
from webmail.web.filters import size_words
from webmail.web.viewing import is_looked_at
from webmail.web.words import ngettext


@dataclass(frozen=True, slots=True)
class PictureNote:
    """`state`: offered (nobody agreed yet), waiting, ready (fetched, its cost said, not shown), shown, or failed."""

    state: str
    words: str
    count: int
    href: str
    sender: str
    sender_allowed: bool


def note(keys: MailboxKeys, line: Line, view: View, known: Known) -> PictureNote | None:
    """What to say about a message's remote pictures; None where it has none that could be fetched.

    A standing consent (for the sender, or for everybody) has them fetched when the message is looked at, but never for junk, nor
    for what its sender's domain disowns: whoever forges it would learn that it was opened.
    """
    if not view.remote_images or not view.laid_out:
        return None
    sender = view.sender[1]
    agreed = known.pictures or g.viewer.preferences.pictures == "always"
    forged = view.authentication is not None and view.authentication.verdict == "failed"
    stands = agreed and not forged and line.folder not in (Kind.JUNK, Kind.TRASH)
    state = remote_pictures.state(keys.mailbox_id, line.message_id)
    if stands and not state.total and not known.blocked and is_looked_at():
        images = reading.layout(keys, line.message_id).images
        state = remote_pictures.want(keys, line.message_id, images)
    asked = request.args.get("pictures") == "1" or (stands and not _saves_data())
    return _note(view, state, sender, known, asked=asked)


def _note(
    view: View, state: remote_pictures.Pictures, sender: str, known: Known, *, asked: bool
) -> PictureNote:
    count = view.remote_images
    if not state.total:
        words = ngettext("%(num)s picture left out.", "%(num)s pictures left out.", count)
        return PictureNote("offered", words, count, "", sender, known.pictures)
    if state.waiting:
        words = ngettext("Fetching %(num)s picture.", "Fetching %(num)s pictures.", state.total)
        return PictureNote("waiting", words, count, "", sender, known.pictures)
    if not state.fetched:
        words = ngettext(
            "The picture could not be fetched.", "None of the %(num)s pictures could be fetched.", state.total
        )
        return PictureNote("failed", words, count, "", sender, known.pictures)
    cost = ngettext(
        "%(num)s picture, %(there)s, about %(here)s for you.",
        "%(num)s pictures, %(there)s, about %(here)s for you.",
        state.fetched,
        there=size_words(state.original_bytes),
        here=size_words(state.bytes),
    )
    if state.failed:
        cost += " " + ngettext("%(num)s could not be fetched.", "%(num)s could not be fetched.", state.failed)
    return PictureNote("shown" if asked else "ready", cost, count, "", sender, known.pictures)


def _saves_data() -> bool:
    return request.headers.get("Save-Data", "").lower() == "on"
