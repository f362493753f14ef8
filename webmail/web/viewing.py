"""What views share: the open mailbox of whoever asks, the context of every page, and what just happened."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from flask import current_app, g, request, session, url_for
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

from webmail.db import read_id, show_id, transaction
from webmail.errors import NotAllowed, NotFound
from webmail.identity.viewer import Preferences, allows
from webmail.keys import MailboxKeys, MasterKeys, open_mailbox
from webmail.mail import folders, messages
from webmail.mail.folders import Kind
from webmail.mail.mailboxes import OwnerSession
from webmail.web.boxes import switcher
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

try:
    BUILD = version("mtumail")
except PackageNotFoundError:  # run from a checkout that was not installed
    BUILD = "0.1.0"

FOLDER_NAMES = {
    Kind.INBOX: _l("Inbox"),
    Kind.SENT: _l("Sent"),
    Kind.DRAFTS: _l("Drafts"),
    Kind.ARCHIVE: _l("Archive"),
    Kind.JUNK: _l("Junk"),
    Kind.TRASH: _l("Trash"),
}


@dataclass(frozen=True, slots=True)
class FolderLine:
    """A folder in the rail, or the one that a list shows."""

    slug: str
    name: str
    unread: int
    total: int | None = None
    current: bool = False
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Undo:
    """The form that takes an act back; or, with words of its own, one that goes a step further."""

    url: str
    fields: Sequence[tuple[str, str]]
    words: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """One line about what just happened ("status") or went wrong ("alert")."""

    kind: str
    text: str
    undo: Undo | None = None
    offer: Undo | None = None


_WRITERS = frozenset({"compose"})
"""Blueprints that are for those who may write, looking included."""


def needed_role() -> str:
    """What a member has to be for this request: a reader looks and searches, a writer does all the rest."""
    is_safe = request.method in ("GET", "HEAD") and request.blueprint not in _WRITERS
    return "reader" if is_safe else "writer"


@contextmanager
def own_mail(needs: str = "") -> Iterator[MailboxKeys]:
    """A transaction on the mailbox of this request, with its keys opened by the right of its viewer, which the database checks.

    `needs` is what a member has to be, if not what `needed_role` says. Raises NotFound without a mailbox, NotAllowed for a
    member who may not.
    """
    viewer = g.viewer
    if viewer is None or viewer.mailbox_id is None:
        raise NotFound("mailbox")
    role = needs or needed_role()
    if not allows(viewer.role, role):
        raise NotAllowed(_may_not(role))
    master: MasterKeys = current_app.extensions["master_keys"]
    with transaction(viewer.mailbox_id):
        yield open_mailbox(master, viewer.mailbox_id, OwnerSession(viewer.account_id, role))


def _may_not(role: str) -> str:
    if role == "owner":
        return str(_("Only an owner of this mailbox may do that."))
    return str(
        _("You may read this mailbox and search it, and change nothing. Ask one of its owners for more.")
    )


@contextmanager
def own_message(folder: str, message_id: int) -> Iterator[tuple[MailboxKeys, messages.Line]]:
    """As `own_mail`, with the line of one message in that folder. NotFound for any other, a stranger's or none."""
    kind = folders.by_slug(folder)
    with own_mail() as keys:
        line = messages.line(keys, message_id)
        if line.folder != kind:
            raise NotFound("message")
        yield keys, line


def is_looked_at() -> bool:
    """Whether somebody asked for this page to see it, and may change what looking changes: HEAD, a browser's guess at the next
    page, and whoever may only read a shared mailbox change nothing."""
    return request.method == "GET" and "Sec-Purpose" not in request.headers and g.viewer.may_write


def page(
    title: str, *, current: Kind | None = None, counts: Sequence[folders.Count] | None = None, **more: Any
) -> dict[str, Any]:
    """What every page needs. `counts` are the folders' counts, read inside the view's transaction; without them, no rail."""
    nav = None
    if counts is not None:
        nav = [
            FolderLine(
                item.kind.slug, str(FOLDER_NAMES[item.kind]), item.unread, current=item.kind == current
            )
            for item in counts
        ]
    context = {
        "viewer": g.get("viewer"),
        "nav": nav,
        "notice": None,
        "now": datetime.now(UTC),
        "title": title,
        "build": BUILD,
        "boxes": switcher(g.viewer) if g.get("viewer") else [],
    }
    context["prefs"] = g.viewer.preferences if g.get("viewer") else Preferences()
    context |= more
    if context["notice"] is None and (viewer := g.get("viewer")) and viewer.banner:
        context["notice"] = Notice("status", viewer.banner)
    return context


# --- what just happened --------------------------------------------------------------------------------------------------


def _said(action: str, count: int) -> str:
    words = {
        "read": lambda: ngettext("Marked as read.", "%(num)s marked as read.", count),
        "unread": lambda: ngettext("Marked as unread.", "%(num)s marked as unread.", count),
        "star": lambda: ngettext("Starred.", "%(num)s starred.", count),
        "unstar": lambda: ngettext("Star removed.", "%(num)s stars removed.", count),
        "archive": lambda: ngettext("Archived.", "%(num)s archived.", count),
        "trash": lambda: ngettext("Moved to Trash.", "%(num)s moved to Trash.", count),
        "junk": lambda: ngettext("Moved to Junk.", "%(num)s moved to Junk.", count),
        "inbox": lambda: ngettext("Moved to Inbox.", "%(num)s moved to Inbox.", count),
        "back": lambda: ngettext("Moved back.", "%(num)s moved back.", count),
        "reported": lambda: _("Reported to our staff, and moved to Junk."),
        "delete": lambda: ngettext("Deleted for ever.", "%(num)s deleted for ever.", count),
    }
    return words[action]() if action in words else ""


