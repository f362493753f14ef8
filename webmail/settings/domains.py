"""The mail domains that we host, and who may take a name in each."""

from dataclasses import dataclass

from sqlalchemy import select, text, update

from webmail.db import db, new_id
from webmail.errors import NotFound, Refused
from webmail.settings.models import Domain

MODES = ("open", "invite", "closed")
"""Who may take a name: whoever signs in, who has an invitation, nobody."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """A hosted domain. `registration`: one of MODES; None does what the installation does."""

    domain_id: int
    name: str
    registration: str | None

    def mode(self, usual: str) -> str:
        """Who may take a name here; `usual` is what the installation does."""
        return self.registration or usual


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


def hosted() -> list[Hosted]:
    """All hosted domains and who may take names in them, in order of their names."""
    return [Hosted(*row) for row in db.session.execute(_HOSTED)]


_HOSTED = text("SELECT domain_id, name, registration FROM domain ORDER BY name")


def set_registration(domain_id: int, mode: str | None) -> None:
    """Say who may take a name in a domain; None: as the installation does. Raises Refused for what is no mode, and NotFound."""
    if mode is not None and mode not in MODES:
        raise Refused(f"there is no such registration: {mode}")
    done = db.session.execute(
        update(Domain)
        .where(Domain.domain_id == domain_id)
        .values(registration=mode)
        .returning(Domain.domain_id)
    )
    if done.first() is None:
        raise NotFound("domain")
