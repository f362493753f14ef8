"""Row 76 of the protocol's table: webhooks that are genuine, that are not, and that come late."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace

import pytest

from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.webhooks import (
    KnownUser,
    SessionEnded,
    SignedIn,
    UserChanged,
    UserDeleted,
    WebhookRefused,
    effect_of,
    is_news,
    receive,
)

NOW = 1_790_000_000.0
SECRET, OTHER = b"s" * 24, b"o" * 24
SETTINGS = ClerkSettings.from_environment(
    {
        "CLERK_PUBLISHABLE_KEY": "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k",
        "CLERK_SECRET_KEY": "sk_live_abc",
        "CLERK_WEBHOOK_SIGNING_SECRET": "whsec_" + base64.b64encode(SECRET).decode(),
    },
    origin="https://mail.example.com",
    environment="production",
)


def body_of(kind="user.updated", data=None, **changes):
    event = {
        "object": "event",
        "type": kind,
        "timestamp": int(NOW * 1000),
        "instance_id": "ins_1",
        "data": data or {"id": "user_1"},
    }
    return json.dumps(event | changes).encode()


def signature(body, secret=SECRET, at=NOW, message="msg_1"):
    signed = f"{message}.{int(at)}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def deliver(body, *, signed=None, at=NOW, message="msg_1", settings=SETTINGS):
    headers = {
        "svix-id": message,
        "svix-timestamp": str(int(at)),
        "svix-signature": signature(body, at=at) if signed is None else signed,
    }
    return receive(headers, body, settings, NOW)


def refused(body, **how):
    with pytest.raises(WebhookRefused) as caught:
        deliver(body, **how)
    return caught.value.status


def test_genuine():
    event = deliver(body_of())
    assert (event.message_id, event.kind, event.occurred_at) == ("msg_1", "user.updated", NOW)
    assert deliver(body_of(timestamp=int(NOW))).occurred_at == NOW, "seconds as well as milliseconds"


def test_several_signatures_and_secrets():
    body = body_of()
    assert deliver(body, signed=f"v1,AAAA v2,BBBB {signature(body)}")
    rotated = replace(SETTINGS, webhook_secrets=(OTHER, SECRET))
    assert deliver(body, settings=rotated)
    assert deliver(body, signed=signature(body, OTHER), settings=rotated)


@pytest.mark.parametrize(
    "signed",
    [
        "",
        "garbage",
        "v1,a,b",
        "v1,",
        "v1",
        "v1,é",
        ",",
        "v1a," + signature(body_of())[3:],
        signature(body_of(), OTHER),
        "v1,AAAA " * 20,
    ],
)
def test_not_genuine(signed):
    assert refused(body_of(), signed=signed) == 400


def test_signatures_cover_body_time_and_id():
    good = signature(body_of())
    assert refused(body_of(data={"id": "user_2"}), signed=good) == 400
    assert refused(body_of(), signed=good, message="msg_2") == 400
    assert refused(body_of(), signed=good, at=NOW + 1) == 400
    assert refused(body_of(), settings=replace(SETTINGS, webhook_secrets=())) == 400


def test_too_old_too_early_too_large():
    for offset in (-301, 301):
        assert refused(body_of(), at=NOW + offset) == 400
    for offset in (-299, 299):
        assert deliver(body_of(), at=NOW + offset)
    assert refused(b"x" * 1_000_000) == 413
    for headers in (
        {},
        {"svix-id": "m", "svix-timestamp": "-1", "svix-signature": "v1,AAAA"},
        {"svix-timestamp": "9" * 30},
    ):
        with pytest.raises(WebhookRefused):
            receive(headers, b"{}", SETTINGS, NOW)


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b"[" * 100_000,
        body_of(timestamp="now"),
        body_of(type=7),
        body_of(data=[1]),
    ],
)
def test_signed_nonsense(body):
    assert refused(body) == 400


def test_other_instances():
    bound = replace(SETTINGS, instance_id="ins_1")
    assert deliver(body_of(), settings=bound)
    assert refused(body_of(instance_id="ins_2"), settings=bound) == 400


USER = {
    "id": "user_1", "updated_at": 1000, "first_name": "Ann", "last_name": "Lee", "username": None, "banned": False,
    "primary_email_address_id": "idn_2",
    "email_addresses": [
        {"id": "idn_1", "email_address": "old@example.org", "verification": {"status": "verified"}},
        {"id": "idn_2", "email_address": "ann@example.org", "verification": {"status": "verified"}},
    ],
}  # fmt: skip


def effect(kind, data):
    return effect_of(deliver(body_of(kind, data)))


def test_effects():
    assert effect("user.created", USER) == UserChanged(
        "user_1", 1000, "Ann Lee", "ann@example.org", banned=False
    )
    unverified = USER | {
        "email_addresses": [USER["email_addresses"][1] | {"verification": {"status": "unverified"}}]
    }
    assert effect("user.updated", unverified | {"banned": True}) == UserChanged(
        "user_1", 1000, "Ann Lee", None, banned=True
    )
    assert effect("user.deleted", {"id": "user_1", "deleted": True}) == UserDeleted("user_1")
    session = {"id": "sess_1", "user_id": "user_1", "actor": None}
    for kind in ("session.ended", "session.removed", "session.revoked"):
        assert effect(kind, session) == SessionEnded("sess_1", "user_1")
    assert effect("session.created", session) == SignedIn("sess_1", "user_1", impersonated=False)
    assert effect("session.created", session | {"actor": {"sub": "x"}}) == SignedIn(
        "sess_1", "user_1", impersonated=True
    )
    for kind, data in (
        ("email.created", session),
        ("user.updated", {"id": 7}),
        ("session.ended", {"id": "sess_1"}),
        ("user.deleted", {"id": None}),
    ):
        assert effect(kind, data) is None


def test_late_events_change_nothing():
    changed = effect("user.updated", USER)
    assert is_news(changed, None)
    assert is_news(changed, KnownUser(updated_at=1000))
    assert not is_news(changed, KnownUser(updated_at=1001))
    assert not is_news(changed, KnownUser(updated_at=0, deleted=True)), "deleted people do not come back"
    gone = effect("user.deleted", {"id": "user_1"})
    assert is_news(gone, KnownUser(updated_at=9999))
    assert not is_news(gone, KnownUser(updated_at=0, deleted=True))
    assert is_news(SessionEnded("sess_1", "user_1"), None)