def acted(folder: str, action: str, ids: Sequence[int], undo: str | None, count: int | None = None) -> Notice:
    """What to say after an act on messages, with the way back where there is one. `count`: how many, if `ids` are only some."""
    if not ids:
        return Notice("status", _("Nothing was selected."))
    fields = [("action", undo or ""), ("whole", "0"), *(("id", show_id(number)) for number in ids)]
    back = Undo(url_for("mail.act", folder=folder), fields) if undo else None
    return Notice(
        "status",
        _said(action, count or len(ids)),
        back,
        _block(ids[0]) if action == "junk" and len(ids) == 1 else None,
    )


def _block(message_id: int) -> Undo:
    """What is offered after a message was called junk."""
    where = url_for("mail.block", folder="junk", message=message_id)
    return Undo(where, [("block", "1")], _("Block sender"))


_WORDS = {
    "sending": _l("Sending. You will see here when it has left."),
    "draft_again": _l("It is a draft again."),
    "left_already": _l("It has left already."),
    "nothing_waited": _l("Nothing that waits was selected."),
    "leaving_now": _l("It leaves now."),
    "saved": _l("Draft saved."),
    "discarded": _l("Draft discarded."),
    "settings": _l("Settings saved."),
    "schedule": _l("It runs in a moment."),
    "welcome": _l("Your mailbox is ready."),
    "joined": _l("You belong to this mailbox now."),
    "not_joined": _l("Declined."),
    "left": _l("You have left the mailbox."),
    "asked_member": _l("Invited. They see it when they next open their mail."),
    "member_changed": _l("Changed. The person is told."),
    "member_removed": _l("Removed. The person is told."),
    "invitation_withdrawn": _l("The invitation is withdrawn."),
    "put_away": _l("Put away."),
    "too_large": _l("It is too large to pass on."),
    "pictures_once": _l("Fetching the pictures."),
    "pictures_sender": _l("Fetching the pictures, from now on always for this sender."),
    "pictures_always": _l("Fetching the pictures, from now on always. You can change that in Settings."),
    "pictures_stop": _l("Pictures from this sender wait for you again."),
    "unsubscribing": _l("Asking to be taken off the list."),
    "blocked": _l("Sender blocked: what they write goes to Junk."),
    "unblocked": _l("Sender unblocked."),
    "accepted": _l("Accepted. Your answer is on its way."),
    "tentative": _l("Accepted as tentative. Your answer is on its way."),
    "declined": _l("Declined. Your answer is on its way."),
    "contact_saved": _l("Saved."),
    "contact_deleted": _l("Deleted."),
    "contact_restored": _l("It is back."),
    "contact_kept": _l("Kept in your contacts."),
    "contact_added": _l("Added to your contacts."),
    "contact_there": _l("This person is in your contacts already."),
    "contact_never": _l("Will not be suggested while you write."),
    "contact_suggest": _l("Will be suggested while you write."),
}


def more_words(**words: LazyString) -> None:
    """Let `leave` say these words as well: for views that bring their own."""
    _WORDS.update(words)


MAX_TOLD = 100
"""So many messages of an act are kept for the next page."""


def leave(
    *,
    word: str = "",
    act: tuple[str, str, Sequence[int], str | None] | None = None,
    undo: Undo | None = None,
    anywhere: bool = False,
) -> None:
    """Keep what happened for the next page of this mailbox, or of any (`anywhere`), in a signed cookie: a named word with the way
    back from it, or an act as `acted` takes it. Ids and codes only.
    """
    if act is not None:
        folder, action, ids, back = act
        # A cookie has no room for more; and an undo of some of them would be none.
        told, back = ids[:MAX_TOLD], back if len(ids) <= MAX_TOLD else None
        said: dict[str, Any] = {"act": [folder, action, [show_id(one) for one in told], back, len(ids)]}
    elif word:
        said = {"word": word}
        if undo is not None:
            said["undo"] = [undo.url, undo.fields]
    else:
        return
    box = None if anywhere else g.viewer.mailbox_id
    session["said"] = {"to": g.viewer.account_id, "in": box} | said


def left() -> Notice | None:
    """What an earlier request left to be said, once: to the same person, in the same mailbox."""
    said = session.get("said")
    if not isinstance(said, dict):
        return None
    is_other = said.get("to") != g.viewer.account_id  # somebody else signed in with this browser since
    if not is_other and said.get("in") not in (None, g.viewer.mailbox_id):
        return None  # another tab, of another mailbox, will say it
    session.pop("said")
    if is_other:
        return None
    if "word" in said and said["word"] in _WORDS:
        return Notice("status", str(_WORDS[said["word"]]), Undo(*said["undo"]) if "undo" in said else None)
    if "act" in said:
        folder, action, ids, undo, count = said["act"]
        return acted(folder, action, [read_id(item) for item in ids], undo, count)
    return None
