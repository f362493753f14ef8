"""The demo people, put into an empty store."""

from __future__ import annotations

import time

from webmail.embedded.clerk.passwords import hash_password
from webmail.embedded.clerk.store import Store, User
from webmail.embedded.people import DEMO_PASSWORD, DEMO_PEOPLE


def seed(store: Store) -> int:
    """Add the demo people unless somebody is there already; returns how many were added.

    Sends no webhooks: they were there before anybody asked. The app learns of them when they sign in.
    """
    with store.reading() as data:
        if data.users:
            return 0
    # One hash for all: their password is public, and six times scrypt would be a quarter of a second of every start.
    now, hashed = int(time.time() * 1000), hash_password(DEMO_PASSWORD)
    with store.changing() as data:
        for number, person in enumerate(DEMO_PEOPLE, 1):
            data.users[person.user_id] = User(
                id=person.user_id,
                email=person.email,
                email_id=f"idn_2mtuDemo{number:019d}",
                created_at=now,
                updated_at=now,
                username=person.username,
                first_name=person.first_name,
                last_name=person.last_name,
                password_hash=hashed,
                totp_secret=person.totp,
            )
    return len(DEMO_PEOPLE)
