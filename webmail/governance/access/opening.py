"""Opening one part of one message under a grant: the one road to mail that is not one's own.

    ask ──database checks, writes the act and the audit event, hands out the sealed part──▶ Held ──commit──▶ disclose

Before the commit a `Held` opens nothing: `open_mailbox` asks it, and it refuses. So there is no content without its row, whatever
fails in between; and what was committed is written down even if the answer never arrives.
"""

import json
import os
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from sqlalchemy import text

from webmail.audit import sealing
from webmail.db import after_commit, db
from webmail.errors import NotFound
from webmail.identity import stepup
from webmail.identity.viewer import Viewer
from webmail.keys import MasterKeys, open_mailbox, unseal
from webmail.mail.receiving import source_place


@dataclass(slots=True)
class Held:
    """The sealed source of one message, and the right to open it for one part: of use once its act is committed."""

    mailbox_id: int
    message_id: int
    part: str
    file: int
    act: int
    event: int
    until: datetime
    _bundle: bytes = field(repr=False)
    _wrapped_key: bytes = field(repr=False)
    _source: bytes = field(repr=False)
    _is_written_down: bool = False

    def admit(self, mailbox_id: int) -> bytes:
        """The wrapped bundle of that mailbox. Raises RuntimeError before the commit, NotFound for another mailbox."""
        if not self._is_written_down:
            raise RuntimeError("nothing is opened before it is written down")
        if mailbox_id != self.mailbox_id:
            raise NotFound("mailbox")
        return self._bundle

    def _written(self) -> None:
        self._is_written_down = True


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing was opened, as a code. The try is written down."""

    code: str


def ask(grant_id: int, message_id: int, part: str, *, account_id: int, file: int = 0) -> Held | Refusal:
    """Write down that this person opens this part ("headers", "text", "attachments"; `file`: that attachment), if he may now.

    Codes: role, none, part, not-yours, not-approved, refused, closed, case-closed, lapsed, expired, order-dates, gag-undecided,
    out-of-scope, too-many, gone, unreadable. In a transaction of the staff, which must end well whatever the answer is.
    """
    values: dict[str, object] = {
        "grant": grant_id,
        "message": message_id,
        "part": part,
        "file": file,
        "account": account_id,
    }
    row = db.session.execute(_OPEN, values | _silence(values)).one()
    if row.refusal:
        return Refusal(row.refusal)
    pieces = (bytes(row.bundle), bytes(row.wrapped_key), bytes(row.source))
    held = Held(row.mailbox, message_id, part, file, row.act, row.log_event, row.until, *pieces)
    after_commit(held._written)
    return held


_OPEN = text("""
    SELECT * FROM access_open(:grant, :message, :part, :file, :account, CAST(:commitment AS bytea), CAST(:sealed AS bytea))""")
_IS_GAGGED = text("SELECT EXISTS (SELECT 1 FROM access_gag WHERE grant_id = :grant AND ended_at IS NULL)")


def _silence(facts: dict[str, object]) -> dict[str, bytes | None]:
    """The log's entry, sealed, for what its owner may not know yet. It is sealed here, since the database has no key."""
    if not db.session.execute(_IS_GAGGED, {"grant": facts["grant"]}).scalar():
        return {"commitment": None, "sealed": None}
    told = {name: value for name, value in facts.items() if name != "account"}  # its owner reads this one day
    salt, body = os.urandom(sealing.SALT_BYTES), json.dumps(told).encode()
    commitment = sha256(salt + body).digest()
    return {
        "commitment": commitment,
        "sealed": sealing.seal_with(sealing.public_key(), commitment, salt + body),
    }


def source(master: MasterKeys, held: Held) -> bytes:
    """The message as it came over the wire, for `disclosing` to take the one part from. Raises RuntimeError before the commit."""
    keys = open_mailbox(master, held.mailbox_id, held)
    content_key = keys.open_content_key(held._wrapped_key, held.message_id)
    return unseal(content_key, held._source, source_place(held.mailbox_id, held.message_id))


# --- who sits there ------------------------------------------------------------------------------------------------------

ACT = "access.open"


def prove(viewer: Viewer, grant_id: int) -> None:
    """Have the holder prove that it is he: once for each grant, in each session. In a transaction before the one that opens.

    Raises ConfirmationNeeded.
    """
    values = {
        "account": viewer.account_id,
        "session": viewer.session_id,
        "act": ACT,
        "target": stepup.target_hash(ACT, grant_id),
    }
    if not db.session.execute(_PROVED, values).scalar():
        stepup.require(viewer, act=ACT, target=grant_id)


_PROVED = text("""
    SELECT EXISTS (SELECT 1 FROM confirmation WHERE account_id = :account AND session_id = :session AND act = :act
                      AND target = :target AND used_at > clock_timestamp() - interval '60 minutes')""")
