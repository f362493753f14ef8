"""The road out: one authenticated SMTP relay (RFC 5321, 6409), no database."""

from webmail.sending.relay.client import Relay
from webmail.sending.relay.connection import Transcript
from webmail.sending.relay.content import refuse_unclean
from webmail.sending.relay.outcomes import Outcome, RecipientOutcome, Reply
from webmail.sending.relay.settings import RelaySettings

__all__ = ["Outcome", "RecipientOutcome", "Relay", "RelaySettings", "Reply", "Transcript", "refuse_unclean"]
