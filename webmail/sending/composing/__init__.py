"""From what a person wrote to the bytes that leave (RFC 5322, MIME). Pure: no database, no clock, no chance.

The result is CRLF throughout, ASCII unless an address needs SMTPUTF8, and the same for the same composition.
"""

from webmail.sending.composing.answers import (
    Answer,
    ForwardLabels,
    Original,
    forward,
    prefixed,
    reply,
    reply_all,
)
from webmail.sending.composing.fields import CompositionError
from webmail.sending.composing.message import (
    PICTURE_TYPES,
    Attachment,
    Composition,
    build,
    envelope_recipients,
    needs_smtputf8,
    new_message_id,
)
from webmail.sending.composing.quoting import inserted, trimmed
from webmail.sending.composing.reminding import MANY_RECIPIENTS, is_slip_of, speaks_of_files

__all__ = [
    "MANY_RECIPIENTS",
    "PICTURE_TYPES",
    "Answer",
    "Attachment",
    "Composition",
    "CompositionError",
    "ForwardLabels",
    "Original",
    "build",
    "envelope_recipients",
    "forward",
    "inserted",
    "is_slip_of",
    "needs_smtputf8",
    "new_message_id",
    "prefixed",
    "reply",
    "reply_all",
    "speaks_of_files",
    "trimmed",
]
