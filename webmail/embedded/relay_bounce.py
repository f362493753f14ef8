"""Delivery status notifications of the relay sink (RFC 3464, and RFC 6533 where an address is not ASCII)."""

import re
import secrets
from collections.abc import Mapping
from email.utils import formatdate

REPORTER = "relay.localhost"
_HEADER_BYTES = 32_768
_STATUS = {
    "450": "4.2.0",
    "452": "4.2.2",
    "550": "5.1.1",
    "551": "5.1.6",
    "552": "5.2.2",
    "553": "5.1.3",
    "554": "5.7.1",
}


def status_of(code: int, text: str) -> str:
    """The enhanced status code (RFC 3463) that a reply begins with, or the usual one for its basic code."""
    found = re.match(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)", text)
    return found[1] if found else _STATUS.get(str(code), f"{code // 100}.0.0")


def header_of(content: bytes) -> bytes:
    """The header block of a message, as lines ended by CRLF, without the empty line."""
    block = re.split(rb"\r?\n\r?\n", content[: _HEADER_BYTES * 4], maxsplit=1)[0]
    lines = block[:_HEADER_BYTES].replace(b"\r\n", b"\n").split(b"\n")
    return b"\r\n".join(lines) + b"\r\n"


def bounce(sender: str, failed: Mapping[str, tuple[int, str]], content: bytes, arrived: str) -> bytes:
    """A report to `sender` about `failed`: recipient -> (reply code, reply text). `arrived` is an RFC 5322 date.

    It returns the header of the message and not its body: a bounce travels further than its writer thought.
    """
    international = not all(address.isascii() for address in (sender, *failed))
    boundary = f"=_{secrets.token_hex(12)}"
    kind = "global-delivery-status" if international else "delivery-status"
    header = header_of(content)
    plain = header.isascii()
    lines = [
        f"From: Mail Delivery System <MAILER-DAEMON@{REPORTER}>",
        f"To: {_one_line(sender)}",
        "Subject: Undelivered mail returned to sender",
        f"Date: {formatdate()}",
        f"Message-ID: <{secrets.token_hex(12)}@{REPORTER}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type={kind}; boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        "Your message could not be delivered to:",
        "",
        *(f"  {_one_line(address)}: {code} {_one_line(text)}" for address, (code, text) in failed.items()),
        "",
        f"--{boundary}",
        f"Content-Type: message/{kind}",
        "Content-Transfer-Encoding: " + ("8bit" if international else "7bit"),
        "",
        f"Reporting-MTA: dns; {REPORTER}",
        f"Arrival-Date: {arrived}",
        *(line for address, reply in failed.items() for line in _recipient(address, *reply)),
        "",
        f"--{boundary}",
        "Content-Type: " + ("text/rfc822-headers" if plain else "message/global-headers"),
        "Content-Transfer-Encoding: " + ("7bit" if plain else "8bit"),
        "",
    ]
    text = "\r\n".join(lines).encode("utf-8", "replace")
    return text + b"\r\n" + header + f"\r\n--{boundary}--\r\n".encode()


def _recipient(address: str, code: int, text: str) -> list[str]:
    kind = "rfc822" if address.isascii() else "utf-8"
    diagnostic = _one_line(text).encode("ascii", "replace").decode()
    return [
        "",
        f"Final-Recipient: {kind}; {_one_line(address)}",
        "Action: failed",
        f"Status: {status_of(code, text)}",
        f"Diagnostic-Code: smtp; {code} {diagnostic}",
    ]


def _one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)[:900]
