"""What Clerk is told: exactly what the published policy says, and nothing of anybody's mail."""

import ast
from html import unescape
from pathlib import Path

from webmail.identity.clerk import backend
from webmail.web import policy

# What a call sends beside the identifier in its path, and which line of the policy tells of it.
SENT = {
    "/sessions/{}/refresh": ("body", "query"),
    "/jwks": (),
    "/users/{}": ("body",),
    "/users": ("query",),
    "/users/count": (),
    "/users/{}/ban": (),
    "/users/{}/unban": (),
    "/users/{}/lock": (),
    "/users/{}/unlock": (),
    "/sessions": ("query",),
    "/sessions/{}": (),
    "/sessions/{}/revoke": (),
    "/users/{}/verify_password": ("body",),
    "/users/{}/verify_totp": ("body",),
    "/clients/handshake_payload": ("query",),
}


def template(node):
    """A path with its identifiers left out; None for what is no path."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("/"):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = ["{}" if isinstance(one, ast.FormattedValue) else one.value for one in node.values]
        return "".join(parts) if parts[0].startswith("/") else None
    return None


def test_P21_whatever_clerk_is_asked_is_on_this_list():
    tree = ast.parse(Path(backend.__file__).read_text("utf-8"))
    inner = {id(part) for one in ast.walk(tree) if isinstance(one, ast.JoinedStr) for part in one.values}
    found = {template(node) for node in ast.walk(tree) if id(node) not in inner} - {None}
    assert found == set(SENT)


def test_P21_and_so_is_every_field_that_is_sent():
    tree = ast.parse(Path(backend.__file__).read_text("utf-8"))
    keys = {
        key.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }
    assert keys == {
        "format", "expired_token", "refresh_token", "request_origin", "request_headers", "user-agent", "accept-language",
        "password", "code", "user_id", "status", "limit", "offset", "suffixed_cookies", "nonce",
    }  # fmt: skip


def test_P21_the_policy_says_all_of_it(stranger, web_app):
    page = unescape(stranger.get("/privacy").text)
    with web_app.test_request_context("/"):
        lines = [str(one) for one in policy.TO_CLERK]
    assert len(lines) == 4
    assert all(line in page for line in lines)
