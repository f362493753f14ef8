"""The mail domains that we host: how they come, what they are for, and how they go.

    add ──▶ waits ──(DNS shows its token)──▶ verified ──▶ resting (no new names) ──▶ removed (nothing is left but its name)

One that waits gives no names, takes no mail and sends none: whoever added somebody else's domain has gained nothing. An alias is a
domain without names of its own: mail for it goes to the same name at another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from webmail import audit
from webmail.db import db, new_id, rows
from webmail.errors import NotFound, Refused
from webmail.mail.idn import to_ascii, to_display
from webmail.settings import routes
from webmail.settings.models import Domain

MODES = ("open", "invite", "closed")
"""Who may take a name: whoever signs in, who has an invitation, nobody."""
STS_MODES = ("none", "testing", "enforce")
"""What MTA-STS asks of others (RFC 8461 section 5): nothing; to tell of trouble; to deliver over TLS that they trust or not."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """A domain that gives names. `registration`: one of MODES; None does what the installation does."""

    domain_id: int
    name: str
    registration: str | None

    def mode(self, usual: str) -> str:
        """Who may take a name here; `usual` is what the installation does."""
        return self.registration or usual


@dataclass(frozen=True, slots=True)
class Kept:
    """A domain as whoever keeps it sees it. `state`: active or resting; `alias_of`: the name of the domain it leads to, or ""."""

    domain_id: int
    name: str
    state: str
    verified_at: datetime | None
    alias_of: str
    registration: str | None
    sts_mode: str
    token: str
    created_at: datetime

    @property
    def shown(self) -> str:
        """The name as people read it."""
        return to_display(self.name)

    @property
    def stage(self) -> str:
        """One word for what it is: waiting, alias, resting, active."""
        if self.verified_at is None:
            return "waiting"
        return "resting" if self.state == "resting" else "alias" if self.alias_of else "active"


# --- which there are -------------------------------------------------------------------------------------------------------


def find(name: str) -> int | None:
    """The id of a domain that is hosted, or waits to be, or None."""
    known = (Domain.name == name, Domain.state != "removed")
    return db.session.execute(select(Domain.domain_id).where(*known)).scalar()


def takes_mail(name: str) -> tuple[int, datetime | None] | None:
    """The id of the domain whose mailboxes take mail for `name` (A-labels): itself, or the one that it is an alias of, and then
    since when that is ours; or None."""
    found = rows(_TAKES, {"name": name})
    return (found[0][0], found[0][1]) if found else None


_TAKES = """
    SELECT coalesce(alias_of, domain_id), CASE WHEN alias_of IS NOT NULL THEN verified_at END
      FROM domain WHERE name = %(name)s AND verified_at IS NOT NULL"""


def names() -> list[str]:
    """Every domain whose mail is ours, in order of their names, aliases last."""
    return [name for (name,) in rows(_NAMES, {})]


# Not one that nobody has verified: mail for somebody else's domain has to leave, and ours is not sent in its name.
_NAMES = "SELECT name FROM domain WHERE verified_at IS NOT NULL ORDER BY alias_of IS NOT NULL, name"


def hosted() -> list[Hosted]:
    """The domains that give names, and who may take them, in order of their names."""
    return [Hosted(*row) for row in rows(_HOSTED, {})]


_HOSTED = """
    SELECT domain_id, name, registration FROM domain
     WHERE verified_at IS NOT NULL AND state = 'active' AND alias_of IS NULL ORDER BY name"""


def giving(name: str) -> int | None:
    """The id of a domain that gives names, or None."""
    return next((place.domain_id for place in hosted() if place.name == name), None)


def kept() -> list[Kept]:
    """Every domain, those that wait included, in order of their names."""
    return [Kept(*row) for row in rows(f"{_KEPT} ORDER BY d.name", {})]


def one(domain_id: int) -> Kept:
    """A domain. Raises NotFound."""
    found = rows(f"{_KEPT} AND d.domain_id = %(domain)s", {"domain": domain_id})
    if not found:
        raise NotFound("domain")
    return Kept(*found[0])


_KEPT = """
    SELECT d.domain_id, d.name, d.state, d.verified_at, coalesce(o.name, ''), d.registration, d.sts_mode, d.token, d.created_at
      FROM domain d LEFT JOIN domain o ON o.domain_id = d.alias_of WHERE d.state <> 'removed'"""


def aliases(domain_id: int) -> list[Kept]:
    """The aliases of a domain, those that wait included."""
    return [
        Kept(*row)
        for row in rows(f"{_KEPT} AND d.alias_of = %(domain)s ORDER BY d.name", {"domain": domain_id})
    ]


def is_in_use(domain_id: int) -> bool:
    """Whether there are mailboxes with names in it."""
    return bool(rows("SELECT domain_in_use(%(domain)s)", {"domain": domain_id})[0][0])


# --- beginning -------------------------------------------------------------------------------------------------------------


def host(name: str) -> int:
    """Host `name` (lower case, A-labels) from now on, verified by whoever runs this; its id, also when it was hosted before.

    For the operator's own commands, and for what a laptop begins with; who asks over the network is asked for a proof: see `add`.
    """
    known = find(name)
    if known is not None:
        return known
    return int(rows(_HOST, {"domain": new_id(), "name": name})[0][0])


_HOST = """
    INSERT INTO domain (domain_id, name, verified_at) VALUES (%(domain)s, %(name)s, now())
        ON CONFLICT (name) DO UPDATE SET state = 'active', verified_at = now() RETURNING domain_id"""


def read(typed: str) -> str:
    """A domain's name as it is kept, from what somebody typed, with letters of any script. Raises Refused("not-a-domain")."""
    name = to_ascii(typed.strip().removesuffix("."))
    if name is None or "." not in name or name.rpartition(".")[2].isdigit():
        raise Refused("not-a-domain")
    return name


