"""Erasing, step by step. Each step is a transaction that leaves the erasure in a state from which the next one goes on, so that a
worker that is killed at any line loses nothing and repeats nothing.

    waiting   time to undo; a legal hold lengthens it
    rows      keys, addresses and memberships are gone in one transaction; rows, which nobody can read any more, go in batches
    person    of an account: name, contact address, roles, sign-ins; Clerk is told to delete the person
    telling   the certificate goes to the contact address, which is then forgotten
    done

What stays of a mailbox or an account is a row with a random number and nothing else in it, for what refers to it by law: who of
the staff opened mail, and which cases there were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from webmail import audit
from webmail.db import rows
from webmail.governance.actions import acting
from webmail.governance.memory import keeping
from webmail.identity import errands, names
from webmail.keys import MasterKeys

ACTOR = "system:erasure"
BATCH = 500
"""Rows in one transaction: large ones, and each with its indexes."""
TRIES = 5
"""How often the certificate is tried to be sent; the link shows it without that."""


@dataclass(frozen=True, slots=True)
class Step:
    """An erasure, and the state that it is in."""

    erasure_id: int
    state: str
    account_id: int
    kind: str
    contact: str
    tries: int


def due(above: int = -1, most: int = 50) -> Sequence[int]:
    """Erasures that can go on, by id, those greater than `above`."""
    return [number for (number,) in rows(_DUE, {"above": above, "most": most})]


_DUE = """
    SELECT erasure_id FROM erasure
     WHERE erasure_id > %(above)s AND state NOT IN ('undone', 'done') AND (state <> 'waiting' OR due_at <= now())
     ORDER BY erasure_id LIMIT %(most)s"""


def look(erasure_id: int) -> Step:
    """Where an erasure is, locked until the transaction ends."""
    return Step(*rows(_LOOK, {"erasure": erasure_id})[0])


_LOOK = """
    SELECT erasure_id, state, account_id, kind, contact, tries FROM erasure WHERE erasure_id = %(erasure)s FOR NO KEY UPDATE"""


def go_on(master: MasterKeys, step: Step) -> bool:
    """Do the next step of what `look` told, in its transaction. False where there is nothing to be done now: it is held by law, or
    only the telling is left (`told`)."""
    match step.state:
        case "waiting":
            return _begin(master, step)
        case "rows":
            return _remove(step)
        case "person":
            return _forget(step)
    return False


def _begin(master: MasterKeys, step: Step) -> bool:
    [[gone]] = rows("SELECT erasure_begin(%(erasure)s)", {"erasure": step.erasure_id})
    if gone is None:
        return False
    for domain_id, local_part in gone:
        names.rest(master, domain_id, local_part, "erased")
    if step.kind == "account":
        _remember(master, step.account_id, gone)
    audit.record(
        "erasure.keys_destroyed", ACTOR, about=step.account_id, erasure=step.erasure_id, kind=step.kind
    )
    return True


def _remember(master: MasterKeys, account_id: int, gone: Sequence[tuple[int, str]]) -> None:
    """Whoever broke a rule is known by the memory of abuse, should he come back; of everybody else nothing is kept."""
    strikes = rows(_STRIKES, {"account": account_id})
    if not strikes:
        return
    [known] = rows(
        "SELECT contact_email, clerk_user_id FROM account WHERE account_id = %(account)s",
        {"account": account_id},
    )
    hosted = dict(rows("SELECT domain_id, name FROM domain", {}))
    addresses = [f"{local}@{hosted[domain_id]}" for domain_id, local in gone]
    told = [f"{kind} {rule} {day.isoformat()}" for kind, rule, day in strikes]
    keeping.remember(master, (*addresses, *known), {"actions": told})


# What an appeal or a colleague undid is not held against anybody.
_STRIKES = """
    SELECT kind, rule, in_force_at::date FROM staff_action
     WHERE account_id = %(account)s AND kind <> 'hold' AND (state = 'in_force' OR (state = 'lifted' AND lifted_why = 'time'))
     ORDER BY in_force_at LIMIT 50"""


def _remove(step: Step) -> bool:
    values = {"erasure": step.erasure_id, "most": BATCH}
    [[removed]] = rows("SELECT erasure_rows(%(erasure)s, %(most)s)", values)
    if removed == 0 and step.kind == "mailbox":
        _finish(step)
    return True


def _forget(step: Step) -> bool:
    # Some of what names a person has no index by person: such a look costs writers more than it costs one erasure a minute.
    rows("SELECT set_config('statement_timeout', '600000', true)", {})
    acting.forget(step.account_id)
    [[user_id]] = rows("SELECT erasure_person(%(erasure)s)", {"erasure": step.erasure_id})
    errands.add("delete_user", step.account_id, user=user_id)
    audit.forget(step.account_id)
    _finish(step)
    return True


def _finish(step: Step) -> None:
    event = audit.record("erasure.finished", ACTOR, erasure=step.erasure_id, kind=step.kind)
    rows(_FINISH, {"erasure": step.erasure_id, "event": event})


_FINISH = """
    UPDATE erasure SET state = 'telling', event = %(event)s, finished_at = clock_timestamp()
     WHERE erasure_id = %(erasure)s RETURNING erasure_id"""


def sweep_keys() -> bool:
    """Have no key that was destroyed lie in the files of the database; whether there was anything to do, and time for it."""
    return bool(rows("SELECT mailbox_keys_sweep()", {})[0][0])


def told(step: Step, *, arrived: bool) -> None:
    """The certificate has left, or could not: after five tries the contact address is forgotten all the same."""
    is_over = arrived or step.tries + 1 >= TRIES
    rows(_TOLD, {"erasure": step.erasure_id, "over": is_over})


_TOLD = """
    UPDATE erasure SET tries = tries + 1, state = CASE WHEN %(over)s THEN 'done' ELSE state END,
           contact = CASE WHEN %(over)s THEN '' ELSE contact END
     WHERE erasure_id = %(erasure)s AND state = 'telling' RETURNING erasure_id"""
