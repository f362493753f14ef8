"""An SMTP peer that writes down what it took, and people's messages on their way to it."""

import contextlib
import dataclasses
import os
import signal
import socket
import threading
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from webmail import create_core, jobs
from webmail.sending import drafts, submitting


@dataclasses.dataclass(frozen=True)
class Mail:
    """What the peer answers for since the dot: from here on a second copy is one too many."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes


class Sink:
    """A peer on loopback. `says` maps an address, or DOT, to replies (the last one stays); `hooks` are called at an event."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.commands: list[str] = []
        self.sessions = 0
        self.says: dict[str, list[str]] = defaultdict(list)
        self.hooks: dict[str, Callable[[], None]] = {}
        self.pipelining = False
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=20)
        self.port = self._server.getsockname()[1]
        self.url = f"smtp://127.0.0.1:{self.port}?timeout=5"
        self._talks: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Hang up on everybody."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)
        for talk in self._talks:
            with contextlib.suppress(OSError):
                talk.shutdown(socket.SHUT_RDWR)
            talk.close()

    def subjects(self) -> list[str]:
        return sorted(mail.raw.split(b"\r\nSubject: ")[1].split(b"\r\n")[0].decode() for mail in self.mails)

    def _accept(self) -> None:
        while True:
            try:
                talk, _ = self._server.accept()
            except OSError:
                return
            talk.settimeout(20)
            self._talks.append(talk)
            threading.Thread(target=self._serve, args=[talk], daemon=True).start()

    def _serve(self, talk: socket.socket) -> None:
        with contextlib.suppress(OSError), talk, talk.makefile("rb") as lines:
            self._session(talk, lines)

    def _at(self, event: str) -> None:
        hook = self.hooks.pop(event, None)
        if hook:
            hook()

    def _said(self, key: str, otherwise: str) -> str:
        with self._lock:
            replies = self.says[key]
            return (replies.pop(0) if len(replies) > 1 else replies[0]) if replies else otherwise

    def _session(self, talk, lines) -> None:
        say = lambda reply: talk.sendall(reply.encode() + b"\r\n")  # noqa: E731
        self.sessions += 1
        self._at("connect")
        say("220 sink ESMTP")
        sender, recipients = "", []
        for line in lines:
            command = line.decode().rstrip("\r\n")
            verb = command.split(":")[0].split(" ")[0].upper()
            self.commands.append(command)
            self._at(verb)
            if verb == "EHLO":
                say(
                    "250-sink\r\n250-PIPELINING\r\n250 8BITMIME"
                    if self.pipelining
                    else "250-sink\r\n250 8BITMIME"
                )
            elif verb == "MAIL":
                sender, recipients = command.split("<")[1].split(">")[0], []
                say("250 2.1.0 ok")
            elif verb == "RCPT":
                address = command.split("<")[1].split(">")[0]
                reply = self._said(address, "250 2.1.5 ok")
                recipients += [address] if reply.startswith("2") else []
                say(reply)
            elif verb == "DATA":
                say("354 go on")
                raw = b""
                while (piece := lines.readline()) not in (b".\r\n", b""):
                    raw += piece.removeprefix(b".")
                if not piece:
                    return
                reply = self._said("DOT", "250 2.0.0 kept")
                if not reply.startswith(("4", "5")):
                    self.mails.append(Mail(sender, tuple(recipients), raw))
                self._at("DOT")
                if reply == "CLOSE":
                    return
                say(reply)
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")


@pytest.fixture
def sink() -> Iterator[Sink]:
    peer = Sink()
    yield peer
    peer.stop()


@pytest.fixture
def sending(worker, sink, monkeypatch):
    """`workers.sending.drain` in this process, with the sink for a relay."""
    from workers import sending as module

    told = dataclasses.replace(worker.extensions["settings"], relay_url=sink.url)
    monkeypatch.setitem(worker.extensions, "settings", told)
    return module


@pytest.fixture
def write(opened):
    """Put a message into somebody's outbox, or several at once; (message ids, submission ids)."""

    def send(person, to, subjects=("Hello",), body="Good morning.\n", **more):
        def call(keys):
            made = []
            author = (person.name, person.address)
            for subject in subjects:
                draft = drafts.create(keys, author, drafts.Fields(to=to, subject=subject, body=body, **more))
                submission = submitting.submit(
                    keys,
                    draft.message_id,
                    draft.revision,
                    account_id=person.account_id,
                    author=author,
                    limit=10**7,
                )
                made.append((draft.message_id, submission))
            return made

        pairs = opened(person, call)
        jobs.bell.redis.flushall()
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    return send


@pytest.fixture
def rows(superuser):
    """The recipients of a submission (or of all), as the database has them, by address."""

    def read(submission=None):
        query = "SELECT * FROM delivery" + (" WHERE submission_id = :id" if submission else "")
        return {row.recipient: row for row in superuser.execute(text(query), {"id": submission})}

    return read


@pytest.fixture
def due(superuser):
    """Make all work due now, as if its lease or its wait were over."""
    return lambda: superuser.execute(text("UPDATE work SET due_at = now() WHERE parked_at IS NULL"))


@pytest.fixture
def in_child(settings, sink):
    """Run `workers.sending.drain` in a process of its own, after `prepare()` there; (pid, wait for its end)."""
    running: set[int] = set()

    def start(prepare: Callable[[], None] = lambda: None, relay: str = ""):
        sink_url = relay or sink.url
        pid = os.fork()
        if not pid:
            code = 9
            try:
                import workers.context
                import workers.sending

                app = create_core(dataclasses.replace(settings("worker"), relay_url=sink_url), "worker")
                workers.context.core = workers.sending.core = lambda: app
                prepare()
                workers.sending.drain()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        running.add(pid)

        def wait() -> int:
            _, status = os.waitpid(pid, 0)
            running.discard(pid)
            return status

        return pid, wait

    yield start
    for pid in running:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
