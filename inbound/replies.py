"""Every reply that inbound can give, by name (RFC 5321 section 4.2, enhanced codes of RFC 3463 and 5248).

A stranger learns from a reply what to do next and nothing about us: no address, no exception, no version. What happened is
in the log, under the reply's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: its name (for the log), basic code, enhanced code ("" where RFC 2034 has none) and text."""

    name: str
    code: int
    enhanced: str
    text: str

    @property
    def permanent(self) -> bool:
        """True for 5yz: the peer must not try the same again."""
        return self.code >= 500

    def wire(self, **values: str) -> bytes:
        """The line as it is sent, with CRLF. `values` fill the text's named gaps; they are ours, never the peer's."""
        text = self.text.format(**values) if values else self.text
        return f"{self.code} {self.enhanced + ' ' if self.enhanced else ''}{text}\r\n".encode("ascii")


# Suspended and revoked mailboxes are worded as unknown ones: whether a name was ever taken is nobody's business. The log
# still tells them apart by name.
_NO_SUCH_MAILBOX = (550, "5.1.1", "No such mailbox here")

_TABLE: Mapping[str, tuple[int, str, str]] = {
    # Session
    "greeting": (220, "", "{host} ESMTP"),
    "bye": (221, "2.0.0", "Bye"),
    "helo": (250, "", "{host}"),
    "ok": (250, "2.0.0", "OK"),
    "help": (214, "2.0.0", "See RFC 5321"),
    "starttls": (220, "2.0.0", "Ready to start TLS"),
    "tls_active": (503, "5.5.1", "TLS is already active"),
    "vrfy": (252, "2.5.0", "Cannot verify; send some mail and see"),
    # Transaction
    "sender_ok": (250, "2.1.0", "Sender OK"),
    "recipient_ok": (250, "2.1.5", "Recipient OK"),
    "send_data": (354, "", "End data with <CR><LF>.<CR><LF>"),
    "accepted": (250, "2.0.0", "Accepted as {id}"),
    # The peer's mistakes
    "unknown_command": (500, "5.5.1", "Command not recognized"),
    "not_implemented": (502, "5.5.1", "Command not implemented"),
    "no_auth": (503, "5.5.1", "Authentication is not offered here"),
    "bad_line_end": (500, "5.5.2", "Command lines end in CRLF"),
    "bad_characters": (501, "5.5.2", "Command holds characters that are not allowed"),
    "line_too_long": (500, "5.5.2", "Command line too long"),
    "no_arguments": (501, "5.5.4", "This command takes no argument"),
    "bad_helo": (501, "5.5.4", "Say who you are: one word"),
    "bad_syntax": (501, "5.5.4", "Syntax error in parameters"),
    "bad_sender": (501, "5.1.7", "Malformed sender address"),
    "bad_recipient": (501, "5.1.3", "Malformed recipient address"),
    "utf8_sender": (553, "5.6.7", "This address needs SMTPUTF8"),
    "utf8_recipient": (553, "5.6.7", "This address needs SMTPUTF8"),
    "unknown_parameter": (555, "5.5.4", "Parameter not recognized or not implemented"),
    "helo_first": (503, "5.5.1", "Send EHLO first"),
    "sender_first": (503, "5.5.1", "Send MAIL first"),
    "sender_twice": (503, "5.5.1", "Sender already given"),
    "recipient_first": (503, "5.5.1", "No valid recipients"),
    # Recipients
    "unknown": _NO_SUCH_MAILBOX,
    "suspended": _NO_SUCH_MAILBOX,
    "revoked": _NO_SUCH_MAILBOX,
    # A name that was taken back rests for two years: who still writes to it should stop, and not find somebody else there later.
    "reclaimed": (550, "5.1.6", "This mailbox is no longer in use"),
    "other_owner": (550, "5.7.17", "This mailbox belongs to somebody else than at that time (RFC 7293)"),
    "not_local": (550, "5.7.1", "Relaying denied"),
    "full": (452, "4.2.2", "Mailbox full; try again later"),
    "over_limit": (450, "4.2.1", "Mailbox is receiving too much mail; try again later"),
    "too_many_recipients": (452, "4.5.3", "Too many recipients; send the rest in another transaction"),
    "too_large_for_so_many": (
        452,
        "4.5.3",
        "Too large for so many recipients; send the rest in another transaction",
    ),
    # Content
    "too_large": (552, "5.3.4", "Message larger than {limit} bytes"),
    "line_limit": (554, "5.6.0", "Message has a line that is too long"),
    "bare_line_end": (
        550,
        "5.6.11",
        "Message has a bare CR or LF where none may be (RFC 5321 section 2.3.8)",
    ),
    "too_many_hops": (554, "5.4.6", "Too many hops"),
    "unauthenticated": (550, "5.7.26", "Message failed the authentication that its author domain asks for"),
    "rejected": (550, "5.7.1", "Message refused"),
    # Our own trouble: always temporary, never its text
    "tls_unavailable": (454, "4.7.0", "TLS not available"),
    "trouble": (451, "4.3.0", "Temporary trouble; try again later"),
    "no_room": (452, "4.3.1", "Too much mail at once; try again later"),
    # Good-byes
    "too_many_from_you": (421, "4.7.0", "Too many connections from your network"),
    "too_fast": (421, "4.7.0", "Too many new connections from your network; come back in a minute"),
    "too_many_sessions": (421, "4.3.2", "Too busy; try again later"),
    "too_many_errors": (421, "4.7.0", "Too many errors"),
    "too_much_chatter": (421, "4.7.0", "Too many commands without mail"),
    "not_http": (421, "4.7.0", "This is not a web server"),
    "line_flood": (421, "4.7.0", "Command line far too long"),
    "idle": (421, "4.4.2", "Idle too long"),
    "session_over": (421, "4.4.2", "Session took too long"),
    "too_slow": (421, "4.4.2", "Data comes too slowly"),
    "shutting_down": (421, "4.3.2", "Shutting down; try again later"),
}

REPLIES: Mapping[str, Reply] = MappingProxyType({name: Reply(name, *row) for name, row in _TABLE.items()})


def ehlo(host: str, size: int, starttls: bool) -> bytes:
    """The answer to EHLO: extensions of RFC 1870, 2034, 2920, 3207, 6152, 6531 and 7293. No AUTH, no CHUNKING, no DSN."""
    words = [host, "PIPELINING", f"SIZE {size}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "RRVS"]
    if starttls:
        words.append("STARTTLS")
    lines = [f"250-{word}" for word in words[:-1]] + [f"250 {words[-1]}"]
    return "".join(line + "\r\n" for line in lines).encode("ascii")
