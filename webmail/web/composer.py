"""What the composer shows: the fields as they were typed, and around them what helps with writing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, g, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import new_id, show_id
from webmail.errors import NotFound
from webmail.keys import MailboxKeys
from webmail.mail import folders, identities, markup, reading
from webmail.sending import answers_kept, drafts, pending, submitting
from webmail.sending.composing import trimmed
from webmail.sending.drafts import Fields
from webmail.web import recipients
from webmail.web.boxes import here
from webmail.web.htmx import is_fragment, render
from webmail.web.leaving import moment
from webmail.web.opened import Piece
from webmail.web.previewing import is_picture
from webmail.web.recipients import Meant
from webmail.web.reminders import Reminder, strangers
from webmail.web.viewing import Notice, page
from webmail.web.words import gettext as _

blueprint = Blueprint("compose", __name__)
FIELDS = ("to", "cc", "bcc", "subject", "body")
_MAX_TRIMMED = 200_000


@dataclass(frozen=True, slots=True)
class Shown:
    """The fields as the template shows them."""

    to: str
    cc: str
    bcc: str
    subject: str
    body: str
    errors: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class FileLine:
    """A file that is attached to the draft; `can_show`: as a picture in the text."""

    number: int
    name: str
    size: int
    href: str = ""
    can_show: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """A file of the answered message that can be attached with one press; `ref` goes into the button."""

    ref: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class From:
    """Somebody to send as, in the select."""

    ident: str
    name: str
    address: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Around:
    """What is looked up in the mailbox for one showing of the composer."""

    counts: Sequence[folders.Count]
    answers: Sequence[answers_kept.Name] = ()
    offers: Sequence[Offer] = ()
    strangers: Sequence[str] = ()
    senders: Sequence[From] = ()
    meant: Mapping[str, Sequence[Meant]] = field(default_factory=dict)
    often: Sequence[str] = ()
    mark: pending.Mark | None = None


@dataclass(frozen=True, slots=True)
class Tools:
    """What helps with writing, for the template."""

    formatted: bool
    total: int
    limit: int
    can_trim: bool
    answers: Sequence[answers_kept.Name]
    offers: Sequence[Offer]
    strangers: Sequence[str]
    senders: Sequence[From]
    """Several names to send under, or nothing."""
    meant: Mapping[str, Sequence[Meant]]
    """By field, whom a name without an address may mean."""
    often: Sequence[str]
    reminders: Sequence[Reminder] = ()
    preview: Sequence[Piece] | None = None
    other: str = ""
    leaves: str = ""
    """When the draft leaves by itself, in words; "" for one that does not."""
    held: bool = False


def around(keys: MailboxKeys, fields: Fields, draft: drafts.Opened | None = None) -> Around:
    """Look up what the composer shows beside `fields`. Runs in the view's transaction."""
    return Around(
        folders.counts(keys.mailbox_id),
        answers_kept.names(keys),
        _offers(keys, fields, draft),
        strangers(keys, fields),
        _senders(keys, fields),
        recipients.meant(keys, fields),
        # Where there are scripts, whoever is typed is looked up: a fragment needs no list.
        () if is_fragment(request) else recipients.often(keys),
        pending.marks(keys.mailbox_id, [draft.message_id]).get(draft.message_id) if draft else None,
    )


def _senders(keys: MailboxKeys, fields: Fields) -> list[From]:
    """Whom the viewer may write as, where there is a choice."""
    everybody = identities.of(keys, g.viewer.name)
    if len(everybody) < 2:
        return []
    return [
        From(
            show_id(one.id),
            one.name,
            one.address,
            one.is_default if fields.identity is None else one.id == fields.identity,
        )
        for one in everybody
    ]


def _offers(keys: MailboxKeys, fields: Fields, draft: drafts.Opened | None) -> list[Offer]:
    """Files of the message that is answered, without those that are attached already."""
    if fields.answers is None:
        return []
    try:
        files = reading.load(keys, fields.answers).files
    except NotFound:
        return []
    there = {item.name for item in draft.attachments} if draft else set()
    return [
        Offer(f"{show_id(fields.answers)}.{item.number}", item.name, item.size)
        for item in files
        if item.name not in there
    ]


def show(
    found: Around,
    fields: Fields,
    draft: drafts.Opened | None,
    *,
    errors: dict[str, list[str]] | None = None,
    notice: Notice | None = None,
    reminders: Sequence[Reminder] = (),
    preview: Sequence[Piece] | None = None,
    other: str = "",
) -> BaseResponse:
    """The composer, as a page or a fragment; `other` is where another version of the draft is."""
    attached = draft.attachments if draft else ()
    tools = Tools(
        formatted=fields.formatted,
        total=sum(item.size_bytes for item in attached),
        limit=submitting.most_bytes(),
        can_trim=can_trim(fields.body),
        answers=found.answers,
        offers=found.offers,
        strangers=found.strangers,
        senders=found.senders,
        meant=found.meant,
        often=found.often,
        reminders=reminders,
        preview=preview,
        other=other,
        leaves=moment(found.mark.send_at) if found.mark else "",
        held=bool(found.mark and found.mark.held),
    )
    context: dict[str, Any] = {
        "form": Shown(fields.to, fields.cc, fields.bcc, fields.subject, fields.body, whole(errors)),
        # A form that has no draft yet gets an id for it: pressed twice, it still makes one message.
        "draft_id": show_id(draft.message_id if draft else new_id()),
        "revision": draft.revision if draft else 0,
        "saved_at": draft.saved_at if draft else None,
        "attachments": [_file(draft, item) for item in attached] if draft else [],
        "reply": show_id(fields.answers) if fields.answers is not None else None,
        "forward": show_id(fields.forwards) if fields.forwards is not None else None,
        "notice": notice,
        "tools": tools,
    }
    return render(
        "compose/compose.html", "compose/_form.html", **page(_title(fields), counts=found.counts, **context)
    )


def _file(draft: drafts.Opened, item: drafts.Attached) -> FileLine:
    can_show = is_picture(item) and bool(markup.picture(item.name, ""))
    href = f"{where_files_are(draft.message_id)}/{item.number}"
    return FileLine(item.number, item.name, item.size_bytes, href, can_show)


def where_files_are(draft_id: int) -> str:
    """The path below which the files of a draft are, by their numbers."""
    return here(f"/compose/{show_id(draft_id)}")


def _title(fields: Fields) -> str:
    if fields.answers is not None:
        return _("Reply")
    return _("Forward") if fields.forwards is not None else _("New message")


def whole(errors: dict[str, list[str]] | None) -> dict[str, list[str]]:
    """`errors` with an entry for each field."""
    return {name: [] for name in FIELDS} | (errors or {})


def can_trim(body: str) -> bool:
    """Whether there is more quoted than what the last author wrote."""
    return body.count("\n>") > 1 and len(body) <= _MAX_TRIMMED and trimmed(body) != body


def path_of(draft_id: int) -> str:
    """Where a draft is gone on with."""
    return url_for("compose.new", draft=show_id(draft_id))


def wants_reminders() -> bool:
    """Whether the viewer is to be reminded before something leaves."""
    return bool(g.viewer.preferences.reminders == "on")
