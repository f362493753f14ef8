"""The mail domains that we host."""

from sqlalchemy import select

from webmail.db import db, new_id
from webmail.settings.models import Domain


def host(name: str) -> int:
    """Host `name` (lower case, A-labels) from now on; the id of the domain, also when it was hosted before."""
    known = find(name)
    if known is not None:
        return known
    domain = Domain(domain_id=new_id(), name=name)
    db.session.add(domain)
    db.session.flush()
    return domain.domain_id


def find(name: str) -> int | None:
    """The id of a hosted domain, or None."""
    return db.session.execute(select(Domain.domain_id).where(Domain.name == name)).scalar()


def names() -> list[str]:
    """All hosted domains, in order of their names."""
    return list(db.session.execute(select(Domain.name).order_by(Domain.name)).scalars())
