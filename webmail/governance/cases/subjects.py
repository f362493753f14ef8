"""What a case is about: the account, the sender, the message, or its very words. What shares one of them is one case."""

import re
from hashlib import sha256

from sqlalchemy import text

from webmail.db import db
from webmail.governance.cases.sealing import CaseSecret
from webmail.mail.addresses import AddressError, base_local, fold, parse_spec
from webmail.mail.view import View

ACCOUNT, SENDER, MESSAGE, TEXT = 1, 2, 3, 4
WORDS = {ACCOUNT: "account", SENDER: "sender", MESSAGE: "message", TEXT: "text"}
MIN_LETTERS, MOST_LETTERS = 40, 4_000
"""A text with fewer letters is said by many; and of a long one the beginning is enough."""
_LETTERS = re.compile(r"[^\W\d_]+")


def account(secret: CaseSecret, account_id: int) -> bytes:
    """Somebody of ours."""
    return _subject(secret, ACCOUNT, str(account_id))


def sender(secret: CaseSecret, address: str) -> bytes:
    """An address that mail came from; case and tags do not count."""
    local, at, domain = fold(address).rpartition("@")
    return _subject(secret, SENDER, f"{base_local(local) if local else ''}{at}{domain}")


def message(secret: CaseSecret, message_id: str) -> bytes:
    """One message, whoever got it: its Message-ID without brackets."""
    return _subject(secret, MESSAGE, message_id.strip("<> "))


def body(secret: CaseSecret, words: str) -> bytes | None:
    """A text, as its letters: digits, links' numbers and spacing do not count. None for one too short to tell apart."""
    letters = "".join(_LETTERS.findall(words[: 4 * MOST_LETTERS])).casefold()[:MOST_LETTERS]
    if len(letters) < MIN_LETTERS:
        return None
    return _subject(secret, TEXT, sha256(letters.encode("utf-8", "replace")).hexdigest())


def of_view(secret: CaseSecret, view: View, about: int | None) -> tuple[bytes, ...]:
    """Everything by which other reports of the same matter are known."""
    found = [account(secret, about)] if about is not None else []
    if view.sender[1]:
        found.append(sender(secret, view.sender[1]))
    if view.message_id:
        found.append(message(secret, view.message_id))
    words = body(secret, view.text)
    return tuple(dict.fromkeys([*found, words] if words else found))


def typed(secret: CaseSecret, what: str) -> tuple[bytes, ...]:
    """What somebody of the staff looks for: an address (also as an account of ours), or a Message-ID."""
    what = what.strip()
    found = [message(secret, what)]
    if "@" in what:
        found.append(sender(secret, what))
        about = account_of(what)
        if about is not None:
            found.append(account(secret, about))
    return tuple(found)


def account_of(address: str) -> int | None:
    """Whose address of a hosted domain this is, where the role of the open transaction may know; None for any other."""
    try:
        parsed = parse_spec(address)
    except AddressError:
        return None
    values = {"domain": parsed.domain, "local": base_local(parsed.local)}
    return db.session.execute(_ACCOUNT_OF, values).scalar()


_ACCOUNT_OF = text("SELECT account_of_address(:domain, :local)")


def _subject(secret: CaseSecret, kind: int, value: str) -> bytes:
    return bytes([kind]) + secret.blind(WORDS[kind], value)
