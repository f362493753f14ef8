"""The road out: authenticated SMTP relays (RFC 5321, 6409), no database."""

from webmail.sending.relay.client import Relay
from webmail.sending.relay.connection import Transcript
from webmail.sending.relay.content import refuse_unclean
from webmail.sending.relay.outcomes import Outcome, RecipientOutcome, Reply
from webmail.sending.relay.settings import RelaySettings
from webmail.sending.relay.several import Forgetful, Relays, Rest, Rests

__all__ = [
    "Forgetful",
    "Outcome",
    "RecipientOutcome",
    "Relay",
    "RelaySettings",
    "Relays",
    "Reply",
    "Rest",
    "Rests",
    "Transcript",
    "refuse_unclean",
]
