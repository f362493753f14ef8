"""What a kind of personal data is: where it is held, why, on what basis, for how long. Which there are: `privacy.register`."""

from collections.abc import Mapping
from dataclasses import dataclass

BASES: Mapping[str, str] = {
    "provide": "contract",
    "abuse": "legitimate-interests",
    "troubleshoot": "legitimate-interests",
    "law": "legal-obligation",
    "reliability": "legitimate-interests",
}
"""Purpose to its one lawful basis (P04, P05)."""

RETENTIONS = (
    "until-you-delete", "with-the-message", "with-the-mailbox", "with-the-account", "until-done", "schedule", "name-rests", "tree",
)  # fmt: skip
"""How long a kind is kept; `schedule` is a setting of the group "retention"."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of data. `tables`: where all of it is; `promise`: the policy's row that covers it; `count`: (rows, bytes) of a
    person's, asked with `account` and `mailbox`; `is_sealed`: the database cannot read it; `schedule`: the setting that ends it."""

    code: str
    promise: str
    tables: tuple[str, ...]
    purposes: tuple[str, ...]
    retention: str
    count: str
    recipients: tuple[str, ...] = ()
    is_sealed: bool = False
    schedule: str = ""


def of_mailbox(table: str, bytes_of: str = "0", where: str = "true") -> str:
    """What counts a mailbox's rows of a table."""
    return f"SELECT count(*), coalesce(sum({bytes_of}), 0) FROM {table} WHERE mailbox_id = %(mailbox)s AND {where}"


def of_account(table: str) -> str:
    """What counts an account's rows of a table."""
    return f"SELECT count(*), 0 FROM {table} WHERE account_id = %(account)s"
