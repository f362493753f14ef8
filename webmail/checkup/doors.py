"""Our own doors, as those who come see them: the web app through its proxy, mail at the MX name, the health pages."""

import http.client
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

from webmail import provision
from webmail.checkup.findings import Finding, bad, ok, warn
from webmail.checkup.local import ENDS_NOW, ENDS_SOON, end_of, role
from webmail.config import Settings

_SECONDS = 4.0


def pages(settings: Settings) -> Iterator[Finding]:
    """What inbound and the workers say of themselves, where they are told to say it."""
    for what, address, mine in (
        ("inbound", settings.smtp_health_listen, provision.INBOUND),
        ("worker", settings.worker_health_listen, provision.WORKER),
    ):
        if address is None or role(settings) not in ("", mine):
            continue
        host, port = address
        try:
            status, words = _page(http.client.HTTPConnection(_near(host), port, timeout=_SECONDS))
        except (OSError, http.client.HTTPException):
            yield warn(
                what, f"nobody answers at {host}:{port}", f"is `mtumail {what}` running on this machine?"
            )
            continue
        if status == 200:
            yield ok(what, words)
        else:
            yield bad(what, words, f"the log of `mtumail {what}` says more")


def _page(connection: http.client.HTTPConnection) -> tuple[int, str]:
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, answer.read(200).decode("ascii", "replace").strip()
    finally:
        connection.close()


def _near(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def front(settings: Settings) -> Iterator[Finding]:
    """That the web app is reached at its origin, with a certificate that browsers believe and that will last."""
    if not settings.origin.startswith("https:") or role(settings) not in ("", provision.WEB):
        return
    parts = urlsplit(settings.origin)
    host, port = parts.hostname or "", parts.port or 443
    try:
        end = _certificate_end(host, port)
    except ssl.SSLCertVerificationError as error:
        yield bad(
            "origin",
            f"its certificate is not believed ({error.verify_message})",
            f"have one made for {host}, with its chain",
        )
        return
    except OSError as error:
        words = f"{settings.origin} cannot be reached from here ({type(error).__name__})"
        yield warn("origin", words, "is nginx running, and does the name lead here? docs/nginx.conf")
        return
    yield _lasts(end)
    connection = http.client.HTTPSConnection(
        host, port, timeout=_SECONDS, context=ssl.create_default_context()
    )
    try:
        status, words = _page(connection)
    except (OSError, http.client.HTTPException):
        status, words = 0, "no answer"
    if status == 200:
        yield ok("origin", f"{settings.origin} answers: {words}")
    else:
        yield warn(
            "origin",
            f"{settings.origin} answers {status or words}, not as the web app does when it is ready",
            "is `mtumail web` running, and does the proxy pass everything on to MTUMAIL_HTTP_LISTEN?",
        )


def _certificate_end(host: str, port: int) -> datetime:
    with (
        socket.create_connection((host, port), _SECONDS) as plain,
        ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secured,
    ):
        shown = secured.getpeercert(binary_form=True)
    return end_of(shown or b"")


def _lasts(end: datetime) -> Finding:
    left = end - datetime.now(UTC)
    words, mend = f"its certificate is good until {end:%Y-%m-%d}", "renew it, then `systemctl reload nginx`"
    if left > ENDS_SOON:
        return ok("origin", words)
    return warn("origin", words, mend) if left > ENDS_NOW else bad("origin", words, mend)


def exchanger(settings: Settings) -> Iterator[Finding]:
    """That who connects to the MX name is greeted by us. Some networks do not let a machine call itself by its outer address."""
    if settings.host_name == "localhost" or role(settings) != provision.INBOUND:
        return
    ports = {port for _, port in settings.smtp_listen}
    if 25 not in ports:
        yield warn(
            "mx",
            "inbound does not listen on port 25",
            "let something pass port 25 on, or set MTUMAIL_SMTP_LISTEN",
        )
        return
    try:
        with socket.create_connection((settings.host_name, 25), _SECONDS) as connection:
            greeting = connection.recv(512)
    except OSError as error:
        words = f"{settings.host_name}:25 cannot be reached from here ({type(error).__name__})"
        yield warn("mx", words, "look from outside; a firewall, or the host, may close port 25")
        return
    if greeting.startswith(f"220 {settings.host_name}".encode()):
        yield ok("mx", f"{settings.host_name}:25 greets as it should")
    else:
        yield bad("mx", f"{settings.host_name}:25 is another program", "does the name lead to this machine?")
