"""Hand messages to the relay, many over one connection, and say for each recipient what became of it."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from webmail.sending.relay import content
from webmail.sending.relay.connection import Connection, SessionError, Transcript
from webmail.sending.relay.outcomes import (
    Outcome,
    RecipientOutcome,
    Reply,
    Trouble,
    after_dot,
    no_reply,
    refused,
)
from webmail.sending.relay.settings import RelaySettings


class _Stale(Exception):
    """A connection from an earlier message was gone before this message began: worth one new connection."""


@dataclass(frozen=True, slots=True)
class _Mail:
    """A checked message with its paths as they go over the wire."""

    sender: str
    paths: tuple[tuple[str, str], ...]
    """Each recipient as given, and its path."""
    raw: bytes
    eight_bit: bool
    utf8_header: bool

    @property
    def utf8(self) -> bool:
        return self.utf8_header or not self.sender.isascii()


class Relay:
    """A relay to send through, for one thread. Opens its connection at the first message and keeps it for the next.

    `transcript` gets every line of the conversation but the message itself, secrets hidden.
    """

    def __init__(self, settings: RelaySettings, transcript: Transcript | None = None) -> None:
        self.settings = settings
        self.accepted: tuple[str, ...] = ()
        """While `before_dot` runs: the recipients that the relay has accepted, as they were given."""
        self._transcript = transcript
        self._connection: Connection | None = None
        self._needs_reset = False
        self._handed = False
        self._trouble: Trouble = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session, politely where that is possible."""
        connection, self._connection = self._connection, None
        if connection:
            connection.quit()

    def check(self) -> Reply:
        """Open a session, signed in, and ask it something harmless: the reply to NOOP, or code 0 with the reason."""
        try:
            return self._open().ask("NOOP")
        except SessionError as error:
            self._drop()
            return error.reply

    def send(
        self,
        envelope_from: str,
        recipients: Sequence[str],
        raw: bytes,
        *,
        before_dot: Callable[[], None] | None = None,
    ) -> Outcome:
        """Send one message, to each address once. Trouble with the relay is an outcome, never an exception.

        `envelope_from` may be empty (the null sender). `before_dot` is called when the relay has taken all but the
        terminating dot: from then on it may have the message, so that is the moment to commit "handed over". When it
        raises, the connection is cut, the relay drops the message, and the exception goes on to the caller.

        Raises ValueError, before anything is sent, for an address that is not one, no recipients, or octets that may
        not leave (see `content.refuse_unclean`).
        """
        content.refuse_unclean(raw)
        if not recipients:
            raise ValueError("no recipients")
        mail = _Mail(
            content.wire_path(envelope_from, may_be_empty=True),
            tuple((one, content.wire_path(one)) for one in dict.fromkeys(recipients)),
            raw,
            content.has_eight_bit(raw),
            content.has_utf8_header(raw),
        )
        try:
            try:
                return self._attempt(mail, before_dot)
            except _Stale:
                self._drop()
                return self._attempt(mail, before_dot)
        except BaseException:
            self._drop()
            raise
        finally:
            self.accepted = ()

    # --- one attempt -----------------------------------------------------------------------------------------------

    def _attempt(self, mail: _Mail, before_dot: Callable[[], None] | None) -> Outcome:
        self._handed, self._trouble = False, ""
        name = self.settings.name
        try:
            connection = self._open()
        except SessionError as error:
            self._drop()
            # A relay that will not talk to us says nothing about the message: every refusal here is for now.
            gone = tuple(
                RecipientOutcome(
                    one, "deferred", error.reply.code or None, error.reply.enhanced, _told(error)
                )
                for one, _ in mail.paths
            )
            return Outcome(gone, reached=False, trouble=error.trouble, relay=name)
        tls = connection.tls
        results = dict(_beyond(connection, mail))
        paths = [pair for pair in mail.paths if pair[0] not in results]
        if paths:
            results |= self._transaction(connection, mail, paths, before_dot)
        told = tuple(results[one] for one, _ in mail.paths)
        return Outcome(told, trouble=self._trouble, handed=self._handed, relay=name, tls=tls)

    def _open(self) -> Connection:
        connection = self._connection
        if connection and connection.messages >= self.settings.max_messages:
            self.close()
        elif connection and not connection.is_quiet():
            self._drop()  # it said 421, or hung up, while nobody asked
        elif connection and time.monotonic() - connection.used_at > self.settings.idle_check:
            try:
                if not connection.ask("NOOP").is_positive:
                    self.close()
            except SessionError:
                self._drop()
        if self._connection is None:
            self._needs_reset = False
            self._connection = Connection(self.settings, self._transcript)
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            connection.close()

    def _transaction(
        self,
        connection: Connection,
        mail: _Mail,
        paths: Sequence[tuple[str, str]],
        before_dot: Callable[[], None] | None,
    ) -> dict[str, RecipientOutcome]:
        """MAIL to the final dot. What is not in the result yet when the session breaks is deferred."""
        results: dict[str, RecipientOutcome] = {}
        try:
            data = self._envelope(connection, mail, paths, results)
            accepted = [one for one, _ in paths if one not in results]
            if data.code == 354 and accepted:
                self._content(connection, mail, accepted, before_dot, results)
            elif data.code == 354:
                # RFC 2920 section 3.1: DATA went out with the envelope and was taken although no recipient was.
                connection.send(b".\r\n", self.settings.command_timeout)
                self._needs_reset = not connection.reply("the empty message").is_positive
            elif data.is_positive:
                raise SessionError("the relay's answer to DATA makes no sense")
            else:
                results |= {one: refused(one, data, ours=True) for one in accepted}
                self._blame(results[one] for one in accepted)
        except SessionError as error:
            self._drop()
            self._trouble = "" if self._handed else "session"
            left = (one for one, _ in paths if one not in results)
            results |= {one: refused(one, no_reply(_told(error))) for one in left}
        if any(one.code == 421 for one in results.values()):
            self._drop()
            self._trouble = "" if self._handed else "refusing"
        return results

    def _blame(self, refusals: Iterable[RecipientOutcome]) -> None:
        """Note that MAIL or DATA was refused for now, which is about this relay more than about anybody's address."""
        if any(one.kind == "deferred" and one.code for one in refusals):
            self._trouble = "refusing"

    def _envelope(
        self,
        connection: Connection,
        mail: _Mail,
        paths: Sequence[tuple[str, str]],
        results: dict[str, RecipientOutcome],
    ) -> Reply:
        """RSET where it is due, MAIL, RCPT and DATA, in one flight where the relay allows it; the reply to DATA.

        Recipients that were refused are put into `results`. Without any accepted one there may be no DATA: code 0.
        """
        commands = ["RSET"] if self._needs_reset else []
        commands += [_mail_from(connection, mail), *(f"RCPT TO:<{path}>" for _, path in paths), "DATA"]
        ask = _Flight(connection, commands, together="PIPELINING" in connection.capabilities)
        was_used = connection.messages > 0
        connection.messages += 1
        try:
            first = ask.next()
            if self._needs_reset and first.is_positive:
                first = ask.next()
        except SessionError as error:
            if was_used:
                raise _Stale from error
            raise
        if first.code == 421 and was_used:
            raise _Stale
        self._needs_reset = True
        if not first.is_positive:
            results |= {one: refused(one, first, ours=True) for one, _ in paths}
            self._blame(results.values())
            return ask.skip(len(paths))
        for number, (one, _) in enumerate(paths):
            reply = ask.next()
            if reply.code == 421:
                results |= {rest: refused(rest, reply) for rest, _ in paths if rest not in results}
                return reply
            if not reply.is_positive:
                results[one] = refused(one, reply)
            if number == len(paths) - 1 and len(results) == len(paths) and not ask.together:
                return no_reply("no recipient was accepted")
        return ask.next()

    def _content(
        self,
        connection: Connection,
        mail: _Mail,
        accepted: Sequence[str],
        before_dot: Callable[[], None] | None,
        results: dict[str, RecipientOutcome],
    ) -> None:
        """The message, the callback, the dot, and what the relay says to it."""
        try:
            for piece in content.stuffed(mail.raw):
                connection.send(piece, self.settings.data_timeout)
            if not connection.is_quiet():
                raise SessionError("the relay ended the session while the message was sent")
        except SessionError:
            # Some relays refuse in the middle of the content and close: their reason may still be readable.
            results |= {one: refused(one, self._last_words(connection)) for one in accepted}
            raise
        self._handed = True
        if before_dot:
            self.accepted = tuple(accepted)
            before_dot()
        try:
            connection.send(b".\r\n", self.settings.data_timeout)
        except SessionError as error:
            if isinstance(error.__cause__, ConnectionError):  # refused by our own side: the dot never left
                results |= {one: refused(one, self._last_words(connection)) for one in accepted}
            else:
                results |= {one: after_dot(one, no_reply(_told(error))) for one in accepted}
            raise
        try:
            reply = connection.reply("the message", self.settings.final_timeout)
        except SessionError as error:
            results |= {one: after_dot(one, no_reply(_told(error))) for one in accepted}
            raise
        results |= {one: after_dot(one, reply) for one in accepted}
        self._needs_reset = not reply.is_positive

    def _last_words(self, connection: Connection) -> Reply:
        try:
            reply = connection.reply("the message", min(1.0, self.settings.command_timeout))
        except SessionError:
            return no_reply("the connection to the relay was lost while the message was sent")
        return (
            reply if reply.code >= 400 else no_reply("the relay ended the session while the message was sent")
        )


