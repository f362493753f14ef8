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
    Attachment,
    Composition,
    build,
    envelope_recipients,
    needs_smtputf8,
    new_message_id,
)

__all__ = [
    "Answer",
    "Attachment",
    "Composition",
    "CompositionError",
    "ForwardLabels",
    "Original",
    "build",
    "envelope_recipients",
    "forward",
    "needs_smtputf8",
    "new_message_id",
    "prefixed",
    "reply",
    "reply_all",
]
