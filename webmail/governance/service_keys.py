"""The service's own key pair: what is sealed with it is for the staff, through the door that writes down who opened what."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from webmail.db import db
from webmail.governance.models import ServiceKey
from webmail.keys import MasterKeys, new_service_keys

PURPOSE = "reports"


def public_key(master: MasterKeys) -> bytes:
    """The service's public key for what is reported; made by the first who needs it. Two first ones at once make one key."""
    query = select(ServiceKey.public_key).where(ServiceKey.purpose == PURPOSE)
    found = db.session.execute(query).scalar()
    if found is not None:
        return found
    made = new_service_keys(master, PURPOSE)
    statement = insert(ServiceKey).values(purpose=PURPOSE, public_key=made.public_key, wrapped=made.wrapped)
    db.session.execute(statement.on_conflict_do_nothing())
    return db.session.execute(query).scalar_one()