class _Flight:
    """Commands whose replies are read one by one: sent all at once (RFC 2920), or each when its turn comes."""

    def __init__(self, connection: Connection, commands: Sequence[str], *, together: bool) -> None:
        self._connection = connection
        self._left = list(commands)
        self.together = together
        if together:
            connection.say(commands)

    def next(self) -> Reply:
        command = self._left.pop(0)
        if not self.together:
            return self._connection.ask(command)
        return self._connection.reply(command.partition(" ")[0])

    def skip(self, recipients: int) -> Reply:
        """After MAIL was refused: read what is on its way for the recipients, and return the reply to DATA."""
        if not self.together:
            return no_reply("the sender was not accepted")
        for _ in range(recipients):
            self.next()
        return self.next()


def _mail_from(connection: Connection, mail: _Mail) -> str:
    offered = connection.capabilities
    command = f"MAIL FROM:<{mail.sender}>"
    if "SIZE" in offered:
        command += f" SIZE={len(mail.raw)}"
    if mail.eight_bit and "8BITMIME" in offered:
        command += " BODY=8BITMIME"
    if "SMTPUTF8" in offered and (mail.utf8 or not all(path.isascii() for _, path in mail.paths)):
        command += " SMTPUTF8"
    return command


def _beyond(connection: Connection, mail: _Mail) -> dict[str, RecipientOutcome]:
    """The recipients that this relay cannot serve, by what it offered in EHLO, without asking it."""
    offered = connection.capabilities
    everyone = [one for one, _ in mail.paths]
    limit = offered.get("SIZE", "")
    if limit.isascii() and limit.isdigit() and 0 < int(limit) < len(mail.raw):
        text = f"the message has {len(mail.raw)} octets, the relay takes {int(limit)}"
        return {one: RecipientOutcome(one, "failed", None, "5.3.4", text) for one in everyone}
    if mail.eight_bit and not (mail.utf8_header or "8BITMIME" in offered):
        text = "the message has 8-bit text, the relay takes 7-bit only"
        return {one: RecipientOutcome(one, "failed", None, "5.6.3", text) for one in everyone}
    if "SMTPUTF8" not in offered:
        text = "the relay cannot take addresses that are not ASCII"
        return {
            one: RecipientOutcome(one, "failed", None, "5.6.7", text)
            for one, path in mail.paths
            if mail.utf8 or not path.isascii()
        }
    return {}


def _told(error: SessionError) -> str:
    """Our words and the relay's, in one line."""
    said = error.reply.shown
    return said if said == str(error) else f"{error}: {said}"[:500]
