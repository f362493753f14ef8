"""What becomes of a transaction: senders, recipients, and the commit that comes before 250. Knows ports, not sockets."""

import logging
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from threading import BoundedSemaphore
from time import monotonic

from inbound.authentication.limits import WAITING
from inbound.commands import Mail, Malformed, parse_mail, parse_rcpt
from inbound.content import Content, fault, unstuff
from inbound.limits import Budget, Limits
from inbound.logs import event
from inbound.ports import Delivery, Nudge, Ports, Recipient, Refusal
from inbound.threads import Threads
from inbound.trace import Peer
from inbound.valid_since import is_other_owner, refuses
from webmail.mail.addresses import Address, AddressError, parse_path

_LOOK = 3.0
_NUDGES_WAITING = 1_000


@dataclass(slots=True)
class Transaction:
    """One mail transaction (RFC 5321 section 3.3): a sender, and the mailboxes that take the message, each once."""

    mail: Mail
    recipients: dict[int, Recipient] = field(default_factory=dict)
    accepted: int = 0
    """RCPT commands answered 250."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is known of a message beside its bytes."""

    id: str
    transaction: Transaction
    peer: Peer
    received_at: datetime


class Handler:
    """Answers with names of replies. Belongs to one event loop; the ports run in threads under a deadline."""

    def __init__(self, ports: Ports, limits: Limits) -> None:
        self.limits = limits
        self.budget = Budget(limits.in_flight_bytes)
        self._ports = ports
        self._resolvers = Threads("resolve", max(2, limits.threads // 2))
        self._receivers = Threads("receive", limits.threads + WAITING)
        self._commits = BoundedSemaphore(limits.threads)
        self._nudgers = Threads("nudge", 1)
        self._nudges = BoundedSemaphore(_NUDGES_WAITING)

    def mail(self, argument: str, extended: bool) -> Transaction | str:
        """MAIL: a new transaction, or the name of the reply that refuses it."""
        try:
            mail = parse_mail(argument, extended)
        except Malformed as error:
            return error.reply
        if mail.size is not None and mail.size > self.limits.message_bytes:
            return "too_large"
        if mail.size is not None and self.budget.used + mail.size > self.budget.limit:
            return "no_room"
        return Transaction(mail)

    async def rcpt(self, transaction: Transaction, argument: str, extended: bool) -> str:
        """RCPT: the name of the reply; "recipient_ok" has added the mailbox to the transaction."""
        asked = self._address(argument, extended, transaction.mail.smtputf8)
        if isinstance(asked, str):
            return asked
        address, valid_since = asked
        if transaction.accepted >= self.limits.recipients:
            return "too_many_recipients"
        size = transaction.mail.size or 0
        if size * (len(transaction.recipients) + 1) > self.limits.fan_out_bytes:
            return "too_large_for_so_many"
        try:
            found = await self._resolvers.call(
                self.limits.port_deadline, partial(self._ports.resolve, address)
            )
        except Exception as error:
            event("resolve failed", logging.ERROR, error=type(error).__name__)
            return "trouble"
        if isinstance(found, Refusal):
            return found.value
        if valid_since is not None and is_other_owner(found.since, valid_since):
            return "other_owner"
        transaction.recipients.setdefault(found.mailbox_id, found)
        transaction.accepted += 1
        return "recipient_ok"

    async def commit(self, arrival: Arrival, content: Content, held: int) -> str:
        """Store a complete message: "accepted" after the commit, else the name of the reply that says why not.

        Gives back `held` bytes of the budget when the thread is done with them, which after a deadline may be later than
        this returns. A commit that comes after its deadline was answered 451: the peer sends again, nothing is lost.
        """
        store = partial(self._store, arrival, content, monotonic() + self.limits.port_deadline)
        try:
            return await self._receivers.call(
                self.limits.port_deadline, store, ended=partial(self.budget.give, held)
            )
        except Exception as error:
            event("receive failed", logging.ERROR, delivery=arrival.id, error=type(error).__name__)
            return "trouble"

    async def reachable(self) -> bool:
        """True while what is stored could be committed, as far as one look tells."""
        if self._ports.reach is None:
            return True
        try:
            await self._resolvers.call(_LOOK, self._ports.reach)
        except Exception:
            return False
        return True

    def close(self) -> bool:
        """Take on nothing more. False if a thread still hangs in a port: it would keep the process from ending."""
        pools = (self._resolvers, self._receivers, self._nudgers)
        for pool in pools:
            pool.close()
        return not any(pool.busy for pool in pools)

    def _address(
        self, argument: str, extended: bool, smtputf8: bool
    ) -> tuple[Address, datetime | None] | str:
        try:
            asked = parse_rcpt(argument, extended)
            if not smtputf8 and not asked.path.isascii():
                return "utf8_recipient"
            return parse_path(asked.path), asked.valid_since
        except Malformed as error:
            return error.reply
        except AddressError as error:
            return "not_local" if error.reason == "source-route" else "bad_recipient"

    def _store(self, arrival: Arrival, content: Content, until: float) -> str:
        wire, head = content.take()
        problem = fault(wire, head, self.limits.hops, self.limits.body_line_bytes)
        if problem:
            return problem
        wire = unstuff(wire)
        owners = [(one.address, one.since) for one in arrival.transaction.recipients.values()]
        if refuses(wire, head, owners):
            return "other_owner"
        mail, peer = arrival.transaction.mail, arrival.peer
        delivery = Delivery(
            id=arrival.id,
            envelope_from=mail.sender,
            recipients=tuple(arrival.transaction.recipients.values()),
            raw=wire,
            size=len(wire),
            smtputf8=mail.smtputf8,
            peer_ip=peer.ip,
            helo=peer.helo,
            tls=bool(peer.tls),
            received_at=arrival.received_at,
            head=head,
        )
        if self._ports.authenticate is not None:
            judged = self._ports.authenticate(delivery)
            if isinstance(judged, Refusal):
                return judged.value
            delivery = judged
        # Threads may wait for name servers without holding up others; a commit takes a database connection.
        if not self._commits.acquire(timeout=max(0.0, until - monotonic())):
            raise TimeoutError
        try:
            self._ports.receive(delivery)
        finally:
            self._commits.release()
        # Committed: from here on to the 250 nothing may fail. A nudge only enters a queue, and its trouble ends there.
        if self._ports.nudge is not None:
            self._queue_nudge(self._ports.nudge, replace(delivery, raw=b""))
        return "accepted"

    def _queue_nudge(self, nudge: Nudge, delivery: Delivery) -> None:
        def ring() -> None:
            try:
                nudge(delivery)
            except Exception as error:
                event("nudge failed", logging.WARNING, delivery=delivery.id, error=type(error).__name__)
            finally:
                self._nudges.release()

        # With Redis hung the queue fills, and further nudges are dropped: the sweeper finds the work without them.
        if self._nudges.acquire(blocking=False) and not self._nudgers.start(ring):
            self._nudges.release()
