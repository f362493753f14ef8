"""`python -m inbound`: the inbound SMTP process. SIGTERM ends it in order, SIGHUP reads the certificate again.

A certificate that was renewed is found within a minute without being told. Sockets that a service manager holds open
(sd_listen_fds(3)) are used instead of MTUMAIL_SMTP_LISTEN: who connects during a restart waits for the next process.
"""

import asyncio
import logging
import os
import resource
import signal
import socket
import ssl
import sys

from inbound import logs
from inbound.limits import Limits, parse_networks
from inbound.listener import Server
from inbound.ports import Ports
from inbound.tls import Certificate
from webmail import config, health
from webmail.config import Settings
from webmail.errors import SettingError


def limits_from(settings: Settings) -> Limits:
    """The limits of this installation. Raises SettingError."""
    try:
        trusted = parse_networks(settings.smtp_trusted_networks)
    except ValueError:
        raise SettingError(
            "MTUMAIL_SMTP_TRUSTED_NETWORKS", "holds what is not a network", "10.0.0.0/8"
        ) from None
    default = Limits()
    return Limits(
        message_bytes=settings.message_bytes,
        in_flight_bytes=max(default.in_flight_bytes, 4 * settings.message_bytes),
        trusted_networks=trusted,
    )


def build(settings: Settings, ports: Ports | None = None) -> Server:
    """The server, not yet listening; `ports` instead of the database when given. Raises SettingError."""
    limits = limits_from(settings)
    certificate = None
    if settings.tls_certificate and settings.tls_key:
        try:
            certificate = Certificate(settings.tls_certificate, settings.tls_key)
        except (OSError, ssl.SSLError):
            raise SettingError("MTUMAIL_TLS_CERTIFICATE", "cannot be used together with its key") from None
    if ports is None:
        settings.require("database_url")
        from inbound import store  # the ORM is half a second of import that `--help` and tests need not pay

        ports = store.connect(settings, limits.threads)
    return Server(ports, limits, host=settings.host_name, certificate=certificate)


def handed_over() -> list[socket.socket]:
    """The sockets that a service manager listens on for us; see docs/systemd."""
    return [socket.socket(fileno=3 + number) for number in range(config.handed_over())]


async def run(server: Server, settings: Settings) -> bool:
    """Serve until SIGTERM or SIGINT. False if a thread hangs: see Server.stop. Raises OSError when an address is taken."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    loop.add_signal_handler(signal.SIGHUP, server.reload_certificate)
    await server.start(settings.smtp_listen, handed_over())
    watch = None
    if settings.smtp_health_listen:
        watch = await health.serve(settings.smtp_health_listen, server.missing)
    health.tell_manager(config.notify_socket())
    renewals = asyncio.create_task(server.follow_certificate())
    await over.wait()
    renewals.cancel()
    clean = await server.stop()
    if watch is not None:
        watch.close()
    return clean


def main(settings: Settings | None = None, ports: Ports | None = None) -> int:
    """Run inbound in the foreground; the exit code."""
    logs.configure()
    _raise_file_limit()
    try:
        settings = settings or config.read()
        clean = asyncio.run(run(build(settings, ports), settings))
    except SettingError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    except OSError as error:
        logs.event("cannot listen", logging.ERROR, error=type(error).__name__, number=error.errno)
        return 1
    if not clean:
        # The interpreter would wait for a thread that hangs in the database; what it was answered is 451.
        logging.shutdown()
        os._exit(0)
    return 0


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main())
