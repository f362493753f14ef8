"""The form for those without an account: what they write becomes a case, and they get a link to how it ends.

The form holds a token: when it was made, and the id that makes two presses of its button one. Nothing is kept of who only looks.
"""

import base64
import binascii
import hmac
import ipaddress
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import text

from webmail.db import ID_BITS, db, new_id, rows
from webmail.errors import Refused
from webmail.governance.cases import subjects
from webmail.governance.cases.sealing import CaseSecret, open_secret
from webmail.governance.cases.taking import Brought, take
from webmail.keys import MasterKeys
from webmail.mail.addresses import Address, AddressError, fold, parse_spec

KINDS = ("spam", "phishing", "malware", "fraud", "harassment", "security", "request", "other")
MAX_WORDS, MAX_MESSAGE = 5_000, 100_000
AN_HOUR, A_DAY, EVERYBODY_AN_HOUR = 5, 20, 500
"""So many forms from one network in an hour and in a day, and from all together in an hour."""
GOOD_FOR = 12 * 3600
TOO_QUICK = 2
"""Seconds: nobody reads and fills in a form in less."""
_ID, _TIME, _TAG = ID_BITS // 8, 5, 16


@dataclass(frozen=True, slots=True)
class Written:
    """What was filled in. `about`: an address here; `message`: a message's source; `contact`: where to answer. All but the first
    two may be empty."""

    kind: str
    words: str
    about: str = ""
    message: str = ""
    contact: str = ""


class FormError(Refused):
    """A field cannot be taken. `field` and `reason` are codes."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


def token(key: bytes, now: float) -> str:
    """A fresh token for a form that is shown at `now` (seconds since 1970)."""
    told = int(now).to_bytes(_TIME, "big") + new_id().to_bytes(_ID, "big")
    return base64.urlsafe_b64encode(told + _mac(key, b"form", told)).decode().rstrip("=")


def read_token(key: bytes, shown: str, now: float) -> tuple[int, float] | None:
    """(item id, age in seconds) of a token of ours that still holds; None for any other text."""
    try:
        raw = base64.b64decode(shown + "=" * (-len(shown) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    told, tag = raw[:-_TAG], raw[-_TAG:]
    if len(told) != _TIME + _ID or not hmac.compare_digest(tag, _mac(key, b"form", told)):
        return None
    age = now - int.from_bytes(told[:_TIME], "big")
    return (int.from_bytes(told[_TIME:], "big"), age) if -60 <= age <= GOOD_FOR else None


def link_secret(key: bytes, item_id: int) -> str:
    """The secret of the link to one form's outcome: the same for two presses of one button, and known to nobody else."""
    made = _mac(key, b"link", item_id.to_bytes(_ID, "big"))
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def hashed(secret: str) -> bytes:
    """What is kept of a link's secret."""
    return sha256(secret.encode("utf-8", "replace")).digest()


def _mac(key: bytes, purpose: bytes, told: bytes) -> bytes:
    return hmac.digest(key, purpose + told, sha256)[:_TAG]


def checked(written: Written) -> Address | None:
    """Raise FormError for what cannot be taken; the address to answer, if one was given."""
    if written.kind not in KINDS:
        raise FormError("kind", "missing")
    if not written.words.strip():
        raise FormError("words", "missing")
    for name, limit in (("words", MAX_WORDS), ("message", MAX_MESSAGE), ("about", 300)):
        if len(getattr(written, name)) > limit:
            raise FormError(name, "too-long")
    if not written.contact.strip():
        return None
    try:
        return parse_spec(written.contact.strip())
    except AddressError:
        raise FormError("contact", "bad-address") from None


def is_flood(secret: CaseSecret, address: str) -> bool:
    """Whether too much came from this network lately; if not, one more has. Visits are forgotten after a day."""
    visitor = secret.blind("visitor", _network(address))
    db.session.execute(_FORGET)
    [[hour, day, everybody]] = rows(_VISITS, {"visitor": visitor, "most": EVERYBODY_AN_HOUR})
    if hour >= AN_HOUR or day >= A_DAY or everybody >= EVERYBODY_AN_HOUR:
        return True
    db.session.execute(_VISIT, {"id": new_id(), "visitor": visitor})
    return False


_FORGET = text("DELETE FROM form_visit WHERE at < now() - interval '1 day'")
_VISIT = text("INSERT INTO form_visit (visit_id, visitor) VALUES (:id, :visitor)")
_VISITS = """
    SELECT count(*) FILTER (WHERE at > now() - interval '1 hour'), count(*), (SELECT count(*) FROM (SELECT FROM form_visit
     WHERE at > now() - interval '1 hour' LIMIT %(most)s) x) FROM form_visit WHERE visitor = %(visitor)s"""


def _network(address: str) -> str:
    """One subscriber's addresses: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((parsed, 64 if parsed.version == 6 else 32), strict=False))


def send(master: MasterKeys, item_id: int, secret_of_link: str, written: Written) -> int:
    """Bring what was written; the case. Raises FormError. Once, however often it is pressed."""
    answer_to = checked(written)
    secret = open_secret(master)
    about = written.about.strip()
    found = list(subjects.typed(secret, about)) if about else []
    account = subjects.account_of(about) if about else None
    brought = Brought(
        item_id,
        written.kind,
        "form",
        subjects=tuple(dict.fromkeys(found)),
        label=about or written.words.strip().split("\n")[0][:80],
        about=account,
        reporter=f"address:{fold(answer_to.email)}" if answer_to else "",
        answerable=True,
        words=written.words.strip(),
        contact={"to": answer_to.email} if answer_to else {},
        secret=hashed(secret_of_link),
        raw=written.message.encode("utf-8", "replace") if written.message.strip() else None,
    )
    return take(master, secret, brought, actor="form:stranger")
