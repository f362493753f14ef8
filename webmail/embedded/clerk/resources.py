"""Users, sessions and errors in the shapes that Clerk's Backend API and webhooks give them."""

from __future__ import annotations

import json
from typing import Any

from webmail.embedded.clerk.store import ActorToken, Session, User

LIVE = ("active", "pending")


class Problem(Exception):
    """A request that the API answers with an error. `meta` names the parameter at fault, where one is."""

    def __init__(self, status: int, code: str, message: str, parameter: str = "") -> None:
        self.status, self.code, self.message, self.parameter = status, code, message, parameter
        super().__init__(code)

    def body(self) -> str:
        meta = {"param_name": self.parameter} if self.parameter else {}
        error = {"code": self.code, "message": self.message, "long_message": self.message, "meta": meta}
        return json.dumps({"errors": [error], "clerk_trace_id": "local"})


def not_found(what: str) -> Problem:
    return Problem(404, "resource_not_found", f"No {what} was found with that id")


def user_json(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "object": "user",
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "image_url": "",
        "has_image": False,
        "primary_email_address_id": user.email_id,
        "primary_phone_number_id": None,
        "primary_web3_wallet_id": None,
        "password_enabled": user.password_hash is not None,
        "two_factor_enabled": user.totp_secret is not None,
        "totp_enabled": user.totp_secret is not None,
        "backup_code_enabled": False,
        "email_addresses": [
            {
                "id": user.email_id,
                "object": "email_address",
                "email_address": user.email,
                "reserved": False,
                "verification": {
                    "status": "verified",
                    "strategy": "admin",
                    "attempts": None,
                    "expire_at": None,
                },
                "linked_to": [],
                "created_at": user.created_at,
                "updated_at": user.created_at,
            }
        ],
        "phone_numbers": [],
        "web3_wallets": [],
        "passkeys": [],
        "external_accounts": [],
        "enterprise_accounts": [],
        "public_metadata": user.public_metadata,
        "private_metadata": user.private_metadata,
        "unsafe_metadata": user.unsafe_metadata,
        "external_id": user.external_id,
        "last_sign_in_at": user.last_sign_in_at,
        "last_active_at": user.last_sign_in_at,
        "banned": user.banned,
        "locked": user.locked,
        "lockout_expires_in_seconds": None,
        "verification_attempts_remaining": None if user.locked else 100,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
        "delete_self_enabled": True,
        "create_organization_enabled": False,
    }


def session_json(session: Session) -> dict[str, Any]:
    return {
        "object": "session",
        "id": session.id,
        "user_id": session.user_id,
        "client_id": session.client_id,
        "actor": session.actor,
        "status": session.status,
        "last_active_organization_id": None,
        "last_active_at": session.last_active_at,
        "expire_at": session.expire_at,
        "abandon_at": session.expire_at,
        "created_at": session.created_at,
        "updated_at": session.updated_at,
        "latest_activity": None,
    }


def actor_token_json(item: ActorToken, url: str, token: str | None) -> dict[str, Any]:
    """`token` is given once, at creation; only its hash is kept."""
    return {
        "object": "actor_token",
        "id": item.id,
        "status": item.status,
        "user_id": item.user_id,
        "actor": item.actor,
        "token": token,
        "url": url if token else None,
        "created_at": item.created_at,
        "updated_at": item.updated_at,
    }


def deleted_json(user: User) -> dict[str, Any]:
    gone: dict[str, Any] = {"object": "user", "id": user.id, "deleted": True}
    return gone if user.external_id is None else {**gone, "external_id": user.external_id}
