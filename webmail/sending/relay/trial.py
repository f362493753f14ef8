"""A small test mail through one relay, with the whole conversation written down: what an administrator looks at when mail stays."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from webmail.mail.addresses import parse_spec
from webmail.phrases import gettext as _
from webmail.phrases import ngettext
from webmail.sending.composing import Composition, build, new_message_id
from webmail.sending.relay.client import Relay
from webmail.sending.relay.outcomes import Outcome
from webmail.sending.relay.settings import RelaySettings

MOST_LINES: Final = 300
LONGEST_LINE: Final = 500
DEADLINE: Final = 20.0
"""Seconds for each step: somebody waits for it, and a relay that takes longer is trouble to know of."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a conversation. `who` is "C" for us, "S" for the relay, "-" for a remark."""

    who: str
    text: str


class Recorder:
    """Takes a conversation down (it is a `Transcript`): 300 lines of 500 characters at the most, and says what it left out."""

    def __init__(self) -> None:
        self._lines: list[Line] = []
        self._left_out = 0

    def __call__(self, who: str, text: str) -> None:
        if len(self._lines) >= MOST_LINES:
            self._left_out += 1
            return
        self._lines.append(Line(who, text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}…"))

    @property
    def lines(self) -> tuple[Line, ...]:
        """What was said, in order."""
        if not self._left_out:
            return tuple(self._lines)
        more = ngettext("%(num)s more line", "%(num)s more lines", self._left_out)
        return (*self._lines, Line("-", more))


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a test mail."""

    relay: str
    lines: tuple[Line, ...]
    outcome: Outcome


def try_relay(settings: RelaySettings, sender: str, recipient: str, raw: bytes) -> Trial:
    """Send `raw` (see `build_mail`) through one relay, once, resting or not. Trouble is part of the result.

    The conversation has no secrets in it and nothing of the message but its length.
    """
    hasty = replace(
        settings,
        connect_timeout=min(settings.connect_timeout, DEADLINE),
        command_timeout=min(settings.command_timeout, DEADLINE),
        data_timeout=min(settings.data_timeout, DEADLINE),
        final_timeout=min(settings.final_timeout, DEADLINE),
    )
    recorder = Recorder()
    length = ngettext("the message, %(num)s octet", "the message, %(num)s octets", len(raw))
    with Relay(hasty, recorder) as relay:
        outcome = relay.send(sender, [recipient], raw, before_dot=lambda: recorder("-", length))
    for one in outcome.recipients:
        if one.kind != "sent" and one.code is None:
            recorder("-", one.reply)
    return Trial(settings.name, recorder.lines, outcome)


def build_mail(sender: str, recipient: str, at: datetime) -> bytes:
    """The test mail as it goes over the wire, marked as automatic (RFC 3834) so that no machine answers it. In the language of
    `phrases.written_in`.

    Raises AddressError for an address that is not one, CompositionError for one that cannot stand in a header.
    """
    author = parse_spec(sender)
    composition = Composition(
        sender=author,
        to=(parse_spec(recipient),),
        subject=_("Test of a relay"),
        body=f"{_('This is a test: an administrator of mtumail sent it to see whether the relay takes mail.')}\n",
        message_id=new_message_id(author.domain),
        date=at,
    )
    return b"Auto-Submitted: auto-generated\r\n" + build(composition)
