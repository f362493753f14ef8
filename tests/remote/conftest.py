"""A web server on loopback that says exactly the bytes it is told, and a client that may ask it."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import pytest

from webmail.remote import Client, Failed, Reach
from webmail.remote.model import Stop

Say = Callable[["Talk"], None]


class Talk:
    """One connection to the server."""

    def __init__(self, sock: socket.socket, head: bytes, body: bytes) -> None:
        self.sock, self.head, self.body = sock, head, body

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: bytes, pause: float = 0.05) -> None:
        """One byte at a time, until the other side hangs up."""
        for place in range(len(data)):
            self.sock.sendall(data[place : place + 1])
            time.sleep(pause)


class Server:
    """`says` maps a path to the bytes of a reply, or to a function that talks. `heard` is every request, whole."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.says: dict[str, bytes | Say] = {}
        self.heard: list[tuple[bytes, bytes]] = []
        self.connections = 0
        self._context = context
        self._talks: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)
        for talk in self._talks:
            with contextlib.suppress(OSError):
                talk.close()

    def url(self, path: str = "/", host: str = "pictures.example") -> str:
        return f"{'https' if self._context else 'http'}://{host}:{self.port}{path}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            sock.settimeout(10)
            self._talks.append(sock)
            threading.Thread(target=self._serve, args=[sock], daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(sock.close)
            if self._context:
                sock = self._context.wrap_socket(sock, server_side=True)
                stack.callback(sock.close)
            head = b""
            while b"\r\n\r\n" not in head:
                got = sock.recv(65536)
                if not got:
                    return
                head += got
            head, _, body = head.partition(b"\r\n\r\n")
            wanted = next(
                (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
            )  # fmt: skip
            while len(body) < wanted:
                body += sock.recv(65536)
            self.heard.append((head, body))
            answer = self.says.get(
                head.split(b" ")[1].decode(), b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
            )
            if callable(answer):
                answer(Talk(sock, head, body))
            else:
                sock.sendall(answer)
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_WR)


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def authority(
    tmp_path_factory: pytest.TempPathFactory, self_signed
) -> Callable[..., tuple[ssl.SSLContext, ssl.SSLContext]]:
    """(the server's side, the client's side) of TLS for a name, under an authority of its own."""

    def make(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        certificate, key = self_signed(name)
        file = tmp_path_factory.mktemp("tls") / "server.pem"
        file.write_bytes(certificate + key)
        ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ours.load_cert_chain(file)
        theirs = ssl.create_default_context(cadata=certificate.decode())
        return ours, theirs

    return make


class Names:
    """A resolver that says what it was told, and counts. A list of lists is told one after the other, the last one stays."""

    def __init__(self) -> None:
        self.table: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []

    def __call__(self, host: str, seconds: float) -> list:
        assert 0 < seconds <= 15
        self.asked.append(host)
        answers = self.table.get(host)
        if answers is None:
            raise Stop("name")
        return [ip_address(text) for text in (answers.pop(0) if len(answers) > 1 else answers[0])]


@pytest.fixture
def names() -> Names:
    told = Names()
    told.table["pictures.example"] = [["127.0.0.1"]]
    return told


@pytest.fixture
def client(server: Server, names: Names) -> Client:
    """May ask the server, and nothing else of this machine."""
    return Client(Reach(frozenset({server.port})), names)


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Where anything tried to connect. Nothing gets through, and the system's resolver is not asked for any name."""
    tried: list[tuple[str, int]] = []

    def connect(_self: socket.socket, address: tuple[str, int]) -> None:
        tried.append(address)
        raise ConnectionRefusedError

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the system's resolver was asked")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect)
    monkeypatch.setattr(socket.socket, "sendto", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "gethostbyname", refuse)
    return tried


@pytest.fixture
def code() -> Callable[[object], str]:
    """The code of a failure; anything else fails the test."""

    def read(answer: object) -> str:
        assert isinstance(answer, Failed), answer
        return answer.short

    return read
