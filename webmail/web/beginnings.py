"""What the composer begins with: an answer, a message to pass on, a link; and who writes."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import parse_qs, unquote, urlsplit

from flask import g
from flask_babel import format_datetime

from webmail.db import read_id
from webmail.errors import NotFound, Refused
from webmail.keys import MailboxKeys
from webmail.mail import identities, messages, reading
from webmail.mail.addresses import parse_spec
from webmail.mail.identities import Identity
from webmail.mail.mailboxes import refuse_when_full
from webmail.sending import answering, drafts
from webmail.sending.composing import ForwardLabels, forward, prefixed, reply, reply_all
from webmail.sending.drafts import Fields, Upload
from webmail.sending.submitting import most_bytes
from webmail.web.words import gettext as _


def reply_to(keys: MailboxKeys, message_id: int, *, everybody: bool) -> Fields:
    """An answer to a message, to its author or to everybody. Raises NotFound."""
    line, view = messages.line(keys, message_id), reading.load(keys, message_id)
    said = _(
        "On %(when)s, %(name)s wrote:", when=_when(line.received_at), name=view.sender[0] or view.sender[1]
    )
    everyone = identities.of(keys, g.viewer.name)
    own = [parse_spec(one.address) for one in everyone]
    answer = (reply_all if everybody else reply)(answering.original(view), own, said)
    addressed = [address for _name, address in (*view.to, *view.cc)]
    writer = identities.answering(everyone, addressed)
    fields = Fields(
        to=answering.written(answer.to),
        cc=answering.written(answer.cc),
        subject=answer.subject,
        body=f"\n\n{answer.body}" if answer.body else "",
        answers=message_id,
        identity=None if writer.is_default else writer.id,
    )
    return signed(fields, writer)


def pass_on(keys: MailboxKeys, message_id: int) -> Fields:
    """A message to pass on, without its files. Raises NotFound."""
    line, view = messages.line(keys, message_id), reading.load(keys, message_id)
    labels = ForwardLabels(_("Forwarded message"), _("From"), _("Date"), _("Subject"), _("To"), _("Cc"))
    answer = forward(answering.original(view), _when(line.received_at), labels)
    return Fields(subject=answer.subject, body=f"\n\n{answer.body}", forwards=message_id)


def with_its_files(keys: MailboxKeys, fields: Fields) -> drafts.Opened | None:
    """A message with files is forwarded as a draft that carries them. Raises Refused when they may not leave."""
    uploads = _files(keys, fields.forwards or 0)
    return _carrying(keys, fields, uploads) if uploads else None


def passed_on_whole(keys: MailboxKeys, message_id: int) -> drafts.Opened:
    """A draft that carries a message as a file, as it came over the wire. Raises NotFound, and Refused when it may not leave."""
    line, view = messages.line(keys, message_id), reading.load(keys, message_id)
    raw = messages.source(keys, message_id)
    whole = Upload(f"{view.subject[:100] or _('message')}.eml", "message/rfc822", raw)
    fields = Fields(subject=prefixed("Fwd", view.subject), forwards=line.message_id)
    return _carrying(keys, fields, [whole])


def with_file(keys: MailboxKeys, ref: str) -> drafts.Opened:
    """A new draft that carries one file of a message; `ref` is `<message>.<part>`. Raises NotFound, and
    Refused when it may not leave."""
    return _carrying(keys, signed(Fields(), sender(keys)), [_part(keys, ref)])


def take(keys: MailboxKeys, draft_id: int, refs: Iterable[str]) -> None:
    """Attach files of messages to a draft, each `<message>.<part>`. Raises NotFound, and Refused when they may not leave."""
    drafts.attach(keys, draft_id, [_part(keys, ref) for ref in refs], most_bytes())


def _part(keys: MailboxKeys, ref: str) -> Upload:
    message, _dot, number = ref.partition(".")
    if not (number.isascii() and number.isdigit() and len(number) < 6):
        raise NotFound("part")
    item, content = reading.part(keys, read_id(message), int(number))
    return Upload(item.name, item.content_type, content)


def again(keys: MailboxKeys, message_id: int) -> drafts.Opened:
    """A draft with the recipients, subject, text and files of a message: to be changed and sent once more, on its own.

    Raises NotFound, and Refused when its files may not leave.
    """
    view = reading.load(keys, message_id)
    original, bcc = answering.original(view), answering.written(answering.people(view.bcc))
    fields = Fields(
        answering.written(original.to), answering.written(original.cc), bcc, original.subject, original.text
    )
    return _carrying(keys, fields, _files(keys, message_id))


def _files(keys: MailboxKeys, message_id: int) -> list[Upload]:
    """Every file of a message, to be attached."""
    return [
        Upload(item.name, item.content_type, content)
        for item, content in reading.every_part(keys, message_id)
    ]


def _carrying(keys: MailboxKeys, fields: Fields, uploads: Sequence[Upload]) -> drafts.Opened:
    """A new draft with files. Raises Refused when they may not leave: before anything is written, for who catches that goes on
    without them."""
    drafts.may_attach(uploads, most_bytes())
    refuse_when_full(keys.mailbox_id, sum(len(item.content) for item in uploads))
    draft = drafts.create(keys, sender(keys).author, fields)
    drafts.attach(keys, draft.message_id, uploads, most_bytes())
    return drafts.load(keys, draft.message_id)


def from_link(link: str) -> Fields:
    """The fields of a mailto: link (RFC 6068): to, cc, subject and body; everything else is ignored."""
    parts = urlsplit(link)
    if parts.scheme.lower() != "mailto":
        return Fields()
    told = {name.lower(): values[0] for name, values in parse_qs(parts.query, max_num_fields=20).items()}
    cc, subject = (" ".join(told.get(name, "").split()) for name in ("cc", "subject"))
    to = ", ".join(filter(None, (unquote(parts.path), told.get("to", ""))))
    return Fields(to=" ".join(to.split())[:2000], cc=cc, subject=subject, body=told.get("body", "")[:10_000])


def sender(keys: MailboxKeys, ident: int | None = None) -> Identity:
    """Whom the viewer writes as: this identity, or the default one. Raises Refused for one that is theirs no more."""
    try:
        return identities.chosen(keys, ident, g.viewer.name)
    except NotFound:
        raise Refused(_("You cannot send under that name any more: choose another.")) from None


def signed(fields: Fields, writer: Identity) -> Fields:
    """The fields with the signature below what is there."""
    return replace(fields, body=fields.body.rstrip() + signature(writer)) if writer.signature else fields


def signature(writer: Identity) -> str:
    """A signature as it stands at the end of a message; "" for somebody without one."""
    return f"\n\n-- \n{writer.signature}\n" if writer.signature else ""


def _when(moment: datetime) -> str:
    return str(format_datetime(moment, "EEE, d MMM yyyy HH:mm"))


def author() -> tuple[str, str]:
    """Name and address of whoever is signed in; for what they write, `sender` says who it is from."""
    return (g.viewer.name, g.viewer.address or "")
