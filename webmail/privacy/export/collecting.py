"""How records are collected: rows of a statement, each one JSON object, with times in UTC and ids as pages show them."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from webmail.db import rows, show_id
from webmail.keys import MailboxKeys

Asked = Mapping[str, int]
"""`mailbox` and `account`."""
Collect = Callable[[MailboxKeys, Asked], Any]
_UTC = """to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""


def stamp(at: datetime | None) -> str | None:
    """A time as it is told (ISO 8601)."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, datetime):
        return stamp(value)
    return value.isoformat() if isinstance(value, date) else value


def at(column: str) -> str:
    """A column with a time, in SQL, as `stamp` tells it to the second."""
    return _UTC.format(column)


def table(sql: str, *, ids: tuple[str, ...] = ()) -> Callable[[MailboxKeys, Asked], list[dict[str, Any]]]:
    """What collects the rows of a statement, which makes one JSON object each; columns in `ids` become shown ids."""

    def collect(_keys: MailboxKeys, asked: Asked) -> list[dict[str, Any]]:
        found = [told for (told,) in rows(sql, asked)]
        for row in found:
            for name in ids:
                row[name] = None if row[name] is None else show_id(int(row[name]))
        return found

    return collect


def single(sql: str, *, ids: tuple[str, ...] = ()) -> Callable[[MailboxKeys, Asked], dict[str, Any]]:
    """The same for a statement with one row."""
    collect = table(sql, ids=ids)
    return lambda keys, asked: collect(keys, asked)[0]
