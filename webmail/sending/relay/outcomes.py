"""What a relay said, and what it means for each recipient."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["sent", "deferred", "failed", "unknown"]
Trouble = Literal["", "connect", "tls", "sign-in", "session", "refusing"]
"""What kept a whole message from leaving: no connection, no TLS that we trust, a sign-in that is not taken, a session that broke
before the relay took anything, or a relay that refuses every message for now."""

MAX_REPLY: Final = 500  # characters of a reply that are kept

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?:\s+|$)")
# Refusals of us, not of the message: a wrong password or a relay that wants TLS must not bounce anybody's mail.
_OUR_TROUBLE: Final = frozenset((503, 530, 534, 535, 538))
TOO_MANY_RECIPIENTS: Final = "5.5.3"


@dataclass(frozen=True, slots=True)
class Reply:
    """One SMTP reply. `code` is 0 when there was none, `text` then says why (our words, for people)."""

    code: int
    enhanced: str
    text: str
    lines: tuple[str, ...] = ()
    """The lines as they came, for the capabilities after EHLO; cleaned like `text`."""

    @property
    def is_positive(self) -> bool:
        return 200 <= self.code < 300

    @property
    def shown(self) -> str:
        """One line of at most 500 characters: code, enhanced code, text."""
        code = str(self.code) if self.code else ""
        return " ".join(part for part in (code, self.enhanced, self.text) if part)[:MAX_REPLY]


@dataclass(frozen=True, slots=True)
class RecipientOutcome:
    """What became of one recipient in this attempt.

    `unknown`: the message was handed over completely and no answer came; the relay may have it. `code` is None where
    the relay said nothing.
    """

    address: str
    kind: Kind
    code: int | None
    enhanced: str
    reply: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message, recipient by recipient, in the order they were given.

    `reached` is False when no session could be opened (name, connection, TLS, sign-in): nothing of the message was seen
    by the relay, and another relay may be tried at once. `trouble` is what the relay itself had, not the message.
    """

    recipients: tuple[RecipientOutcome, ...]
    reached: bool = True
    trouble: Trouble = ""
    handed: bool = False
    """Whether the last dot may have left: from then on no other relay may be tried."""
    relay: str = ""
    """The name of the relay that this is about."""
    tls: str = ""
    """The version of TLS of the connection to it, as Python calls it (TLSv1.3); "" for none."""

    def of(self, kind: Kind) -> tuple[str, ...]:
        """The addresses with that outcome."""
        return tuple(one.address for one in self.recipients if one.kind == kind)

    @property
    def is_sent(self) -> bool:
        return all(one.kind == "sent" for one in self.recipients)


def no_reply(why: str) -> Reply:
    return Reply(0, "", why)


def read_reply(code: int, lines: Iterable[bytes]) -> Reply:
    """A reply from its code and the texts of its lines: strangers' bytes made fit to show, log and store."""
    cleaned = tuple(_cleaned(line) for line in lines)
    enhanced = ""
    texts: list[str] = []
    for line in cleaned:
        found = _ENHANCED.match(line)
        if found and found[1] == str(code)[0]:
            enhanced = enhanced or f"{found[1]}.{found[2]}.{found[3]}"
            line = line[found.end() :]
        texts.append(line)
    return Reply(code, enhanced, " ".join(filter(None, texts))[:MAX_REPLY], cleaned)


def _cleaned(line: bytes) -> str:
    text = line[: MAX_REPLY * 4].decode("utf-8", "replace")
    shown = "".join(
        " " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") else c for c in text
    )
    return " ".join(shown.split())


def refused(address: str, reply: Reply, *, ours: bool = False) -> RecipientOutcome:
    """The outcome of a reply that is not positive, to anything but the final dot.

    `ours`: it answers MAIL or DATA, where "sign in first" is about our session and tried again.
    """
    final = 500 <= reply.code < 600 and reply.enhanced != TOO_MANY_RECIPIENTS
    if ours and (reply.code in _OUR_TROUBLE):
        final = False
    return RecipientOutcome(
        address, "failed" if final else "deferred", reply.code or None, reply.enhanced, reply.shown
    )


def after_dot(address: str, reply: Reply) -> RecipientOutcome:
    """The outcome of the reply to the final dot: only a clear yes or no counts, anything else is `unknown`."""
    kinds: dict[int, Kind] = {2: "sent", 4: "deferred", 5: "failed"}
    kind = kinds.get(reply.code // 100, "unknown")
    return RecipientOutcome(address, kind, reply.code or None, reply.enhanced, reply.shown)
