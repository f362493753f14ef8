"""What is written about cases, sealed; and what a case is about, as values that only who knows it already can look for."""

import hmac
import os
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from webmail.db import db
from webmail.governance.cases.models import ServiceSecret
from webmail.keys import KEY_BYTES, MasterKeys, Place, seal, unseal

_PURPOSE = "cases"
_PLACE = Place("service_secret", 0, 0, _PURPOSE)


class CaseSecret:
    """The service's secret for cases, opened, for the length of a request or a job. Made by `open_secret`."""

    def __init__(self, secret: bytes) -> None:
        self._sealing = hmac.digest(secret, b"mtumail cases seal", sha256)
        self._blinding = hmac.digest(secret, b"mtumail cases blind", sha256)

    def seal(self, words: str, table: str, row_id: int, field: str) -> bytes:
        """`words` sealed for one field of one row."""
        return seal(self._sealing, words.encode("utf-8", "replace"), Place(table, 0, row_id, field))

    def open(self, sealed: bytes | None, table: str, row_id: int, field: str) -> str:
        """What `seal` sealed for that place; "" for nothing. Raises Tampered, KeyTrouble."""
        return unseal(self._sealing, bytes(sealed), Place(table, 0, row_id, field)).decode() if sealed else ""

    def blind(self, kind: str, value: str) -> bytes:
        """32 bytes that stand for `value`: equal values are equal, and nothing else shows."""
        return hmac.digest(self._blinding, f"{kind}\0{value}".encode("utf-8", "replace"), sha256)


def open_secret(master: MasterKeys) -> CaseSecret:
    """The service's secret for cases; made by whoever needs it first. Two first ones at once make one."""
    query = select(ServiceSecret.wrapped).where(ServiceSecret.purpose == _PURPOSE)
    wrapped = db.session.execute(query).scalar()
    if wrapped is None:
        made = master.wrap(os.urandom(KEY_BYTES), _PLACE)
        statement = insert(ServiceSecret).values(purpose=_PURPOSE, wrapped=made)
        db.session.execute(statement.on_conflict_do_nothing())
        wrapped = db.session.execute(query).scalar_one()
    return CaseSecret(master.unwrap(bytes(wrapped), _PLACE))
