"""A real server on loopback with ports in memory, and a client that says exactly what it is told to."""

import asyncio
import contextlib
import socket
import ssl
import threading
import time

import pytest

from inbound.limits import Limits
from inbound.listener import Server
from inbound.ports import Ports, Recipient, Refusal
from inbound.tls import Certificate

MAILBOXES = {"ann": 1, "ben": 2, "postmaster": 3}
REFUSED = {
    "gone": Refusal.REVOKED,
    "frozen": Refusal.SUSPENDED,
    "stuffed": Refusal.FULL,
    "flooded": Refusal.OVER_LIMIT,
}


class Memory:
    """Ports in memory; each may be replaced by a test."""

    def __init__(self):
        self.deliveries, self.nudged, self.asked = [], [], []
        self.authenticate = None

    def resolve(self, address):
        self.asked.append(address)
        local = address.local.lower().partition("+")[0]
        if address.domain not in ("mtumail.test", ""):
            return Refusal.NOT_LOCAL
        if local in REFUSED:
            return REFUSED[local]
        if local in MAILBOXES:
            return Recipient(MAILBOXES[local], b"key", f"{local}@mtumail.test")
        if local.startswith("many"):
            return Recipient(1000 + int(local[4:]), b"key", f"{local}@mtumail.test")
        return Refusal.UNKNOWN

    def receive(self, delivery):
        self.deliveries.append(delivery)

    def nudge(self, delivery):
        self.nudged.append(delivery)

    def ports(self):
        return Ports(
            lambda address: self.resolve(address),
            lambda delivery: self.receive(delivery),
            lambda delivery: self.nudge(delivery),
            self.authenticate,
        )


class Client:
    """One connection. `greeting` is None where the server says nothing first."""

    def __init__(self, port, source="127.0.0.1", greet=True, timeout=15):
        self.socket = socket.create_connection(
            ("127.0.0.1", port), timeout=timeout, source_address=(source, 0)
        )
        self.file = self.socket.makefile("rb")
        self.greeting = self.read() if greet else None

    def send(self, data):
        self.socket.sendall(data)

    def read(self):
        """One reply as text, its lines joined; "" at the end of the connection."""
        lines = []
        while line := self.file.readline():
            lines.append(line.decode().rstrip("\r\n"))
            if line[3:4] != b"-":
                break
        return "\n".join(lines)

    def say(self, *commands):
        """Each command in its own packet; the last reply."""
        for command in commands:
            self.send((command if isinstance(command, bytes) else command.encode()) + b"\r\n")
            answer = self.read()
        return answer

    def start(self, *recipients, sender="bob@peer.test", parameters=""):
        """Up to and with DATA; the reply to it."""
        paths = recipients or ("ann@mtumail.test",)
        return self.say(
            "EHLO peer.test",
            f"MAIL FROM:<{sender}>{parameters}",
            *(f"RCPT TO:<{path}>" for path in paths),
            "DATA",
        )

    def mail(self, content, *recipients, **options):
        """A whole transaction; `content` as on the wire without the final dot line; the reply after it."""
        answer = self.start(*recipients, **options)
        assert answer.startswith("354"), answer
        self.send(content + b".\r\n")
        return self.read()

    def secure(self):
        """STARTTLS; then the handshake."""
        answer = self.say("STARTTLS")
        assert answer.startswith("220"), answer
        self.wrap()

    def wrap(self, context=None):
        if context is None:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.file.close()
        self.socket = context.wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()


class Running:
    """A server in a thread of its own."""

    def __init__(self, memory, limits, certificate):
        self.memory, self.clients = memory, []
        self.server = Server(memory.ports(), limits, host="mx.mtumail.test", certificate=certificate)
        self.loop = asyncio.new_event_loop()
        self.stopped = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        bound = self.call(self.server.start([("127.0.0.1", 0)]))
        self.port = bound[0][1]

    def _run(self):
        self.loop.run_forever()
        self.loop.run_until_complete(self._finish())
        self.loop.close()

    async def _finish(self):
        pending = asyncio.all_tasks() - {asyncio.current_task()}
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=5) if pending else None
        await asyncio.sleep(0.01)

    def call(self, coroutine, timeout=40):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def client(self, **options):
        client = Client(self.port, **options)
        self.clients.append(client)
        return client

    def stop(self):
        if self.stopped is None:
            self.stopped = self.call(self.server.stop())
        return self.stopped

    def close(self):
        for client in self.clients:
            with contextlib.suppress(OSError):
                client.close()
        self.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    @property
    def deliveries(self):
        return self.memory.deliveries


@pytest.fixture
def memory():
    return Memory()


@pytest.fixture
def serve(memory):
    """Start a server with these limits; stopped at the end of the test."""
    running = []

    def start(certificate=None, **limits):
        values = {"error_pause": 0.01, "shutdown": 2.0} | limits
        server = Running(memory, Limits(**values), certificate)
        running.append(server)
        return server

    yield start
    for server in running:
        server.close()


@pytest.fixture
def server(serve):
    return serve()


@pytest.fixture
def client(server):
    return server.client()


@pytest.fixture
def new_certificate(tmp_path, self_signed):
    """Write a fresh certificate and its key to the same two files; their paths."""

    def write(name="mx.mtumail.test"):
        paths = tmp_path / "chain.pem", tmp_path / "key.pem"
        for path, content in zip(paths, self_signed(name, "127.0.0.1"), strict=True):
            path.write_bytes(content)
        return paths

    return write


@pytest.fixture
def certificate(new_certificate):
    return Certificate(*new_certificate())


@pytest.fixture
def wait_until():
    """Wait for a condition, or fail."""

    def wait(condition, seconds=5.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "did not come true in time"
            time.sleep(0.01)

    return wait
