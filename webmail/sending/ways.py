"""Which way each copy goes: to the relays, or, where an installation has set that, straight to its own inbound server.

A relay takes mail between two people of this installation only to hand it back. The short way is the same road all the same: the
outbox, SMTP, inbound with all its checks, filing. No message can go in circles: inbound passes nothing on, it takes a message in or
refuses it there and then, and it counts Received fields; whatever answers by itself has the null return path, and is not answered.
"""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from webmail.mail import idn
from webmail.sending.relay import Relays

Part = tuple[Relays, tuple[str, ...]]


class Ways:
    """The relays of one batch, and the way to our own inbound server where there is one. For one thread."""

    def __init__(self, outward: Relays, inward: Relays | None = None) -> None:
        self.outward = outward
        self.inward = inward

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for relays in (self.outward, self.inward):
            if relays is not None:
                relays.__exit__(kind, error, trace)

    def parts(self, recipients: Iterable[str], hosted: Sequence[str]) -> list[Part]:
        """Recipients by the way that they go, those of `hosted` domains (A-labels, lower case) first."""
        near: list[str] = []
        far: list[str] = []
        for recipient in recipients:
            is_near = self.inward is not None and _domain(recipient) in hosted
            (near if is_near else far).append(recipient)
        found: list[Part] = []
        if self.inward is not None and near:
            found.append((self.inward, tuple(near)))
        if far:
            found.append((self.outward, tuple(far)))
        return found


def _domain(recipient: str) -> str:
    return idn.to_ascii(recipient.rpartition("@")[2]) or ""
