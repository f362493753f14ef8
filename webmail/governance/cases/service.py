"""The service's own mailbox: takes mail to abuse@ and its like where nobody holds that name, and sends what the staff answer."""

from sqlalchemy import select, text

from webmail.db import db, new_id
from webmail.governance.cases.models import ServiceMailbox
from webmail.governance.cases.sealing import open_secret
from webmail.governance.service_keys import public_key
from webmail.keys import MasterKeys, new_mailbox_keys

ANSWERS_FROM = "abuse"
_QUOTA = 10**10
"""Room for mail that waits to become a case: it leaves the mailbox then."""


def ensure(master: MasterKeys) -> int:
    """Make what cases need, if it is not there: the service's mailbox, its key for reports, its secret. The mailbox's id."""
    found = mailbox()
    if found is not None:
        return found
    public_key(master)
    open_secret(master)
    mailbox_id = new_id()
    made = new_mailbox_keys(master, mailbox_id)
    values = {"mailbox": mailbox_id, "public": made.public_key, "wrapped": made.wrapped, "quota": _QUOTA}
    return int(db.session.execute(_MAKE, values).scalar_one())


_MAKE = text("SELECT service_mailbox_make(:mailbox, :public, :wrapped, :quota)")


def mailbox() -> int | None:
    """The id of the service's mailbox; None before it is made."""
    return db.session.execute(select(ServiceMailbox.mailbox_id)).scalar()
