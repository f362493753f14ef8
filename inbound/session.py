"""The SMTP session: what each command does (RFC 5321 section 4.1, RFC 3207 for STARTTLS)."""

import asyncio
import itertools
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

from inbound.commands import Command, Malformed
from inbound.content import Content
from inbound.handler import Arrival, Transaction
from inbound.limits import data_deadline
from inbound.logs import event
from inbound.protocol import Connection, Connections, Goodbye, Phase
from inbound.replies import REPLIES, ehlo
from inbound.trace import Peer, head

_HELO_BYTES = 255
_KNOWN_BUT_CLOSED = frozenset(
    ("BDAT", "BURL", "ETRN", "EXPN", "SAML", "SEND", "SOML", "TURN", "XCLIENT", "XFORWARD")
)
_HTTP = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"))


class Session(Connection):
    """One connection with its transaction."""

    def __init__(self, connections: Connections, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(connections, loop)
        self.transaction: Transaction | None = None
        self._deliveries = itertools.count(1)
        self._recipient_errors = 0
        self._overshoot = 0
        self._verbs: dict[str, Callable[[str], Awaitable[None]]] = {
            "HELO": self._helo,
            "EHLO": self._ehlo,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": self._noop,
            "VRFY": self._vrfy,
            "HELP": self._help,
            "QUIT": self._quit,
            "STARTTLS": self._starttls,
        }

    async def dispatch(self, command: Command | Malformed) -> None:
        if isinstance(command, Malformed):
            await self.mistake(command.reply)
        elif command.verb in self._verbs:
            await self._verbs[command.verb](command.argument)
        elif command.verb in _HTTP:
            raise Goodbye("not_http")
        elif command.verb == "AUTH":
            await self.mistake("no_auth")
        else:
            await self.mistake("not_implemented" if command.verb in _KNOWN_BUT_CLOSED else "unknown_command")

    # --- who is there

    async def _helo(self, argument: str) -> None:
        if await self._introduced(argument, extended=False):
            await self.reply("helo", host=self.connections.host)

    async def _ehlo(self, argument: str) -> None:
        if await self._introduced(argument, extended=True):
            offer = self.connections.certificate is not None and not self.peer.tls
            await self.send(ehlo(self.connections.host, self.limits.message_bytes, offer))

    async def _introduced(self, argument: str, extended: bool) -> bool:
        self.chatter()
        # Blanks in the name are wrong and common; the first word is as good a claim as any.
        name = argument.split(" ")[0]
        if not name or len(name.encode()) > _HELO_BYTES:
            await self.mistake("bad_helo")
            return False
        self.peer = replace(self.peer, helo=name, extended=extended)
        self.transaction = None
        return True

    async def _starttls(self, argument: str) -> None:
        self.chatter()
        certificate = self.connections.certificate
        if argument:
            await self.mistake("no_arguments")
        elif self.peer.tls:
            await self.mistake("tls_active")
        elif certificate is None:
            await self.mistake("tls_unavailable")
        else:
            await self._secure(certificate.context)

    async def _secure(self, context: ssl.SSLContext) -> None:
        assert isinstance(self.transport, asyncio.Transport)
        # The order matters: nothing is read from here to the handshake, so what the peer sent in clear behind its STARTTLS
        # is all in these two buffers, and is dropped; what TLS brings later is not (RFC 3207 section 4.2, CVE-2024-34083).
        self.transport.pause_reading()
        self.intake.clear()
        self._reader._buffer.clear()  # type: ignore[attr-defined]
        self._writer.write(REPLIES["starttls"].wire())
        try:
            secured = await self.loop.start_tls(
                self.transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=self.limits.tls_handshake,
            )
        except (OSError, ssl.SSLError) as error:
            event("tls failed", session=self.id, error=type(error).__name__)
            raise ConnectionAbortedError from None
        if secured is None:
            raise ConnectionAbortedError
        self.transport = secured
        self._reader._transport = self._writer._transport = secured  # type: ignore[attr-defined]
        # What asyncio's own start_tls does in a helper, whose name is another one in each version of Python.
        self._transport, self._over_ssl = secured, True
        tls: ssl.SSLObject = secured.get_extra_info("ssl_object")
        self.peer = Peer(self.peer.ip, tls=f"{tls.version()} {(tls.cipher() or ('unknown',))[0]}")
        self.transaction = None

    # --- the transaction

    async def _mail(self, argument: str) -> None:
        if not self.peer.helo:
            await self.mistake("helo_first")
        elif self.transaction is not None:
            await self.mistake("sender_twice")
        else:
            answer = self.connections.handler.mail(argument, self.peer.extended)
            if isinstance(answer, Transaction):
                self.transaction = answer
                await self.reply("sender_ok")
            elif REPLIES[answer].permanent and answer != "too_large":
                await self.mistake(answer)
            else:
                await self.reply(answer)

    async def _rcpt(self, argument: str) -> None:
        if self.transaction is None:
            await self.mistake("sender_first" if self.peer.helo else "helo_first")
            return
        answer = await self.connections.handler.rcpt(self.transaction, argument, self.peer.extended)
        if REPLIES[answer].permanent:
            self._recipient_errors += 1
            if self._recipient_errors > self.limits.recipient_errors:
                await self.give_up()
        elif answer == "too_many_recipients":
            self._overshoot += 1
            if self._overshoot > self.limits.recipient_overshoot:
                await self.give_up()
        await self.reply(answer)

    async def _data(self, argument: str) -> None:
        transaction = self.transaction
        if argument:
            await self.mistake("no_arguments")
        elif transaction is None:
            await self.mistake("sender_first" if self.peer.helo else "helo_first")
        elif not transaction.recipients:
            await self.mistake("recipient_first")
        else:
            self.transaction = None
            await self.reply("send_data")
            await self._take(transaction)

    async def _take(self, transaction: Transaction) -> None:
        arrival = Arrival(f"{self.id}-{next(self._deliveries)}", transaction, self.peer, datetime.now(UTC))
        fields = head(
            self.peer,
            host=self.connections.host,
            sender=transaction.mail.sender,
            smtputf8=transaction.mail.smtputf8,
            delivery_id=arrival.id,
            now=arrival.received_at,
        )
        content = Content(fields, self.limits.message_bytes)
        held = await self._read_content(content)
        if content.refusal:
            answer = content.refusal
        else:
            # Shielded: a peer that hangs up now may not stop a commit half-way, or free its bytes too early.
            commit = self.connections.handler.commit(arrival, content, held)
            answer = await asyncio.shield(asyncio.ensure_future(commit))
        if answer == "accepted":
            self.progress()
            await self.reply("accepted", id=arrival.id)
            self._log_accepted(arrival, content)
        else:
            values = {"limit": str(self.limits.message_bytes)} if answer == "too_large" else {}
            await self.reply(answer, **values)

    async def _read_content(self, content: Content) -> int:
        """Read up to the end of the message; the bytes of the budget that are held for it. Raises Goodbye, Hangup."""
        budget, held = self.connections.handler.budget, 0
        started = last = self.loop.time()
        self.phase = Phase.DATA
        try:
            while True:
                when, why = data_deadline(self.limits, started, last, content.received)
                async with asyncio.timeout_at(when):
                    chunk = await self.intake.chunk()
                last = self.loop.time()
                if content.refusal is None and not budget.take(len(chunk)):
                    content.refuse("no_room")
                elif content.refusal is None:
                    held += len(chunk)
                rest = content.feed(chunk)
                if content.refusal is not None:
                    budget.give(held)
                    held = 0
                if rest is not None:
                    self.intake.unread(rest)
                    return held
        except TimeoutError:
            budget.give(held)
            raise Goodbye(why) from None
        except BaseException:
            budget.give(held)
            raise
        finally:
            self.phase = Phase.BUSY

    def _log_accepted(self, arrival: Arrival, content: Content) -> None:
        event(
            "accepted",
            session=self.id,
            delivery=arrival.id,
            bytes=content.received,
            recipients=len(arrival.transaction.recipients),
        )

    # --- the rest

    async def _rset(self, argument: str) -> None:
        self.chatter()
        if argument:
            await self.mistake("no_arguments")
            return
        self.transaction = None
        await self.reply("ok")

    async def _noop(self, _: str) -> None:
        self.chatter()
        await self.reply("ok")

    async def _vrfy(self, _: str) -> None:
        self.chatter()
        await self.reply("vrfy")

    async def _help(self, _: str) -> None:
        self.chatter()
        await self.reply("help")

    async def _quit(self, argument: str) -> None:
        if argument:
            await self.mistake("no_arguments")
            return
        raise Goodbye("bye")
