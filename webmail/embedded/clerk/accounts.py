"""Users and their sessions: the verbs. Each works inside a `Change`, checks before it changes, and tells its events."""

from __future__ import annotations

import re
import secrets
from typing import Any

from webmail.embedded.clerk.resources import LIVE, Problem, deleted_json, not_found, session_json, user_json
from webmail.embedded.clerk.service import Change
from webmail.embedded.clerk.store import Client, Data, Session, User, hash_token, new_id

SESSION_SECONDS = 7 * 86_400
_REFRESH_KEPT = 5  # two tabs that handshake at once must not void each other's refresh token
_FORGET_AFTER_MS = 30 * 86_400_000
_USERNAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}\Z")
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]{1,190}\Z")


def find_user(data: Data, user_id: str) -> User:
    user = data.users.get(user_id)
    if user is None:
        raise not_found("user")
    return user


def by_identifier(data: Data, identifier: str) -> User | None:
    """The user with that username or address, in whatever case it was typed."""
    wanted = identifier.strip().lower()
    if not wanted:
        return None
    return next((user for user in data.users.values() if wanted in (user.username, user.email)), None)


def check_names(data: Data, username: str | None, email: str | None, ignoring: str = "") -> None:
    """Raise Problem (422) for a name that is malformed or taken by somebody else than `ignoring`."""
    if username is not None and not _USERNAME.match(username):
        raise Problem(
            422, "form_username_invalid_character", "Usernames are small letters, digits, . _ -", "username"
        )
    if email is not None and not _EMAIL.match(email):
        raise Problem(422, "form_param_format_invalid", "That is not an email address", "email_address")
    for user in data.users.values():
        if user.id != ignoring and username is not None and user.username == username:
            raise Problem(
                422, "form_identifier_exists", "That username is taken. Please try another.", "username"
            )
        if user.id != ignoring and email is not None and user.email == email:
            raise Problem(422, "form_identifier_exists", "That email address is taken.", "email_address")


def create(change: Change, *, email: str, username: str | None = None, **values: Any) -> User:
    """A new user; `values` are further fields of User. Raises Problem (422) for a name that will not do."""
    email = email.strip().lower()
    username = username.strip().lower() if username else None
    check_names(change.data, username, email)
    now = change.now_ms
    user_id = values.pop("id", None) or new_id("user")
    user = User(user_id, email, new_id("idn"), now, now, username=username, **values)
    change.data.users[user.id] = user
    change.tell("user.created", user_json(user))
    return user


def update(change: Change, user: User, **values: Any) -> None:
    """Set fields of `user` that have been checked, and say so."""
    for name, value in values.items():
        setattr(user, name, value)
    # Strictly later than before: receivers order updates by this alone, and two may share a millisecond.
    user.updated_at = max(change.now_ms, user.updated_at + 1)
    change.tell("user.updated", user_json(user))


def delete(change: Change, user: User) -> None:
    for session in sessions_of(change.data, user.id):
        end_session(change, session, "removed")
    change.data.sessions = {
        key: item for key, item in change.data.sessions.items() if item.user_id != user.id
    }
    change.data.actor_tokens = {
        key: item for key, item in change.data.actor_tokens.items() if item.user_id != user.id
    }
    del change.data.users[user.id]
    change.tell("user.deleted", deleted_json(user))


def ban(change: Change, user: User, banned: bool) -> None:
    """A ban ends every session; its lifting brings none back."""
    if banned:
        for session in sessions_of(change.data, user.id):
            end_session(change, session, "revoked")
    update(change, user, banned=banned)


def sessions_of(data: Data, user_id: str) -> list[Session]:
    return [session for session in data.sessions.values() if session.user_id == user_id]


def find_session(data: Data, session_id: str) -> Session:
    session = data.sessions.get(session_id)
    if session is None:
        raise not_found("session")
    return session


def is_live(session: Session, now: float) -> bool:
    return session.status in LIVE and session.expire_at > now * 1000


def settle(change: Change) -> None:
    """Note sessions that ran out, forget what ended a month ago and browsers without a session."""
    data, now = change.data, change.now_ms
    for session in data.sessions.values():
        if session.status in LIVE and session.expire_at <= now:
            session.status, session.updated_at = "expired", now
    keep = {
        key: one
        for key, one in data.sessions.items()
        if one.status in LIVE or one.updated_at > now - _FORGET_AFTER_MS
    }
    data.sessions = keep
    data.clients = {key: one for key, one in data.clients.items() if one.session_id in keep}


def start_session(
    change: Change,
    user: User,
    *,
    second_factor: bool = False,
    actor: dict[str, Any] | None = None,
    seconds: int = SESSION_SECONDS,
) -> tuple[Session, str]:
    """A new session in a new client, and the client's token: the only time that it is known in clear.

    A new client at each sign-in keeps a browser token planted beforehand from becoming a signed-in one.
    """
    settle(change)
    now, token = change.now_ms, "dvb_" + secrets.token_urlsafe(32)
    session = Session(
        id=new_id("sess"),
        user_id=user.id,
        client_id=new_id("client"),
        status="pending" if user.task else "active",
        created_at=now,
        updated_at=now,
        last_active_at=now,
        expire_at=now + seconds * 1000,
        first_factor_at=change.now,
        second_factor_at=change.now if second_factor else None,
        actor=actor,
    )
    client = Client(session.client_id, hash_token(token), session.id, int(change.now))
    change.data.sessions[session.id] = session
    change.data.clients[client.id] = client
    user.last_sign_in_at = now
    kind = "session.pending" if session.status == "pending" else "session.created"
    change.tell(kind, {**session_json(session), "user": user_json(user)})
    return session, token


def end_session(change: Change, session: Session, status: str) -> None:
    """`status` is ended (signed out), revoked or removed. Ending what has ended already tells nothing."""
    if session.status not in LIVE:
        return
    session.status, session.updated_at, session.refresh_hashes = status, change.now_ms, []
    user = change.data.users.get(session.user_id)
    change.tell(f"session.{status}", {**session_json(session), "user": user_json(user) if user else None})


def client_session(data: Data, token: str | None, now: float) -> tuple[Client, Session] | None:
    """The live session of the browser that holds `token`; None for an unknown browser or a session that is over."""
    if not token:
        return None
    wanted = hash_token(token)
    client = next((one for one in data.clients.values() if one.token_hash == wanted), None)
    session = data.sessions.get(client.session_id) if client else None
    user = data.users.get(session.user_id) if session else None
    if client is None or session is None or user is None or user.banned or not is_live(session, now):
        return None
    return client, session


def new_refresh_token(session: Session) -> str:
    token = "rt_" + secrets.token_urlsafe(32)
    session.refresh_hashes = [*session.refresh_hashes[-(_REFRESH_KEPT - 1) :], hash_token(token)]
    return token


def finish_task(change: Change, user: User) -> None:
    """The task is done: sessions that waited for it are active, and tokens that say otherwise are out of date."""
    update(change, user, task=None)
    for session in sessions_of(change.data, user.id):
        if session.status == "pending":
            session.status, session.updated_at = "active", change.now_ms
            change.data.clients[session.client_id].signed_in_at = int(change.now)
            change.tell("session.created", {**session_json(session), "user": user_json(user)})
