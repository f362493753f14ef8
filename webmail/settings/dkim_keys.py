"""The DKIM keys of hosted domains, and their rotation in two steps.

    create ──▶ next ──(its record is published)──▶ activate ──▶ active ──(the next one is activated)──▶ retired

Mail is signed with the active keys, one an algorithm. A retired one verifies for a week, as mail on its way may take so long; its
private half is gone at once. Private halves are wrapped by the master key, and loaded anew for each message: 0.5 ms, and nothing
that signs stays in a process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, func, insert, select, update

from webmail import audit
from webmail.db import db, glance, rows
from webmail.errors import NotFound, Refused
from webmail.keys import MasterKeys, Place
from webmail.settings import dkim_records
from webmail.settings.dkim_records import ALGORITHMS, Algorithm, SigningKey, State
from webmail.settings.models import DkimKey, Domain

VERIFIES: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Listed:
    """A key as whoever keeps a domain sees it. `owner` and `record` are the name and the text of its TXT record."""

    domain: str
    selector: str
    algorithm: Algorithm
    state: State
    since: datetime
    verifies_until: datetime | None
    owner: str
    record: str


def create(master: MasterKeys, domain_id: int, algorithm: Algorithm, actor: str) -> str:
    """Make a domain's next key of `algorithm`, which signs nothing yet; its selector.

    Raises NotFound for no such domain, Refused where a next key waits already.
    """
    made = dkim_records.generate(algorithm)
    _lock(domain_id)
    keys = list(
        db.session.execute(select(DkimKey.selector, DkimKey.algorithm, DkimKey.state).where(_of(domain_id)))
    )
    if any((key.algorithm, key.state) == (algorithm, "next") for key in keys):
        raise Refused(f"A next {algorithm} key waits already: activate or retire it first.")
    selector = dkim_records.next_selector(datetime.now(UTC).date(), [key.selector for key in keys])
    values = {
        "domain_id": domain_id,
        "selector": selector,
        "algorithm": algorithm,
        "public_key": made.public,
        "wrapped": master.wrap(made.private, _place(domain_id, selector)),
        "state": "next",
    }
    # Without anything returned: the staff may write these columns and no more.
    db.session.execute(insert(DkimKey).values(**values))
    audit.record("dkim_key.created", actor, domain=domain_id, selector=selector, algorithm=algorithm)
    return selector


def activate(domain_id: int, actor: str, selectors: Sequence[str] | None = None) -> list[str]:
    """Sign with a domain's next keys (or with these among them) from now on, and retire those that they follow; the selectors.

    Raises NotFound, Refused.
    """
    _lock(domain_id)
    waiting = select(DkimKey.selector, DkimKey.algorithm).where(_of(domain_id), DkimKey.state == "next")
    if selectors is not None:
        waiting = waiting.where(DkimKey.selector.in_(selectors))
    found = list(db.session.execute(waiting.order_by(DkimKey.selector)))
    if not found:
        raise Refused("No next key waits: create one first.")
    for key in found:
        followed = select(DkimKey.selector).where(
            _of(domain_id), DkimKey.state == "active", DkimKey.algorithm == key.algorithm
        )
        for selector in db.session.execute(followed).scalars().all():
            _retire(domain_id, selector, actor, VERIFIES)
        _change(domain_id, key.selector, state="active", activated_at=func.now())
        audit.record("dkim_key.activated", actor, domain=domain_id, selector=key.selector)
    return [key.selector for key in found]


def retire(domain_id: int, selector: str, actor: str, *, leaked: bool = False) -> None:
    """Sign with a key no more, whether or not another one follows; if it leaked, inbound believes it no more either.

    Raises NotFound, Refused.
    """
    _lock(domain_id)
    state = db.session.execute(
        select(DkimKey.state).where(_of(domain_id), DkimKey.selector == selector)
    ).scalar()
    if state is None:
        raise NotFound("key")
    if state == "retired" and not leaked:
        raise Refused("This key is retired already.")
    _retire(domain_id, selector, actor, timedelta(0) if leaked else VERIFIES)


def retire_all(domain_id: int, actor: str) -> None:
    """Sign with none of a domain's keys any more, as when it goes; mail on its way verifies for a week."""
    _lock(domain_id)
    living = select(DkimKey.selector).where(_of(domain_id), DkimKey.state != "retired")
    for selector in db.session.execute(living).scalars().all():
        _retire(domain_id, selector, actor, VERIFIES)


def ensure(master: MasterKeys, domain_id: int, actor: str) -> None:
    """Give a domain active keys where it has none: for a domain that begins, whose records nobody has looked for yet."""
    have = select(DkimKey.algorithm).where(_of(domain_id), DkimKey.state.in_(("next", "active")))
    missing = set(ALGORITHMS).difference(db.session.execute(have).scalars())
    for algorithm in (one for one in ALGORITHMS if one in missing):
        create(master, domain_id, algorithm, actor)
    if missing:
        activate(domain_id, actor)


