"""Hands mail for hosted domains back to inbound SMTP, as the world outside would: kept in a spool until inbound takes it.

An entry of the spool is two files, the message first and the entry last; it goes when every recipient has been taken or has
bounced. Delivering twice is possible if the sink dies between inbound's 250 and the entry's end; losing is not.
"""

import asyncio
import json
import logging
import re
import secrets
import smtplib
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

from webmail.embedded.relay_bounce import REPORTER, bounce, header_of
from webmail.embedded.relay_store import Envelope, Store, write_durably

log = logging.getLogger("mtumail.relay")

_FIRST_DELAY, _LONGEST_DELAY = 0.2, 15.0
_LIFETIME = 5 * 86_400.0
_MOST_HOPS = 30
_SESSIONS = 4
_TIMEOUT = 120.0

Reply = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """Mail that waits for inbound: `pending` recipients, the number of `attempts`, and `since` when (Unix seconds)."""

    name: str
    mail_from: str
    pending: tuple[str, ...]
    since: float
    arrived: str
    attempts: int = 0
    smtputf8: bool = False
    body: str = "7BIT"


class Forwarder:
    """The spool in `folder`, and what empties it into the SMTP server at `inbound`. `hosted` are domains in lower case."""

    def __init__(
        self, folder: Path, store: Store, hosted: Iterable[str], inbound: tuple[str, int] | None
    ) -> None:
        self.folder = folder
        self.hosted = frozenset(hosted)
        self.inbound = inbound
        self._store = store
        self._due: dict[str, float] = {}
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in folder.glob("*.json"):
            self._due[path.stem] = 0.0
        for path in (*folder.glob(".*.new"), *folder.glob("*.eml")):
            if path.stem not in self._due:
                path.unlink()  # its sender was never told 250

    def is_hosted(self, address: str) -> bool:
        """True if mail for `address` goes back to inbound."""
        return self.inbound is not None and address.rpartition("@")[2].lower() in self.hosted

    def accept(self, envelope: Envelope, content: bytes) -> None:
        """Spool a message for its hosted recipients, durably. From any thread."""
        pending = tuple(dict.fromkeys(address for address in envelope.rcpt_to if self.is_hosted(address)))
        if pending:
            entry = Entry(
                name=secrets.token_hex(8),
                mail_from=envelope.mail_from,
                pending=pending,
                since=time.time(),
                arrived=formatdate(),
                smtputf8=envelope.smtputf8,
                body=envelope.body,
            )
            hop = f"Received: from {_token(envelope.helo)} by {REPORTER} with ESMTP id {entry.name};\r\n\t{formatdate()}\r\n"
            self._spool(entry, hop.encode("ascii", "replace") + content)

    def report(
        self, sender: str, failed: Mapping[str, Reply], content: bytes, arrived: str | None = None
    ) -> None:
        """Send a bounce to `sender`: by inbound if it is hosted, else kept like any mail that leaves. None to the null sender."""
        if not sender or not failed:
            return
        notice = bounce(sender, failed, content, arrived or formatdate())
        wide = not sender.isascii() or not header_of(notice).isascii()
        envelope = Envelope("", (sender,), helo=REPORTER, body="8BITMIME", smtputf8=wide)
        if self.is_hosted(sender):
            self.accept(envelope, notice)
        else:
            self._store.keep(envelope, notice)

    def _spool(self, entry: Entry, content: bytes) -> None:
        write_durably(self.folder / f"{entry.name}.eml", content)
        self._save(entry)
        with self._lock:
            self._due[entry.name] = 0.0
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.set)

    def _save(self, entry: Entry) -> None:
        write_durably(self.folder / f"{entry.name}.json", json.dumps(asdict(entry)).encode())

    async def run(self) -> None:
        """Deliver what is due, until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            now = time.monotonic()
            with self._lock:
                waiting = {name: due for name, due in self._due.items() if name not in self._busy}
            room = _SESSIONS - len(self._busy)
            for name in sorted(
                (name for name, due in waiting.items() if due <= now), key=waiting.__getitem__
            )[:room]:
                self._busy.add(name)
                task = asyncio.create_task(self._attempt(name))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            later = [due for due in waiting.values() if due > now]
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(0.0, min(later) - now) if later else None)

    async def settle(self, seconds: float) -> bool:
        """Wait for deliveries under way; True if all have ended within `seconds`."""
        return not self._tasks or not (await asyncio.wait(self._tasks, timeout=seconds))[1]

    async def _attempt(self, name: str) -> None:
        delay: float | None = _LONGEST_DELAY
        try:
            delay = await asyncio.to_thread(self._deliver, name)
        except Exception as error:  # one bad entry must not stop the others
            log.error("entry failed", extra={"entry": name, "error": type(error).__name__})
        finally:
            with self._lock:
                if delay is None:
                    self._due.pop(name, None)
                else:
                    self._due[name] = time.monotonic() + delay
            self._busy.discard(name)
            self._wake.set()

    def _deliver(self, name: str) -> float | None:
        """Try one entry. Returns seconds until the next try, None if it is done."""
        loaded: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_bytes())
        entry = Entry(**{**loaded, "pending": tuple(loaded["pending"])})
        content = (self.folder / f"{name}.eml").read_bytes()
        if len(re.findall(rb"^received:", header_of(content), re.MULTILINE | re.IGNORECASE)) > _MOST_HOPS:
            replies = dict.fromkeys(entry.pending, (554, "5.4.6 Too many hops"))
        else:
            assert self.inbound is not None
            replies = transmit(self.inbound, entry, content)
        expired = time.time() - entry.since > _LIFETIME
        failed = {rcpt: reply for rcpt, reply in replies.items() if reply[0] >= 500}
        pending = tuple(rcpt for rcpt, reply in replies.items() if 400 <= reply[0] < 500)
        if expired:
            failed |= {rcpt: (554, f"5.4.7 Expired; last reply: {replies[rcpt][1]}") for rcpt in pending}
            pending = ()
        if failed:
            self.report(entry.mail_from, failed, content, entry.arrived)
        taken = len(entry.pending) - len(failed) - len(pending)
        log.info(
            "attempt", extra={"entry": name, "taken": taken, "failed": len(failed), "pending": len(pending)}
        )
        if not pending:
            (self.folder / f"{name}.json").unlink()
            (self.folder / f"{name}.eml").unlink()
            return None
        self._save(replace(entry, pending=pending, attempts=entry.attempts + 1))
        return float(min(_FIRST_DELAY * 2.0 ** min(entry.attempts, 10), _LONGEST_DELAY))


def transmit(server: tuple[str, int], entry: Entry, content: bytes) -> dict[str, Reply]:
    """One SMTP transaction. Returns the reply for each pending recipient; whatever is not an answer counts as 451."""
    replies: dict[str, Reply] = {}
    try:
        with smtplib.SMTP(*server, local_hostname=REPORTER, timeout=_TIMEOUT) as client:
            client.ehlo()
            replies = _transaction(client, entry, content)
    except UnicodeError:
        return dict.fromkeys(entry.pending, (553, "5.6.7 An address cannot be written in SMTP"))
    except (OSError, smtplib.SMTPException):
        replies = {rcpt: reply for rcpt, reply in replies.items() if reply[0] >= 500}
    return {rcpt: replies.get(rcpt, (451, "4.4.2 No answer from inbound")) for rcpt in entry.pending}


def _transaction(client: smtplib.SMTP, entry: Entry, content: bytes) -> dict[str, Reply]:
    options = []
    if entry.body == "8BITMIME" and client.has_extn("8bitmime"):
        options.append("BODY=8BITMIME")
    if entry.smtputf8:
        if not client.has_extn("smtputf8"):
            return dict.fromkeys(entry.pending, (550, "5.6.7 The next server does not know SMTPUTF8"))
        options.append("SMTPUTF8")
        client.command_encoding = "utf-8"
    reply = _reply(*client.docmd("MAIL", f"FROM:<{entry.mail_from}> {' '.join(options)}".rstrip()))
    if reply[0] >= 400:
        return dict.fromkeys(entry.pending, reply)
    replies = {rcpt: _reply(*client.docmd("RCPT", f"TO:<{rcpt}>")) for rcpt in entry.pending}
    if any(code < 400 for code, _ in replies.values()):
        code, text = client.docmd("DATA")
        if code == 354:
            # Not smtplib's own quoting: it would touch lines that end in a bare LF.
            ended = content if content.endswith(b"\r\n") else content + b"\r\n"
            client.send(re.sub(rb"(\A|\r\n)\.", rb"\1..", ended) + b".\r\n")
            code, text = client.getreply()
        answer = _reply(code, text)
        # An answer that is neither yes nor no is no answer.
        answer = answer if 200 <= answer[0] < 300 or answer[0] >= 400 else (451, "4.5.0 Unclear answer")
        replies = {rcpt: answer if reply[0] < 400 else reply for rcpt, reply in replies.items()}
    return replies


def _reply(code: int, text: bytes) -> Reply:
    return (code if code > 0 else 451), text.decode("utf-8", "replace")


def _token(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.:\[\]-]", "", name)[:255] or "unknown"
