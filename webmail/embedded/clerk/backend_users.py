"""Clerk's Backend API, the part that is about users: find, correct, ban, lock, delete, check a factor."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request

from webmail.embedded.clerk import accounts
from webmail.embedded.clerk.backend_api import body, page_of, text_of
from webmail.embedded.clerk.passwords import MINIMUM_LENGTH, check_password, hash_password, match_totp
from webmail.embedded.clerk.resources import Problem, deleted_json, user_json
from webmail.embedded.clerk.service import Change, local
from webmail.embedded.clerk.store import User

blueprint = Blueprint("backend_users", __name__, url_prefix="/v1/users")
METADATA = ("public_metadata", "private_metadata", "unsafe_metadata")
_NAMES = ("username", "first_name", "last_name", "external_id")
_BULK = 50


def _matching() -> list[User]:
    """The users that the query string describes, newest first."""
    arguments = request.args
    addresses = {
        value.lower() for value in arguments.getlist("email_address[]") + arguments.getlist("email_address")
    }
    usernames = {value.lower() for value in arguments.getlist("username[]") + arguments.getlist("username")}
    ids = set(arguments.getlist("user_id[]") + arguments.getlist("user_id"))
    query = arguments.get("query", "").strip().lower()
    with local().store.reading() as data:
        users = list(data.users.values())
    found = [
        user
        for user in users
        if (not addresses or user.email in addresses)
        and (not usernames or user.username in usernames)
        and (not ids or user.id in ids)
        and query
        in " ".join((user.id, user.email, *(getattr(user, name) or "" for name in _NAMES[:3]))).lower()
    ]
    return sorted(found, key=lambda user: (-user.created_at, user.id))


@blueprint.get("")
def users() -> Response:
    return jsonify(page_of([user_json(user) for user in _matching()]))


@blueprint.get("/count")
def count() -> Response:
    return jsonify({"object": "total_count", "total_count": len(_matching())})


def _text_or_none(values: dict[str, Any], name: str) -> str | None:
    value = values[name]
    if value is not None and not isinstance(value, str):
        raise Problem(422, "form_param_format_invalid", f"{name} must be text", name)
    value = (value or "").strip()
    if len(value) > 256:
        raise Problem(422, "form_param_max_length_exceeded", f"{name} must not exceed 256 characters", name)
    return (value.lower() if name == "username" else value) or None


def password_hash_of(password: Any) -> str:
    """The hash of an acceptable new password. Raises Problem (422)."""
    if not isinstance(password, str) or not MINIMUM_LENGTH <= len(password) <= 1024:
        message = f"Passwords must be {MINIMUM_LENGTH} or more characters"
        raise Problem(422, "form_password_length_too_short", message, "password")
    return hash_password(password)


def _changes(values: dict[str, Any]) -> dict[str, Any]:
    """The fields of User that a request sets. Raises Problem (422) for one that is not to be set this way."""
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name in _NAMES:
            changes[name] = _text_or_none(values, name)
        elif name == "password":
            changes["password_hash"] = password_hash_of(value)
        elif name not in ("locale", "skip_password_checks", "skip_password_requirement"):
            raise Problem(
                422, "form_param_unknown", f"{name} is not a valid parameter for this request.", name
            )
    return changes


def _metadata(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    for name, value in values.items():
        if name not in METADATA:
            raise Problem(
                422, "form_param_unknown", f"{name} is not a valid parameter for this request.", name
            )
        if not isinstance(value, dict):
            raise Problem(422, "form_param_format_invalid", f"{name} must be an object", name)
    return values


@blueprint.post("")
def create() -> Response:
    values = body()
    addresses = values.pop("email_address", None)
    if not isinstance(addresses, list) or len(addresses) != 1 or not isinstance(addresses[0], str):
        raise Problem(422, "form_param_missing", "email_address must hold one address.", "email_address")
    metadata = _metadata({name: values.pop(name) for name in METADATA if name in values})
    changes = _changes(values)
    with local().change() as change:
        return jsonify(user_json(accounts.create(change, email=addresses[0], **(changes | metadata))))


@blueprint.get("/<user_id>")
def user(user_id: str) -> Response:
    with local().store.reading() as data:
        return jsonify(user_json(accounts.find_user(data, user_id)))


@blueprint.patch("/<user_id>")
def correct(user_id: str) -> Response:
    """Names and password. Metadata has had its own address since version 2026-05-12 of the API: 422 here."""
    changes = _changes(body())
    with local().change() as change:
        found = accounts.find_user(change.data, user_id)
        accounts.check_names(change.data, changes.get("username"), None, ignoring=user_id)
        accounts.update(change, found, **changes)
        return jsonify(user_json(found))


@blueprint.delete("/<user_id>")
def delete(user_id: str) -> Response:
    with local().change() as change:
        found = accounts.find_user(change.data, user_id)
        accounts.delete(change, found)
        return jsonify(deleted_json(found))


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """`new` over `old`, objects merged in depth, keys set to null removed."""
    merged = dict(old)
    for name, value in new.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = _merged(merged[name], value)
        else:
            merged[name] = value
    return merged


@blueprint.route("/<user_id>/metadata", methods=["PATCH", "PUT"])
def metadata(user_id: str) -> Response:
    """PATCH merges, PUT replaces the kinds that are given."""
    values = _metadata(body())
    with local().change() as change:
        found = accounts.find_user(change.data, user_id)
        if request.method == "PATCH":
            values = {name: _merged(getattr(found, name), value) for name, value in values.items()}
        accounts.update(change, found, **values)
        return jsonify(user_json(found))


def _ban(change: Change, user_id: str, verb: str) -> User:
    found = accounts.find_user(change.data, user_id)
    if verb in ("ban", "unban"):
        accounts.ban(change, found, verb == "ban")
    else:
        accounts.update(change, found, locked=verb == "lock")
    return found


@blueprint.post("/<user_id>/<any(ban, unban, lock, unlock):verb>")
def hold(user_id: str, verb: str) -> Response:
    """A ban ends sessions, a lock only keeps new ones from starting."""
    with local().change() as change:
        return jsonify(user_json(_ban(change, user_id, verb)))


@blueprint.post("/<any(ban, unban):verb>")
def hold_many(verb: str) -> Response:
    ids = body().get("user_ids")
    if (
        not isinstance(ids, list)
        or not 1 <= len(ids) <= _BULK
        or not all(isinstance(one, str) for one in ids)
    ):
        raise Problem(422, "form_param_value_invalid", f"user_ids holds 1 to {_BULK} ids", "user_ids")
    with local().change() as change:
        for user_id in ids:
            accounts.find_user(change.data, user_id)
        return jsonify([user_json(_ban(change, user_id, verb)) for user_id in ids])


@blueprint.post("/<user_id>/verify_password")
def verify_password(user_id: str) -> Response:
    password = text_of(body(), "password")
    with local().store.reading() as data:
        stored = accounts.find_user(data, user_id).password_hash
    if stored is None:
        raise Problem(400, "no_password_set", "The user has no password")
    if not check_password(password, stored):
        raise Problem(422, "incorrect_password", "The password is incorrect", "password")
    return jsonify({"verified": True})


@blueprint.post("/<user_id>/verify_totp")
def verify_totp(user_id: str) -> Response:
    code = text_of(body(), "code")
    with local().change() as change:
        found = accounts.find_user(change.data, user_id)
        if found.totp_secret is None:
            raise Problem(400, "totp_disabled", "The user has no TOTP")
        if not take_code(found, code, change.now):
            raise Problem(422, "form_code_incorrect", "The code is incorrect or was used before", "code")
    return jsonify({"verified": True, "code_type": "totp"})


def take_code(found: User, code: str, now: float) -> bool:
    """Whether `code` is good for this user now; if so it is good no more. Needs a Change around it."""
    step = match_totp(found.totp_secret, code, now, found.totp_last_step) if found.totp_secret else None
    if step is None:
        return False
    found.totp_last_step = step
    return True
