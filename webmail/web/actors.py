"""Who did something, as pages of the staff say it: colleagues by name, others by id, processes and commands as such."""

from collections.abc import Iterable

from webmail.db import rows
from webmail.web.log_words import actor_words, is_id


def names(actors: Iterable[str]) -> dict[str, str]:
    """Each actor (`account:12`, `cli:sam`) in words; inside a `staff_transaction`."""
    known = set(actors)
    ids = [int(one.removeprefix("account:")) for one in known if is_id(one.removeprefix("account:"))]
    found: dict[int, str] = dict(rows(_COLLEAGUES, {"ids": ids})) if ids else {}
    return {one: actor_words(one, found) for one in known}


_COLLEAGUES = """
    SELECT account_id, name FROM account a
     WHERE account_id = ANY (%(ids)s::bigint[]) AND EXISTS (SELECT FROM account_role r WHERE r.account_id = a.account_id)"""
