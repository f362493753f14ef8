"""The server: listening sockets, and an orderly end."""

import asyncio
import logging
import socket
from collections.abc import Sequence

from inbound.handler import Handler
from inbound.limits import Limits
from inbound.logs import event
from inbound.ports import Ports
from inbound.protocol import Connections
from inbound.session import Session
from inbound.tls import Certificate

_BACKLOG = 1024
_TICK = 0.05
_RENEWALS = 60.0


class Server:
    """Inbound SMTP on one event loop. `start`, then `stop`; each once."""

    def __init__(
        self, ports: Ports, limits: Limits, *, host: str, certificate: Certificate | None = None
    ) -> None:
        """`host` is the name that we greet with and sign Received fields with."""
        self.limits = limits
        self.certificate = certificate
        self._handler = Handler(ports, limits)
        self._connections = Connections(self._handler, host, certificate)
        self._listeners: list[asyncio.Server] = []

    async def start(
        self, addresses: Sequence[tuple[str, int]], open_already: Sequence[socket.socket] = ()
    ) -> list[tuple[str, int]]:
        """Listen on each address (host, port; 0 takes a free port); what was bound. Raises OSError, and then none is.

        `open_already`: sockets that the service manager listens on, instead of the addresses. They outlive this process: who
        connects while it is replaced waits for the next one.
        """
        loop = asyncio.get_running_loop()

        def session() -> Session:
            return Session(self._connections, loop)

        try:
            for one in open_already:
                self._listeners.append(await loop.create_server(session, sock=one, backlog=_BACKLOG))
            for host, port in () if open_already else addresses:
                self._listeners.append(await loop.create_server(session, host, port, backlog=_BACKLOG))
        except OSError:
            for listener in self._listeners:
                listener.close()
            self._listeners.clear()
            raise
        bound = [one.getsockname()[:2] for listener in self._listeners for one in listener.sockets]
        ports = ",".join(str(port) for _, port in bound)
        event("listening", ports=ports, tls=self.certificate is not None)
        return bound

    @property
    def ready(self) -> bool:
        """True while new connections are taken in."""
        return bool(self._listeners) and not self._connections.closing

    @property
    def sessions(self) -> int:
        """Connections that are open now."""
        return len(self._connections.open)

    @property
    def bytes_in_flight(self) -> int:
        """Of messages that are being received or committed now."""
        return self._handler.budget.used

    def reload_certificate(self) -> None:
        """Read the certificate again; sessions that are already secured go on with the old one."""
        if self.certificate is not None:
            self.certificate.reload()

    async def missing(self) -> str:
        """What is lacking to take mail in, "" for nothing: see `webmail.health`."""
        if not self.ready:
            return "stopping"
        return "" if await self._handler.reachable() else "database"

    async def follow_certificate(self) -> None:
        """Look every minute whether the certificate was renewed; runs until it is cancelled."""
        while self.certificate is not None:
            await asyncio.sleep(_RENEWALS)
            self.certificate.follow()

    async def stop(self) -> bool:
        """End: nobody new, 421 to all who are between commands, `Limits.shutdown` seconds for content that is coming in.

        False if a thread hangs in a port: the process must then end without waiting for its threads.
        """
        loop = asyncio.get_running_loop()
        self._connections.closing = True
        for listener in self._listeners:
            listener.close()
        self._dismiss(spare_data=True)
        await self._emptied(loop.time() + self.limits.shutdown)
        self._dismiss(spare_data=False)
        # What is left commits, and a commit has a deadline of its own; or lingers over its last reply.
        await self._emptied(loop.time() + self.limits.port_deadline + 1)
        clean = self._handler.close()
        event("stopped", logging.INFO if clean else logging.WARNING, sessions=self.sessions, clean=clean)
        return clean

    def _dismiss(self, *, spare_data: bool) -> None:
        for connection in tuple(self._connections.open):
            connection.dismiss("shutting_down", spare_data=spare_data)

    async def _emptied(self, until: float) -> None:
        loop = asyncio.get_running_loop()
        while self._connections.open and loop.time() < until:
            await asyncio.sleep(_TICK)