def listed(domain_id: int | None = None) -> list[Listed]:
    """The keys of one domain or of all, the newest first."""
    # Not the wrapped halves: the staff may not even look at them.
    query = select(*_LISTED, Domain.name).join(Domain, Domain.domain_id == DkimKey.domain_id)
    if domain_id is not None:
        query = query.where(_of(domain_id))
    query = query.order_by(Domain.name, DkimKey.created_at.desc(), DkimKey.selector.desc())
    return [_listed(row) for row in db.session.execute(query)]


_LISTED: Final = (
    DkimKey.selector,
    DkimKey.algorithm,
    DkimKey.state,
    DkimKey.public_key,
    DkimKey.created_at,
    DkimKey.activated_at,
    DkimKey.retired_at,
    DkimKey.verifies_until,
)


def unsigned_domains() -> list[str]:
    """Hosted domains without an active key: their mail leaves unsigned."""
    return list(db.session.execute(UNSIGNED).scalars())


UNSIGNED: Final = (
    select(Domain.name)
    .where(
        Domain.verified_at.is_not(None),
        Domain.domain_id.not_in(select(DkimKey.domain_id).where(DkimKey.state == "active")),
    )
    .order_by(Domain.name)
)


def signing(master: MasterKeys, domain: str) -> Sequence[SigningKey]:
    """The active keys of a domain (A-labels), RSA first; none where it has none. Raises KeyTrouble.

    Read for each message, so that a key is followed by the next one everywhere at once.
    """
    found = {
        algorithm: (domain_id, selector, wrapped)
        for domain_id, selector, algorithm, wrapped in rows(_ACTIVE, {"domain": domain})
    }
    keys = []
    for algorithm in ALGORITHMS:
        if algorithm in found:
            domain_id, selector, wrapped = found[algorithm]
            private = master.unwrap(bytes(wrapped), _place(domain_id, selector))
            keys.append(dkim_records.load(selector, algorithm, private))
    return keys


_ACTIVE = """
    SELECT domain_id, selector, algorithm, wrapped FROM dkim_key JOIN domain USING (domain_id)
     WHERE domain.name = %(domain)s AND domain.verified_at IS NOT NULL AND dkim_key.state = 'active'"""


def oldest_active() -> datetime | None:
    """Since when the oldest key signs that does; None where none does."""
    found: datetime | None = rows("SELECT min(activated_at) FROM dkim_key WHERE state = 'active'", {})[0][0]
    return found


def published(selector: str, domain: str) -> str | None:
    """The key record that holds for a selector of a hosted domain, whatever DNS says; None where it is not one of ours.

    A key that verifies no more is said to be revoked. Outside of any transaction: for inbound, which asks for each signature.
    """
    for algorithm, public, verifies in glance(_PUBLISHED, {"selector": selector, "domain": domain}):
        return dkim_records.record(algorithm, bytes(public)) if verifies else dkim_records.REVOKED
    return None


_PUBLISHED = """
    SELECT algorithm, public_key, verifies_until IS NULL OR verifies_until > now() FROM dkim_key JOIN domain USING (domain_id)
     WHERE domain.name = %(domain)s AND domain.verified_at IS NOT NULL AND selector = %(selector)s"""


def _lock(domain_id: int) -> None:
    """Changes to the keys of one domain wait in line."""
    query = select(Domain.domain_id).where(Domain.domain_id == domain_id).with_for_update()
    if db.session.execute(query).scalar() is None:
        raise NotFound("domain")


def _retire(domain_id: int, selector: str, actor: str, verifies: timedelta) -> None:
    until = func.now() + verifies
    _change(
        domain_id,
        selector,
        state="retired",
        wrapped=None,
        retired_at=func.coalesce(DkimKey.retired_at, func.now()),
        verifies_until=until,
    )
    audit.record("dkim_key.retired", actor, domain=domain_id, selector=selector, verifies=bool(verifies))


def _change(domain_id: int, selector: str, **values: object) -> None:
    mine = (_of(domain_id), DkimKey.selector == selector)
    db.session.execute(
        update(DkimKey).where(*mine).values(**values).execution_options(synchronize_session=False)
    )


def _of(domain_id: int) -> ColumnElement[bool]:
    return DkimKey.domain_id == domain_id


def _place(domain_id: int, selector: str) -> Place:
    return Place("dkim_key", 0, domain_id, selector)


def _listed(key: Any) -> Listed:
    algorithm = cast("Algorithm", key.algorithm)
    return Listed(
        domain=key.name,
        selector=key.selector,
        algorithm=algorithm,
        state=cast("State", key.state),
        since=key.retired_at or key.activated_at or key.created_at,
        verifies_until=key.verifies_until,
        owner=dkim_records.name(key.selector, key.name),
        record=dkim_records.record(algorithm, key.public_key),
    )
