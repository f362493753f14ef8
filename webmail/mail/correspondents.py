"""Who has written to whom in a mailbox, and what its reader decided of them. No address can be read from the table.

An address is known by a token under the mailbox's key; the address itself is kept, sealed, only while there is a rule about it
(pictures let in, or blocked), because the settings page has to show it. All verbs write in the caller's transaction, one
statement each, safe beside others of their kind.

Counts are exact as long as the caller counts in the transaction that makes the fact (filing a message, submitting one): a job that
runs twice finds it made, and does not count again. The rules may be set any number of times.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, case, func, select, update
from sqlalchemy.dialects.postgresql import insert

from webmail.db import db, rows
from webmail.errors import NotFound
from webmail.keys import MailboxKeys, Place
from webmail.mail.addresses import fold
from webmail.mail.models import Correspondent
from webmail.mail.trust import Acquaintance

MAX_RULES = 1000  # of each kind that the settings page lists
_KEY = ("mailbox_id", "token")


@dataclass(frozen=True, slots=True)
class Known:
    """What a mailbox knows of an address. `first_at` is when it first heard of it."""

    received: int = 0
    sent: int = 0
    pictures: bool = False
    """Remote pictures may be shown; never for somebody who is blocked."""
    blocked: bool = False
    first_at: datetime | None = None
    failed_at: datetime | None = None
    """When mail to it failed for good last, if none got there since."""
    failed_status: str = ""

    def before(self, received_at: datetime) -> Acquaintance:
        """What was known when a message from the address came in, for one that is opened after it was counted. An address is
        first heard of when its first message is filed, which is not before that came in."""
        is_first = self.first_at is None or received_at <= self.first_at
        return Acquaintance(0 if is_first else max(self.received - 1, 1), self.sent)


NOBODY = Known()


@dataclass(frozen=True, slots=True)
class Rule:
    """An address that there is a rule about; `ident` stands for it in forms."""

    ident: str
    address: str


def wrote(keys: MailboxKeys, address: str) -> None:
    """Count a message that came from `address`. For filing, in its transaction."""
    token = _token(keys, address)
    statement = insert(Correspondent).values(mailbox_id=keys.mailbox_id, token=token, received=1)
    more = {"received": Correspondent.received + 1, "last_at": func.now()}
    db.session.execute(statement.on_conflict_do_update(index_elements=_KEY, set_=more))


def written_to(keys: MailboxKeys, addresses: Iterable[str]) -> None:
    """Count a message that goes to each of `addresses`, each once. For submitting, in its transaction."""
    # In one order, so that two messages to the same people do not wait for each other's rows in turn.
    tokens = sorted({_token(keys, address) for address in addresses})
    if not tokens:
        return
    rows = [{"mailbox_id": keys.mailbox_id, "token": token, "sent": 1} for token in tokens]
    statement = insert(Correspondent).values(rows)
    more = {"sent": Correspondent.sent + 1, "last_at": func.now()}
    db.session.execute(statement.on_conflict_do_update(index_elements=_KEY, set_=more))


def failed(keys: MailboxKeys, address: str, status: str) -> None:
    """Note that mail to `address` failed for good, with its enhanced status code (RFC 3463) or "". Twice keeps the later."""
    told = {"failed_at": func.now(), "failed_status": status}
    statement = insert(Correspondent).values(mailbox_id=keys.mailbox_id, token=_token(keys, address), **told)
    db.session.execute(statement.on_conflict_do_update(index_elements=_KEY, set_=told))


def delivered(keys: MailboxKeys, address: str) -> None:
    """Forget that mail to `address` failed: some got there. Nothing for an address of which nothing is known."""
    mine = (Correspondent.mailbox_id == keys.mailbox_id, Correspondent.token == _token(keys, address))
    statement = update(Correspondent).where(*mine, Correspondent.failed_at.is_not(None))
    statement = statement.values(failed_at=None, failed_status="")
    db.session.execute(statement.execution_options(synchronize_session=False))


def known(keys: MailboxKeys, address: str) -> Known:
    """What is known of one address."""
    return known_all(keys, [address])[0]


def known_all(keys: MailboxKeys, addresses: Sequence[str]) -> list[Known]:
    """What is known of each address, in their order, by one look-up."""
    tokens = [_token(keys, address) for address in addresses]
    found = {}
    asked = {"mailbox": keys.mailbox_id, "tokens": sorted(set(tokens))}
    for token, received, sent, pictures, is_blocked, *times in rows(_KNOWN, asked) if tokens else ():
        found[bytes(token)] = Known(received, sent, pictures and not is_blocked, is_blocked, *times)
    return [found.get(token, NOBODY) for token in tokens]


_KNOWN = """
    SELECT token, received, sent, pictures, blocked_at IS NOT NULL, first_at, failed_at, failed_status
      FROM correspondent WHERE mailbox_id = %(mailbox)s AND token = ANY(%(tokens)s)"""


def allow_pictures(keys: MailboxKeys, address: str, allowed: bool) -> None:
    """Always show this sender's remote pictures, or ask again. Twice is once. A block keeps them out all the same."""
    _rule(keys, address, pictures=allowed) if allowed else _unrule(keys, address, pictures=False)


