"""The fields that inbound puts before a message: Return-Path and Received (RFC 5321 section 4.4). Pure."""

import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from ipaddress import ip_address

_NOT_HOST = re.compile(r"[^A-Za-z0-9.:_\[\]-]")


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end. `helo` is only a claim; `tls` is "" or the protocol and cipher, as `TLSv1.3 TLS_AES_...`."""

    ip: str
    helo: str = ""
    extended: bool = False
    tls: str = ""


def with_protocol(peer: Peer, smtputf8: bool) -> str:
    """The registered "with" keyword: RFC 3848, and RFC 6531 section 4.3 for SMTPUTF8."""
    if not peer.extended:
        return "SMTP"
    return ("UTF8SMTP" if smtputf8 else "ESMTP") + ("S" if peer.tls else "")


def head(peer: Peer, *, host: str, sender: str, smtputf8: bool, delivery_id: str, now: datetime) -> bytes:
    """Both fields, each line ended by CRLF. No recipient is named: a blind copy stays blind.

    `sender` has no control characters (`commands.parse_mail`); of the HELO name only what a host name may hold is kept.
    """
    helo = _NOT_HOST.sub("?", peer.helo)[:255]
    tls = f"\t({peer.tls})\r\n" if peer.tls else ""
    return (
        f"Return-Path: <{sender}>\r\n"
        f"Received: from {helo} ({_literal(peer.ip)})\r\n"
        f"\tby {host} with {with_protocol(peer, smtputf8)} id {delivery_id}\r\n"
        f"{tls}"
        f"\t; {format_datetime(now)}\r\n"
    ).encode()


def _literal(ip: str) -> str:
    try:
        version = ip_address(ip.partition("%")[0]).version
    except ValueError:
        return "unknown"
    return f"[IPv6:{ip}]" if version == 6 else f"[{ip}]"
