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
    sender: str
    sender_allowed: bool


def note(keys: MailboxKeys, line: Line, view: View, known: Known) -> PictureNote | None:
    """What to say about a message's remote pictures; None where it has none that could be fetched.

    A standing consent (for the sender, or for everybody) has them fetched when the message is looked at, but never for junk, nor
    for what its sender's domain disowns: whoever forges it would learn that it was opened.
    """
    if not view.remote_images or not view.laid_out:
        return None
    agreed = known.pictures or g.viewer.preferences.pictures == "always"
    forged = view.authentication is not None and view.authentication.verdict == "failed"
    stands = agreed and not forged and line.folder not in (Kind.JUNK, Kind.TRASH)
    state = remote_pictures.state(keys.mailbox_id, line.message_id)
    if stands and not state.total and not known.blocked and is_looked_at():
        images = reading.layout(keys, line.message_id).images
        state = remote_pictures.want(keys, line.message_id, images)
    asked = request.args.get("pictures") == "1" or (stands and not _saves_data())
    return PictureNote(*_told(state, view.remote_images, asked=asked), view.sender[1], known.pictures)


def _told(state: remote_pictures.Pictures, count: int, *, asked: bool) -> tuple[str, str]:
    """State and words of a note about `count` pictures; `asked`: to see them."""
    if not state.total:
        return "offered", ngettext("%(num)s picture left out.", "%(num)s pictures left out.", count)
    if state.waiting:
        return "waiting", ngettext("Fetching %(num)s picture.", "Fetching %(num)s pictures.", state.total)
    if not state.fetched:
        return "failed", ngettext(
            "The picture could not be fetched.", "None of the %(num)s pictures could be fetched.", state.total
        )
    cost = ngettext(
        "%(num)s picture, %(there)s, about %(here)s for you.",
        "%(num)s pictures, %(there)s, about %(here)s for you.",
        state.fetched,
        there=size_words(state.original_bytes),
        here=size_words(state.bytes),
    )
    if state.failed:
        cost += " " + ngettext("%(num)s could not be fetched.", "%(num)s could not be fetched.", state.failed)
    return "shown" if asked else "ready", cost


def _saves_data() -> bool:
    return request.headers.get("Save-Data", "").lower() == "on"