def block(keys: MailboxKeys, address: str) -> None:
    """Block a sender. Twice is once, and keeps the time of the first."""
    _rule(keys, address, blocked_at=func.coalesce(Correspondent.blocked_at, func.now()))


def unblock(keys: MailboxKeys, address: str) -> None:
    """Let a sender in again; what was decided about pictures stands again. Nothing for one who is not blocked."""
    _unrule(keys, address, blocked_at=None)


def blocked(keys: MailboxKeys) -> list[Rule]:
    """Who is blocked, in order of addresses; at most 1000."""
    return _rules(keys, Correspondent.blocked_at.is_not(None))


def with_pictures(keys: MailboxKeys) -> list[Rule]:
    """Whose pictures are always shown, in order of addresses; at most 1000. Nobody who is blocked."""
    return _rules(keys, Correspondent.pictures & Correspondent.blocked_at.is_(None))


def address_of(keys: MailboxKeys, ident: str) -> str:
    """The address that a rule's `ident` stands for in this mailbox. Raises NotFound, also for what is no ident at all."""
    try:
        token = bytes.fromhex(ident)
    except ValueError:
        raise NotFound("correspondent") from None
    mine = (Correspondent.mailbox_id == keys.mailbox_id, Correspondent.token == token)
    sealed = db.session.execute(select(Correspondent.sealed).where(*mine)).scalar()
    if sealed is None:
        raise NotFound("correspondent")
    return _open(keys, token, sealed)


# --- rules -----------------------------------------------------------------------------------------------------------------


def _rule(keys: MailboxKeys, address: str, **values: object) -> None:
    token = _token(keys, address)
    sealed = keys.seal_value(fold(address).encode("utf-8", "replace"), _place(keys, token))
    first = {name: func.now() if name == "blocked_at" else value for name, value in values.items()}
    statement = insert(Correspondent).values(mailbox_id=keys.mailbox_id, token=token, sealed=sealed, **first)
    db.session.execute(
        statement.on_conflict_do_update(
            index_elements=_KEY, set_={**values, "sealed": func.coalesce(Correspondent.sealed, sealed)}
        )
    )


def _unrule(keys: MailboxKeys, address: str, **values: object) -> None:
    """Take a rule back, and forget the address with the last one."""
    remains = Correspondent.pictures if "blocked_at" in values else Correspondent.blocked_at.is_not(None)
    mine = (Correspondent.mailbox_id == keys.mailbox_id, Correspondent.token == _token(keys, address))
    kept = case((remains, Correspondent.sealed), else_=None)
    statement = update(Correspondent).where(*mine).values(**values, sealed=kept)
    db.session.execute(statement.execution_options(synchronize_session=False))


def _rules(keys: MailboxKeys, condition: ColumnElement[bool]) -> list[Rule]:
    query = select(Correspondent.token, Correspondent.sealed).where(
        Correspondent.mailbox_id == keys.mailbox_id, condition
    )
    rows = db.session.execute(query.order_by(Correspondent.token).limit(MAX_RULES))
    rules = [Rule(row.token.hex(), _open(keys, row.token, row.sealed)) for row in rows]
    return sorted(rules, key=lambda rule: rule.address)


def _token(keys: MailboxKeys, address: str) -> bytes:
    return keys.blind("address\0" + fold(address))


def _place(keys: MailboxKeys, token: bytes) -> Place:
    return Place("correspondent", keys.mailbox_id, int.from_bytes(token, "big"), "sealed")


def _open(keys: MailboxKeys, token: bytes, sealed: bytes) -> str:
    return keys.open_value(sealed, _place(keys, token)).decode()
