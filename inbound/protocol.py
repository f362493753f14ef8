"""One connection: its place at the gate, its clock, its replies and its end. What the commands mean is in `session`.

Built on aiosmtpd's protocol, of which the command loop, the parsers, DATA and STARTTLS are replaced: they split lines at a
bare LF, count nothing, and log what peers say.
"""

import asyncio
import secrets
from enum import Enum, auto

from aiosmtpd.proxy_protocol import get_proxy
from aiosmtpd.smtp import SMTP

from inbound.commands import MAIL_PARAMETER_BYTES, Command, Malformed, parse_command
from inbound.handler import Handler
from inbound.intake import Hangup, Intake, TooLong
from inbound.limits import Gate, Limits, contains
from inbound.logs import event
from inbound.replies import REPLIES
from inbound.tls import Certificate
from inbound.trace import Peer

_PROXY_WAIT = 5.0
_LINGER = 2.0


class Phase(Enum):
    """What a connection is doing, which decides whether it may be cut."""

    WAITING = auto()
    """for a command: may be cut at any time"""
    BUSY = auto()
    """with a command or a commit: is cut after its reply"""
    DATA = auto()
    """taking content: is cut only when it must be"""


class Goodbye(Exception):
    """The session ends now, with the reply of this name."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


class Connections:
    """All connections of a server, and what they share."""

    def __init__(self, handler: Handler, host: str, certificate: Certificate | None) -> None:
        self.handler, self.host, self.certificate = handler, host, certificate
        self.gate = Gate(handler.limits)
        self.open: set[Connection] = set()
        self.closing = False

    def enter(self, ip: str) -> str | None:
        """Pass the gate, at the cost of the slowest connection if there is no room; or the name of the refusing reply."""
        if self.closing:
            return "shutting_down"
        if self.gate.full:
            self._evict()
        return self.gate.enter(ip)

    def _evict(self) -> None:
        candidates = [one for one in self.open if one.evictable]
        if candidates:
            min(candidates, key=lambda one: (one.pace, one.started)).dismiss("too_many_sessions")


class Connection(SMTP):
    """The protocol of one connection, up to where commands begin: see `dispatch`."""

    # aiosmtpd makes its stream reader with this: the reader stops the peer at twice as many bytes.
    line_length_limit = 65_536

    def __init__(self, connections: Connections, loop: asyncio.AbstractEventLoop) -> None:
        self.limits: Limits = connections.handler.limits
        # None: aiosmtpd searches its handler for hooks at every connection, and we use none. Its timer is a last resort.
        super().__init__(None, hostname=connections.host, timeout=2 * self.limits.session + 60, loop=loop)
        self.connections = connections
        self.id = secrets.token_hex(6)
        self.peer = Peer("")
        self.phase = Phase.BUSY
        self.messages = 0
        self._bad = 0
        self._junk = 0
        self.started = loop.time()
        self._entered = False
        self._dismissal: str | None = None

    # --- its place among the others

    @property
    def evictable(self) -> bool:
        """True if it may be cut in favour of a newcomer: it waits for its peer, and has had some time."""
        age = self.loop.time() - self.started
        return self._entered and self.phase is not Phase.BUSY and age >= self.limits.evict_after

    @property
    def pace(self) -> float:
        """Bytes a second since it began."""
        return self.intake.received / max(self.loop.time() - self.started, 0.001)

    def dismiss(self, reply: str, *, spare_data: bool = False) -> None:
        """End the session with this reply: at once, or after the reply that is due."""
        self._dismissal = self._dismissal or reply
        if self.phase is Phase.WAITING or (self.phase is Phase.DATA and not spare_data):
            self._leave()
            assert self._handler_coroutine is not None
            self._handler_coroutine.cancel()

    def _leave(self) -> None:
        if self._entered:
            self._entered = False
            self.connections.gate.leave(self.peer.ip)

    # --- its life

    async def _handle_client(self) -> None:
        end = "hangup"
        self.intake = Intake(self._reader)
        self.connections.open.add(self)
        try:
            end = await self._serve()
        except (Hangup, ConnectionError):
            pass
        except asyncio.CancelledError:
            # Dismissed, or the connection is gone: then there is nobody to tell.
            if self._dismissal and self.transport is not None and not self.transport.is_closing():
                end = self._dismissal
                self._writer.write(REPLIES[end].wire())
        except Exception as error:
            end = type(error).__name__
            event("session failed", session=self.id, error=end)
        finally:
            self._end(end)

    async def _serve(self) -> str:
        try:
            ip = await self._peer_ip()
            self.peer = Peer(ip)
            refusal = self.connections.enter(ip)
            if refusal:
                raise Goodbye(refusal)
            self._entered = True
            await self.reply("greeting", host=self.connections.host)
            while True:
                await self.dispatch(await self._next_command())
                if self._dismissal:
                    raise Goodbye(self._dismissal)
        except Goodbye as goodbye:
            self.phase = Phase.BUSY
            await self.reply(goodbye.reply)
            self._leave()
            await self._linger()
            return goodbye.reply

    async def dispatch(self, command: Command | Malformed) -> None:
        """Carry out one command. Raises Goodbye, Hangup."""
        raise NotImplementedError

    def _end(self, how: str) -> None:
        self._leave()
        self.connections.open.discard(self)
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        self._writer.close()
        event(
            "session",
            session=self.id,
            end=how,
            tls=bool(self.peer.tls),
            messages=self.messages,
            bytes=self.intake.received,
            seconds=round(self.loop.time() - self.started, 3),
        )

    async def _peer_ip(self) -> str:
        assert self.session is not None
        peername = self.session.peer
        ip = str(peername[0]) if peername else ""
        if not contains(self.limits.proxy_networks, ip):
            return ip
        try:
            async with asyncio.timeout(_PROXY_WAIT):
                proxied = await get_proxy(self._reader)
        except TimeoutError:
            raise Hangup from None
        if not proxied.valid:
            raise Hangup
        return str(proxied.src_addr) if proxied.src_addr else ip

    async def _linger(self) -> None:
        # Closing with unread bytes resets the connection, and the peer may never see why.
        talked = self.intake.received and self.transport is not None and not self.transport.is_closing()
        if self.peer.tls or not talked:
            return
        try:
            self._writer.write_eof()
            async with asyncio.timeout(_LINGER):
                while True:
                    await self.intake.chunk()
        except (TimeoutError, Hangup, OSError):
            return

    def eof_received(self) -> bool:
        """The peer sends no more. What it sent before is still answered, unless TLS has no half-closed state to do it in."""
        self._reader.feed_eof()
        return not self.peer.tls

    # --- its words

    async def _next_command(self) -> Command | Malformed:
        session_end = self.started + self.limits.session
        idle_end = self.loop.time() + self.limits.idle
        self.phase = Phase.WAITING
        try:
            async with asyncio.timeout_at(min(session_end, idle_end)):
                line = await self.intake.line(self.limits.command_bytes + MAIL_PARAMETER_BYTES)
            command = parse_command(line)
        except TimeoutError:
            raise Goodbye("session_over" if session_end <= idle_end else "idle") from None
        except TooLong as error:
            if error.flood:
                raise Goodbye("line_flood") from None
            return Malformed("line_too_long")
        except Malformed as error:
            return error
        finally:
            self.phase = Phase.BUSY
        if command.verb != "MAIL" and len(line) > self.limits.command_bytes:
            return Malformed("line_too_long")
        return command

    async def reply(self, name: str, **values: str) -> None:
        """Send the reply of this name. Refusals are logged by name."""
        reply = REPLIES[name]
        if reply.code >= 400:
            event("refused", session=self.id, reply=name)
        await self.send(reply.wire(**values))

    async def send(self, data: bytes) -> None:
        """Send complete reply lines. Raises ConnectionError, and Hangup when the peer does not read them."""
        self._writer.write(data)
        if not self._writer.transport.get_write_buffer_size():
            return
        try:
            async with asyncio.timeout(self.limits.idle):
                await self._writer.drain()
        except TimeoutError:
            raise Hangup from None

    async def mistake(self, name: str) -> None:
        """Answer a bad command; after too many, pause and end the session."""
        self._bad += 1
        if self._bad > self.limits.bad_commands:
            await self.give_up()
        await self.reply(name)

    async def give_up(self) -> None:
        """End the session of a peer that goes on erring, not too fast. Raises Goodbye."""
        await asyncio.sleep(self.limits.error_pause)
        raise Goodbye("too_many_errors")

    def chatter(self) -> None:
        """Count a command that brings no mail nearer. Raises Goodbye after too many."""
        self._junk += 1
        if self._junk > self.limits.junk_commands:
            raise Goodbye("too_much_chatter")

    def progress(self) -> None:
        """A message was accepted: the peer means business."""
        self.messages += 1
        self._junk = 0
