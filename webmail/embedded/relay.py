"""The relay sink: an SMTP server that keeps what mtumail sends instead of sending it, and hands mail for hosted domains back.

    python -m webmail.embedded.relay --data-dir .dev --hosted mtumail.test --inbound 127.0.0.1:2525

Messages lie in `<data-dir>/relay` (see `relay_store`), what waits for inbound in `<data-dir>/relay/spool` (see `relay_forward`).

For trying what can go wrong, the local part of a recipient, whatever its domain, orders an outcome (a tag after `+` may follow):

    bounce-550   RCPT is answered 550; any code from 500 to 599
    defer-451    RCPT is answered 451, each time; any code from 400 to 499
    defer-once   RCPT is answered 451 the first time, and accepted from then on
    data-554     the answer after DATA is 554, and nothing is kept; any code from 400 to 599
    late-550     accepted; then a delivery status notification with that code goes to the sender; any code from 500 to 599
    slow, slow-N the answer after DATA takes 10, or N, seconds (at most 300)
    drop         the connection is closed instead of the answer after DATA, and nothing is kept
"""

import argparse
import asyncio
import hmac
import json
import logging
import os
import re
import signal
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword, Session

from webmail.embedded.relay_bounce import status_of
from webmail.embedded.relay_forward import Forwarder, Reply
from webmail.embedded.relay_store import Envelope, Store

log = logging.getLogger("mtumail.relay")

_LONGEST_LINE = 16 * 1024 * 1024
_MESSAGE_BYTES = 128 * 1024 * 1024
_LONGEST_WAIT = 300
_STOP_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Trial:
    """An outcome ordered by a recipient's local part."""

    kind: str
    number: int


def trial(address: str) -> Trial | None:
    """The outcome that `address` orders, or None."""
    local = address.rpartition("@")[0].partition("+")[0].lower()
    if local in ("defer-once", "drop"):
        return Trial(local.removeprefix("defer-"), 451)
    found = re.fullmatch(r"(bounce|defer|data|late)-(\d{3})|(slow)(?:-(\d{1,3}))?", local)
    if not found:
        return None
    if found[3]:
        return Trial("slow", min(int(found[4] or 10), _LONGEST_WAIT))
    kind, code = found[1], int(found[2])
    low, high = {"bounce": (500, 599), "defer": (400, 499), "data": (400, 599), "late": (500, 599)}[kind]
    return Trial(kind, code) if low <= code <= high else None


def _ordered(code: int) -> Reply:
    return code, f"{status_of(code, '')} As the address asks"


class SinkServer(SMTP):
    """aiosmtpd without its limit on the length of a line: a sink is there to show what was sent."""

    line_length_limit = _LONGEST_LINE


class Sink:
    """What aiosmtpd calls. `auth` is (user, password) if clients must sign in."""

    def __init__(self, store: Store, forwarder: Forwarder, auth: tuple[str, str] | None = None) -> None:
        self._store = store
        self._forwarder = forwarder
        self._auth = auth
        self._deferred: set[tuple[str, str]] = set()

    def protocol(self) -> SMTP:
        """A protocol for one connection."""
        return SinkServer(
            self,
            hostname="relay.localhost",
            ident="mtumail relay sink",
            enable_SMTPUTF8=True,
            data_size_limit=_MESSAGE_BYTES,
            auth_require_tls=False,
            authenticator=self._authenticate,
        )

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Any, mechanism: str, login: Any
    ) -> AuthResult:
        if isinstance(login, LoginPassword):
            given = (login.login, login.password)
            if self._auth is None or all(
                hmac.compare_digest(ours.encode(), theirs)
                for ours, theirs in zip(self._auth, given, strict=True)
            ):
                return AuthResult(success=True, auth_data=login.login.decode("utf-8", "replace"))
        return AuthResult(success=False, handled=False)

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Any, name: str, lines: list[str]
    ) -> list[str]:
        session.host_name = name
        return [*lines[:-1], "250-PIPELINING", "250-ENHANCEDSTATUSCODES", lines[-1]]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Any, address: str, options: list[str]
    ) -> str:
        if self._auth is not None and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Any, address: str, options: list[str]
    ) -> str:
        order = trial(address)
        if order and order.kind in ("bounce", "defer"):
            code, text = _ordered(order.number)
            return f"{code} {text}"
        if order and order.kind == "once":
            key = (_address(envelope.mail_from), address.lower())
            if key not in self._deferred:
                self._deferred.add(key)
                return "451 4.2.1 As the address asks, this once"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Any) -> str:
        recipients: list[str] = envelope.rcpt_tos
        orders = {address: order for address in recipients if (order := trial(address))}
        for order in orders.values():
            if order.kind == "slow":
                await asyncio.sleep(order.number)
        for order in orders.values():
            if order.kind == "drop":
                assert isinstance(server.transport, asyncio.Transport)
                server.transport.abort()
            if order.kind in ("data", "drop"):
                code, text = _ordered(order.number)
                return f"{code} {text}"
        late = {address: _ordered(order.number) for address, order in orders.items() if order.kind == "late"}
        kept = _envelope(session, envelope)
        number = await asyncio.to_thread(self._keep, kept, envelope.content, late)
        log.info(
            "kept", extra={"number": number, "recipients": len(recipients), "size": len(envelope.content)}
        )
        return f"250 2.0.0 Kept as {number}"

    def _keep(self, envelope: Envelope, content: bytes, late: dict[str, Reply]) -> str:
        number = self._store.keep(envelope, content)
        self._forwarder.accept(_without(envelope, late), content)
        self._forwarder.report(envelope.mail_from, late, content)
        return number

    async def handle_exception(self, error: Exception) -> str:
        log.error("session failed", extra={"error": type(error).__name__})
        return "451 4.3.0 Trouble in the sink; try again"


