"""What lies on this machine: keys, folders, certificates, and the addresses we listen on."""

import contextlib
import errno
import os
import shutil
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from sqlalchemy import make_url

from webmail import provision
from webmail.checkup.findings import Finding, bad, ok, warn
from webmail.config import Settings
from webmail.errors import SettingError
from webmail.keys import MasterKeys

FREE = 2_000_000_000
"""Bytes below which a disk is called full."""
ENDS_SOON, ENDS_NOW = timedelta(days=21), timedelta(days=3)
"""Authorities renew at a third of a certificate's life; at three days nobody does it any more."""
_SECONDS = 2.0


def role(settings: Settings) -> str:
    """The database role that tells which process an environment is of; "" where it tells nothing."""
    name = make_url(settings.database_url).username if settings.database_url else ""
    return name if name in provision.ROLES else ""


def _is_web(settings: Settings) -> bool:
    return bool(settings.origin) and role(settings) in ("", provision.WEB)


def _is_inbound(settings: Settings) -> bool:
    return settings.host_name != "localhost" and role(settings) in ("", provision.INBOUND)


def master_key(settings: Settings) -> Iterator[Finding]:
    """That a key is there and nobody else may read it; inbound alone has to have none."""
    is_inbound = role(settings) == provision.INBOUND
    try:
        MasterKeys.from_settings(settings)
    except SettingError as error:
        if is_inbound:
            yield ok("master key", "not given, as is right for inbound")
        else:
            yield bad(
                "master key",
                str(error),
                "`mtumail keys create PATH`, and name PATH in MTUMAIL_MASTER_KEY_FILE",
            )
        return
    yield ok("master key", "32 bytes, readable by its owner alone")
    if is_inbound and settings.environment == "production":
        yield warn(
            "master key",
            "inbound is given it, and needs none",
            "take it out of inbound's environment: it only seals, with public keys",
        )


def data_folder(settings: Settings) -> Iterator[Finding]:
    """That files can be kept, and the disk has room."""
    folder = settings.data_dir
    if folder == Path("."):
        return
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        yield bad(
            "data folder",
            f"{folder} is no folder that can be written to",
            f"`install -d -m 700 {folder}`, and MTUMAIL_DATA_DIR",
        )
        return
    free = shutil.disk_usage(folder).free
    words = f"{free / 1e9:.0f} GB free"
    yield ok("data folder", words) if free >= FREE else warn("data folder", words, "make room on its disk")


def certificate(settings: Settings) -> Iterator[Finding]:
    """That inbound's certificate is whole, is for its name, and will last."""
    if not settings.tls_certificate or not settings.tls_key:
        if settings.environment == "production" and _is_inbound(settings):
            yield warn(
                "certificate",
                "none: mail comes in without TLS",
                "set MTUMAIL_TLS_CERTIFICATE and MTUMAIL_TLS_KEY",
            )
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_certificate, settings.tls_key)
        read = x509.load_pem_x509_certificate(settings.tls_certificate.read_bytes())
    except (OSError, ValueError) as error:
        why = f"cannot be used with its key ({getattr(error, 'reason', None) or type(error).__name__})"
        yield bad(
            "certificate",
            why,
            "MTUMAIL_TLS_CERTIFICATE is the chain, MTUMAIL_TLS_KEY its key, both PEM and readable by inbound",
        )
        return
    yield _lasts(read)
    if not _is_for(read, settings.host_name):
        yield warn(
            "certificate",
            f"is not for {settings.host_name}",
            "have one made for the name in MTUMAIL_HOSTNAME",
        )
    with contextlib.suppress(OSError):
        if settings.tls_key.stat().st_mode & 0o004:
            yield bad("certificate", "its key can be read by everybody", f"chmod o-r {settings.tls_key}")


def _lasts(read: x509.Certificate) -> Finding:
    end = read.not_valid_after_utc
    left = end - datetime.now(UTC)
    words = f"{'ended' if left < timedelta(0) else 'good until'} {end:%Y-%m-%d}"
    mend = "renew it, then `systemctl reload mtumail@inbound`"
    if left > ENDS_SOON:
        return ok("certificate", words)
    return warn("certificate", words, mend) if left > ENDS_NOW else bad("certificate", words, mend)


def end_of(certificate: bytes) -> datetime:
    """When a certificate (DER) is no longer good. Raises ValueError."""
    return x509.load_der_x509_certificate(certificate).not_valid_after_utc


def _is_for(read: x509.Certificate, name: str) -> bool:
    try:
        known = read.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        return False
    return any(
        one.lower() == name or (one.startswith("*.") and name.partition(".")[2] == one[2:].lower())
        for one in known
    )


def proxy(settings: Settings) -> Iterator[Finding]:
    """That the web app knows whether somebody stands before it."""
    if settings.environment != "production" or not _is_web(settings):
        return
    if settings.trusted_proxies == 0:
        yield warn(
            "proxy",
            "none is trusted, so that every reader seems to be the proxy itself",
            "set MTUMAIL_TRUSTED_PROXIES to how many of yours stand before the web app",
        )
    if settings.http_listen[0] in ("0.0.0.0", "::") and settings.trusted_proxies:  # noqa: S104
        yield warn(
            "proxy",
            "the web app listens to everybody, who may then claim any address",
            "listen on 127.0.0.1, or let only the proxy reach that port",
        )


def listening(settings: Settings) -> Iterator[Finding]:
    """That each address is ours already, or can be had."""
    if _is_web(settings):
        yield _address("web address", settings.http_listen, b"GET /healthz HTTP/1.0\r\n\r\n", b" 200 ")
    if _is_inbound(settings):
        for address in settings.smtp_listen:
            yield _address("smtp address", address, b"", f"220 {settings.host_name}".encode())


def _address(what: str, address: tuple[str, int], ask: bytes, sign: bytes) -> Finding:
    host, port = address
    shown = f"{host}:{port}"
    try:
        with socket.create_server(address, family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return ok(what, f"{shown} is free")
    except PermissionError:
        return bad(
            what, f"{shown} is not for this user", "give the process CAP_NET_BIND_SERVICE: see docs/systemd"
        )
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return bad(
                what, f"{shown} cannot be had ({type(error).__name__})", "is this an address of this machine?"
            )
    if _answers(address, ask, sign):
        return ok(what, f"{shown} answers")
    return bad(what, f"{shown} belongs to another program", f"`ss -ltnp 'sport = :{port}'` names it")


def _answers(address: tuple[str, int], ask: bytes, sign: bytes) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])  # noqa: S104
    try:
        with socket.create_connection((host, address[1]), _SECONDS) as connection:
            connection.sendall(ask)
            return sign in connection.recv(512)
    except OSError:
        return False
