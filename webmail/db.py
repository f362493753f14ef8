"""The database: one session, named constraints, short random ids, and transactions that say whose mail they touch.

`transaction(mailbox_id)` is the only way to mail. Row-level security shows the web and worker roles nothing of any mail table
unless the transaction has named a mailbox, so forgetting to name one gives no rows and never somebody else's.
"""

import base64
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import psycopg
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, DateTime, MetaData, event, func, text
from sqlalchemy.dialects.postgresql import psycopg as dialect
from sqlalchemy.exc import DisconnectionError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column
from sqlalchemy.sql.expression import ClauseElement
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


CUSTOM_PLANS, CHOSEN_PLANS = "force_custom_plan", "auto"
"""Plan every statement anew, for its values; or keep a plan that costs no more than such a one: see `init_app`."""


def init_app(
    app: Flask, url: str, *, pool_size: int = 5, application_name: str = "mtumail", plans: str = CUSTOM_PLANS
) -> None:
    """Bind the session to Postgres at `url`. A connection that rested is checked first: a restart of Postgres heals itself.

    `plans`: a plan made without knowing the mailbox can read far more than one that does, and planning anew costs each statement
    0.1 to 0.3 ms. Pages, whose statements follow an index each, may keep theirs.
    """
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
            f" -c plan_cache_mode={plans}",
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
def transaction(mailbox_id: int | None = None, *, staff: bool = False) -> Iterator[Session]:
    """One transaction, committed at the end or rolled back on any error; `mailbox_id` names whose mail it may see.

    `staff`: it runs with the rights of `mtumail_staff`, which has none to mail; it cannot name a mailbox as well.
    Edges open it, verbs never commit. After the commit, and only then, what `after_commit` was given is called.
    """
    session = db.session()
    if session.in_transaction():
        raise RuntimeError("transactions do not nest: edges open one, verbs work inside it")
    if staff and mailbox_id is not None:
        raise RuntimeError("the staff has no mailbox to name")
    session.info["after_commit"] = []
    try:
        with session.begin():
            if staff:
                session.execute(_BECOME_STAFF)
            if mailbox_id is not None:
                rows(_NAME_MAILBOX, {"mailbox": str(mailbox_id)})
            yield session
        calls: list[Callable[[], Any]] = session.info["after_commit"]
    finally:
        session.info["after_commit"] = []
        session.close()
    for call in calls:
        call()


_BECOME_STAFF = text("SET LOCAL ROLE mtumail_staff")
_NAME_MAILBOX = "SELECT set_config('mtumail.mailbox', %(mailbox)s, true)"


def fixed(statement: ClauseElement) -> str:
    """A statement of SQLAlchemy's as the text that `rows` takes: each `bindparam` is a value to give, other values stand in it."""
    return str(statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True}))


_DIALECT = dialect.dialect()  # type: ignore[no-untyped-call]


def rows(sql: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of a statement whose text never changes, within the open transaction.

    By the driver alone, which takes 60 us where SQLAlchemy takes 150 to 400: every page asks such questions. Raises
    SQLAlchemy's OperationalError when Postgres is not there, as its own statements do.
    """
    raw = db.session().connection().connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    return _rows(raw, sql, values)


def glance(sql: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of one such statement outside of any transaction, and so of any mailbox: a third of the round trips.

    For what each request asks before it knows whose mail it is about. It must not write, but by a function of the database that
    is whole in itself and names its mailbox.
    """
    borrowed = db.engine.raw_connection()
    try:
        raw = borrowed.driver_connection
        assert isinstance(raw, psycopg.Connection)
        raw.autocommit = True
        found = _rows(raw, sql, values)
        raw.autocommit = False
        return found
    except BaseException:
        borrowed.invalidate()  # whatever state it was left in, nobody meets it again
        raise
    finally:
        borrowed.close()


def _rows(raw: psycopg.Connection[Any], sql: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    try:
        return raw.execute(sql, values).fetchall()
    except psycopg.OperationalError as error:
        raise OperationalError(None, None, error, hide_parameters=True) from None


def after_commit(call: Callable[[], Any]) -> None:
    """Have `call` run once the open transaction has committed; forgotten if it does not."""
    db.session().info["after_commit"].append(call)
