"""The CLERK_* settings that point the web app at the local Clerk. Needs no Flask and no running server."""

from __future__ import annotations

import base64
from pathlib import Path

from webmail.embedded.clerk.names import DEVELOPMENT, describe
from webmail.embedded.clerk.store import Keys, Store, public_pem

SECRET_PREFIXES = {"development": "sk_test_local", "production": "sk_live_local"}


def secret_key(keys: Keys, mode: str) -> str:
    """The Backend API key. Its prefix is what lets the app refuse it wherever real mail could be."""
    return f"{SECRET_PREFIXES[mode]}_{keys.secret}"


def webhook_signing_secret(keys: Keys) -> str:
    return "whsec_" + base64.b64encode(bytes.fromhex(keys.webhook_secret)).decode()


def local_environment(
    clerk_port: int, origin: str, data_dir: Path | str, mode: str = DEVELOPMENT
) -> dict[str, str]:
    """Settings for a web process at `origin` whose Clerk listens on 127.0.0.1:`clerk_port`.

    Makes keys in `data_dir` if there are none, so it may be called before or after the local Clerk starts.
    Raises ValueError for an unusable origin or mode, or an unreadable store.
    """
    instance = describe(mode, origin, clerk_port)
    with Store(Path(data_dir)).reading() as data:
        keys = data.keys
    settings = {
        "CLERK_PUBLISHABLE_KEY": instance.publishable_key,
        "CLERK_SECRET_KEY": secret_key(keys, mode),
        "CLERK_JWT_KEY": public_pem(keys.private_pem),
        "CLERK_API_URL": f"http://127.0.0.1:{clerk_port}",
        "CLERK_FAPI_URL": instance.url,
        "CLERK_SIGN_IN_URL": f"{instance.url}/sign-in",
        "CLERK_WEBHOOK_SIGNING_SECRET": webhook_signing_secret(keys),
    }
    if not instance.development:
        settings["CLERK_COOKIE_DOMAIN"] = instance.domain
    return settings