def add(typed: str, *, actor: str) -> int:
    """Have a domain wait for its proof; its id. Audited. Raises Refused("not-a-domain", "known")."""
    name = read(typed)
    if find(name) is not None:
        raise Refused("known")
    # One that was here before comes back under its id, so that the names which rest there go on resting; with a new token.
    came = rows(_COMES_BACK, {"name": name})
    if came:
        domain_id = int(came[0][0])
    else:
        domain_id = new_id()
        try:
            with db.session.begin_nested():
                db.session.execute(_ADD, {"domain": domain_id, "name": name})
        except IntegrityError:  # somebody else in the same instant
            raise Refused("known") from None
    audit.record("domain.added", actor, domain=domain_id)
    return domain_id


_COMES_BACK = """
    UPDATE domain SET state = 'active', sts_mode = 'none', token = replace(gen_random_uuid()::text, '-', '')
     WHERE name = %(name)s AND state = 'removed' RETURNING domain_id"""
_ADD = text("INSERT INTO domain (domain_id, name) VALUES (:domain, :name)")


def verified(domain_id: int, *, actor: str) -> bool:
    """Note that a domain is ours to host: DNS has shown its token, or an operator vouches. False where it was known. Audited."""
    changed = rows(
        "UPDATE domain SET verified_at = now() WHERE domain_id = %(domain)s AND verified_at IS NULL AND state <> 'removed'"
        " RETURNING domain_id",
        {"domain": domain_id},
    )
    if changed:
        audit.record("domain.verified", actor, domain=domain_id)
    return bool(changed)


# --- changing --------------------------------------------------------------------------------------------------------------


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


def set_sts(domain_id: int, mode: str, *, actor: str) -> None:
    """Say what MTA-STS asks of others for a domain. Audited. Raises Refused("no-such-choice"), NotFound; and "sts-remembered" for
    none at once: who remembers what was enforced gives that up only for another policy (RFC 8461 section 8.3)."""
    if mode not in STS_MODES:
        raise Refused("no-such-choice")
    if mode == "none" and one(domain_id).sts_mode == "enforce":
        raise Refused("sts-remembered")
    _change("sts_mode = :mode", domain_id, mode=mode)
    audit.record("domain.sts", actor, domain=domain_id, mode=mode)


def make_alias(domain_id: int, of: int | None, *, actor: str) -> None:
    """Have mail for a domain go to the same names at another one; None: at itself again. Audited.

    What mail for a name there is somebody's, or was, stays so: nobody else gets the name at a domain that was an alias. Raises
    Refused: "in-use" for one that has mailboxes, "names-rest" for one whose names rest, "names-given" where it was another one's
    alias with some of the same names, "has-aliases", "not-a-target" for another that is one itself, waits or is gone; NotFound.
    """
    _change("alias_of = :of", domain_id, of=of)
    audit.record("domain.alias", actor, domain=domain_id, of=of)


def rest(domain_id: int, *, resting: bool, actor: str) -> None:
    """Let a domain give no new names, or again; its mailboxes go on as before. Audited. Raises NotFound."""
    _change("state = :state", domain_id, state="resting" if resting else "active")
    audit.record("domain.rests" if resting else "domain.wakes", actor, domain=domain_id)


def refuse_unless_removable(domain_id: int) -> None:
    """Raise Refused("in-use", "has-aliases") while somebody has a name there, or NotFound. The database asks again in `remove`."""
    one(domain_id)
    if is_in_use(domain_id):
        raise Refused("in-use")
    if aliases(domain_id):
        raise Refused("has-aliases")


def remove(domain_id: int, *, actor: str) -> None:
    """Host a domain no more. Audited. Raises Refused("in-use", "has-aliases") while somebody has a name there, and NotFound.

    Its name and the names that rest there stay known, so that nobody gets them if it comes back. Its keys are for
    `dkim_keys.retire_all`.
    """
    routes.drop_all(domain_id)
    _change("state = 'removed'", domain_id)
    rows(
        "UPDATE registration_invitation SET withdrawn_at = now() WHERE domain_id = %(domain)s AND withdrawn_at IS NULL"
        " RETURNING invitation_id",
        {"domain": domain_id},
    )
    audit.record("domain.removed", actor, domain=domain_id)


_REFUSALS = {
    "domain_has_mailboxes": "in-use",
    "domain_has_aliases": "has-aliases",
    "domain_alias_is_of_a_domain": "not-a-target",
    "domain_alias_is_of_another": "not-a-target",
    "domain_alias_of_exists": "not-a-target",
    "domain_names_rest": "names-rest",
    "domain_alias_keeps_names": "names-given",
}


def _change(what: str, domain_id: int, **values: object) -> None:
    sql = f"UPDATE domain SET {what} WHERE domain_id = :domain AND state <> 'removed' RETURNING domain_id"
    try:
        with db.session.begin_nested():
            found = db.session.execute(text(sql), {"domain": domain_id, **values}).first()
    except IntegrityError as error:
        broken = str(getattr(getattr(error.orig, "diag", None), "constraint_name", ""))
        raise Refused(_REFUSALS[broken]) from None
    if found is None:
        raise NotFound("domain")