def _address(text: str | None) -> str:
    return "" if text in (None, "<>") else str(text)


def _envelope(session: Session, envelope: Any) -> Envelope:
    options = tuple(envelope.mail_options)
    return Envelope(
        mail_from=_address(envelope.mail_from),
        rcpt_to=tuple(envelope.rcpt_tos),
        auth=session.auth_data if session.authenticated else None,
        helo=session.host_name or "",
        body="8BITMIME" if "BODY=8BITMIME" in options else "7BIT",
        smtputf8=bool(envelope.smtp_utf8),
        mail_options=options,
    )


def _without(envelope: Envelope, refused: dict[str, Reply]) -> Envelope:
    kept = tuple(address for address in envelope.rcpt_to if address not in refused)
    return Envelope(
        envelope.mail_from,
        kept,
        helo=envelope.helo,
        body=envelope.body,
        smtputf8=envelope.smtputf8,
    )


# -- the program


class _JsonLines(logging.Formatter):
    """One JSON object a record: what was logged, and the ids that came with it."""

    _IDS = ("number", "entry", "recipients", "size", "taken", "failed", "pending", "error", "address")

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "process": "relay",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        return json.dumps(
            fields | {name: getattr(record, name) for name in self._IDS if hasattr(record, name)}
        )


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError("must be host:port")
    return host.strip("[]"), int(port)


def _credentials(text: str) -> tuple[str, str]:
    user, colon, password = text.partition(":")
    if not user or not colon or not password:
        raise argparse.ArgumentTypeError("must be user:password")
    return user, password


async def serve(
    listen: tuple[str, int],
    data_dir: Path,
    hosted: list[str],
    inbound: tuple[str, int] | None,
    auth: tuple[str, str] | None = None,
) -> None:
    """Run the sink until SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    folder = data_dir / "relay"
    store = Store(folder)
    forwarder = Forwarder(folder / "spool", store, (domain.lower() for domain in hosted), inbound)
    sink = Sink(store, forwarder, auth)
    forwarding = asyncio.create_task(forwarder.run())
    server = await loop.create_server(sink.protocol, *listen)
    log.info("ready", extra={"address": "{}:{}".format(*server.sockets[0].getsockname()[:2])})
    await stopped.wait()
    server.close()
    forwarding.cancel()
    if not await forwarder.settle(_STOP_SECONDS):
        # A thread still waits for inbound. What it forwards is in the spool until inbound has it.
        os._exit(0)


def main(arguments: list[str] | None = None) -> int:
    """The command line; see the module's own text."""
    parser = argparse.ArgumentParser(
        prog="python -m webmail.embedded.relay",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--listen", type=_listen, default=("127.0.0.1", 2526), metavar="HOST:PORT")
    parser.add_argument("--data-dir", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--hosted", action="append", default=[], metavar="DOMAIN", help="may be given several times"
    )
    parser.add_argument(
        "--inbound", type=_listen, metavar="HOST:PORT", help="takes the mail for hosted domains"
    )
    parser.add_argument(
        "--auth", type=_credentials, metavar="USER:PASSWORD", help="clients must sign in with this"
    )
    options = parser.parse_args(arguments)
    if options.hosted and options.inbound is None:
        parser.error("--hosted needs --inbound")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # aiosmtpd's own, which tells addresses
    try:
        asyncio.run(serve(options.listen, options.data_dir, options.hosted, options.inbound, options.auth))
    except OSError as error:
        print(f"relay: cannot run: {error.strerror or error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
