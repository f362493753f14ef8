"""The two keys of the log: one signs its checkpoints, to the other sealed entries are sealed. Wrapped by the master key."""

from typing import Final

from sqlalchemy import text

from webmail.audit.notes import Verifier, new_key
from webmail.db import db
from webmail.errors import KeyTrouble
from webmail.keys import MasterKeys, Place, new_service_keys, open_service, seal_for

SALT_BYTES: Final = 32
CHECKPOINTS, SEALS = "checkpoints", "seals"


def verifier() -> Verifier | None:
    """The public key that checkpoints are signed with, and the log's name; None before the first checkpoint."""
    row = db.session.execute(_PUBLIC, {"purpose": CHECKPOINTS}).one_or_none()
    return Verifier(row.name, bytes(row.public_key)) if row else None


def signing_key(master: MasterKeys, origin: str) -> tuple[Verifier, bytes]:
    """The key that signs checkpoints, as (public, private); the first call makes it, for the log called `origin`."""
    if verifier() is None:
        public, private = new_key()
        _keep(CHECKPOINTS, origin, public, master.wrap(private, _PLACE))
    row = db.session.execute(_WRAPPED, {"purpose": CHECKPOINTS}).one()
    return Verifier(row.name, bytes(row.public_key)), master.unwrap(bytes(row.wrapped), _PLACE)


def public_key(master: MasterKeys | None = None) -> bytes:
    """What sealed entries are sealed to; made if there is none and `master` is given. Raises KeyTrouble."""
    row = db.session.execute(_PUBLIC, {"purpose": SEALS}).one_or_none()
    if row is not None:
        return bytes(row.public_key)
    if master is None:
        raise KeyTrouble("there is no key to seal entries with yet")
    made = new_service_keys(master, _PURPOSE)
    _keep(SEALS, SEALS, made.public_key, made.wrapped)
    return bytes(db.session.execute(_PUBLIC, {"purpose": SEALS}).one().public_key)


def seal_with(public: bytes, commitment: bytes, secret: bytes) -> bytes:
    """`secret` for the service's key, bound to the commitment that its entry holds."""
    return seal_for(public, secret, _place(commitment))


def open_sealed(master: MasterKeys, commitment: bytes, sealed: bytes) -> bytes:
    """What `seal_with` sealed. Raises KeyTrouble."""
    wrapped = db.session.execute(_WRAPPED, {"purpose": SEALS}).one().wrapped
    return open_service(master, _PURPOSE, bytes(wrapped), sealed, _place(commitment))


_PLACE: Final = Place("audit_key", 0, 0, CHECKPOINTS)
_PURPOSE: Final = "audit"
_PUBLIC = text("SELECT name, public_key FROM audit_key WHERE purpose = :purpose")
_WRAPPED = text("SELECT name, public_key, wrapped FROM audit_key WHERE purpose = :purpose")
_INSERT = text(
    "INSERT INTO audit_key (purpose, name, public_key, wrapped) VALUES (:purpose, :name, :public, :wrapped)"
    " ON CONFLICT DO NOTHING"
)


def _keep(purpose: str, name: str, public: bytes, wrapped: bytes) -> None:
    """Two first ones at once make one key."""
    values = {"purpose": purpose, "name": name, "public": public, "wrapped": wrapped}
    db.session.execute(_INSERT, values)


def _place(commitment: bytes) -> Place:
    return Place("audit_sealed", 0, int.from_bytes(commitment[:8], "big"), commitment.hex())
