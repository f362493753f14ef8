"""The database: one session, named constraints, short random ids, and transactions that say whose mail they touch.

`transaction(mailbox_id)` is the only way in. Row-level security shows the web and worker roles nothing of any mail table
unless the transaction has named a mailbox, so forgetting to name one gives no rows and never somebody else's.
"""

import base64
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import psycopg
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, DateTime, MetaData, event, func, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column
from werkzeug.routing import BaseConverter, ValidationError

from webmail.errors import NotFound

NAMING = {
    "ix": "%(table_name)s_%(column_0_N_name)s",
    "uq": "%(table_name)s_%(column_0_N_name)s_taken_once",
    "ck": "%(table_name)s_%(constraint_name)s",
    "fk": "%(table_name)s_%(column_0_N_name)s_exists",
    "pk": "%(table_name)s_key",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


db = SQLAlchemy(model_class=Base)

BigId = Annotated[int, mapped_column(BigInteger)]
Stamp = Annotated[datetime, mapped_column(DateTime(timezone=True))]
StampNow = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=func.now())]

ID_BITS = 48


def new_id() -> int:
    """A random 48-bit id: eight characters in a URL, and nothing about order or number in it."""
    return secrets.randbits(ID_BITS)


def show_id(number: int) -> str:
    """An id as people see it in a URL: eight characters of URL-safe base64."""
    return base64.urlsafe_b64encode(number.to_bytes(ID_BITS // 8, "big")).decode()


def read_id(shown: str) -> int:
    """The id behind its shown form. Raises NotFound for anything that show_id does not make."""
    try:
        raw = base64.b64decode(shown.encode("ascii"), altchars=b"-_", validate=True)
    except (ValueError, UnicodeEncodeError):
        raise NotFound("id") from None
    if len(raw) != ID_BITS // 8:
        raise NotFound("id")
    return int.from_bytes(raw, "big")


class IdConverter(BaseConverter):
    """`<id:message>` in a route: a shown id outside, a number inside; anything else is a 404."""

    regex = r"[A-Za-z0-9_-]{8}"
    part_isolating = True

    def to_python(self, value: str) -> int:
        try:
            return read_id(value)
        except NotFound:
            raise ValidationError from None

    def to_url(self, value: int | str) -> str:
        return value if isinstance(value, str) else show_id(value)


def init_app(app: Flask, url: str, *, pool_size: int = 5, application_name: str = "mtumail") -> None:
    """Bind the session to Postgres at `url`. A connection that rested is checked first: a restart of Postgres heals itself."""
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "pool_size": pool_size,
        "max_overflow": pool_size,
        "pool_timeout": 10,
        "hide_parameters": True,  # an exception's text may end where nobody thought of: it holds no values
        "connect_args": {
            "application_name": application_name,
            "connect_timeout": 5,
            "options": "-c statement_timeout=15000 -c lock_timeout=8000 -c timezone=UTC"
            " -c idle_in_transaction_session_timeout=60000"
            # A plan made without knowing the mailbox reads far more than one that does: planning anew costs 0.3 ms.
            " -c plan_cache_mode=force_custom_plan",
        },
    }
    db.init_app(app)
    with app.app_context():
        event.listen(db.engine, "checkin", _remember)
        event.listen(db.engine, "checkout", _check)


IDLE_SECONDS = 2.0


def _remember(_connection: Any, record: Any) -> None:
    record.info["idle_since"] = time.monotonic()


def _check(connection: Any, record: Any, _proxy: Any) -> None:
    """Ask a connection that has rested whether it still stands; a busy one needs no question and saves a round trip."""
    if time.monotonic() - record.info.get("idle_since", 0) < IDLE_SECONDS:
        return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.Error:
        raise DisconnectionError from None


@contextmanager
def transaction(mailbox_id: int | None = None) -> Iterator[Session]:
    """One transaction, committed at the end or rolled back on any error; `mailbox_id` names whose mail it may see.

    Edges open it, verbs never commit. After the commit, and only then, what `after_commit` was given is called.
    """
    session = db.session()
    if session.in_transaction():
        raise RuntimeError("transactions do not nest: edges open one, verbs work inside it")
    session.info["after_commit"] = []
    try:
        with session.begin():
            if mailbox_id is not None:
                session.execute(_NAME_MAILBOX, {"mailbox": str(mailbox_id)})
            yield session
        calls: list[Callable[[], Any]] = session.info["after_commit"]
    finally:
        session.info["after_commit"] = []
        session.close()
    for call in calls:
        call()


_NAME_MAILBOX = text("SELECT set_config('mtumail.mailbox', :mailbox, true)")


def after_commit(call: Callable[[], Any]) -> None:
    """Have `call` run once the open transaction has committed; forgotten if it does not."""
    db.session().info["after_commit"].append(call)
