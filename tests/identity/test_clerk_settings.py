"""Settings that make no sense are refused, and keys are read as Clerk writes them."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from webmail.identity.clerk.cookies import sign_out_cookies
from webmail.identity.clerk.keys import keyring_from_jwks, parse_pems, parse_publishable_key
from webmail.identity.clerk.settings import ClerkSettings, SettingError

KEY = rsa.generate_private_key(65537, 2048)
WEAK = rsa.generate_private_key(65537, 1024)
LIVE = {"CLERK_PUBLISHABLE_KEY": "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k", "CLERK_SECRET_KEY": "sk_live_abc"}
TEST = {
    "CLERK_PUBLISHABLE_KEY": "pk_test_aGFwcHktY2F0LTEyLmNsZXJrLmFjY291bnRzLmRldiQ",
    "CLERK_SECRET_KEY": "sk_test_abc",
}


def pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def read(env=LIVE, origin="https://mail.example.com", environment="production", **changes):
    return ClerkSettings.from_environment(env | changes, origin=origin, environment=environment)


@pytest.mark.parametrize(
    ("text", "host", "suffix", "accounts"),
    [
        ("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k", "clerk.example.com", "naoXFJnI", "https://accounts.example.com"),
        (
            "pk_test_aGFwcHktY2F0LTEyLmNsZXJrLmFjY291bnRzLmRldiQ",
            "happy-cat-12.clerk.accounts.dev",
            "XbPsHh4i",
            "https://happy-cat-12.accounts.dev",
        ),
        (
            "pk_live_ZmFrZS1jbGVyay10ZXN0LmNsZXJrLmFjY291bnRzLmRldiQ=",
            "fake-clerk-test.clerk.accounts.dev",
            "qReyu04C",
            "https://fake-clerk-test.accounts.dev",
        ),
        ("pk_test_Y2xlcmsuY2xlcmsuZGV2JA", "clerk.clerk.dev", "QvfNY2dr", "https://accounts.clerk.dev"),
    ],
)
def test_publishable_keys(text, host, suffix, accounts):
    key = parse_publishable_key(text)
    assert (key.host, key.suffix, key.accounts_url, key.live) == (
        host,
        suffix,
        accounts,
        text.startswith("pk_live"),
    )


def keyed(host, kind="test"):
    return f"pk_{kind}_{base64.b64encode(host.encode()).decode()}"


def test_a_local_stand_in():
    key = parse_publishable_key(keyed("clerk.localhost:5001$"))
    assert (key.host, key.frontend_url) == ("clerk.localhost:5001", "https://clerk.localhost:5001")


@pytest.mark.parametrize(
    "text",
    [
        "", "pk_live_", "pk_prod_Y2xlcmsuZXhhbXBsZS5jb20k", "pk_live_a_b", "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k ", keyed("clerk.example.com"),
        keyed("localhost:5001$"), keyed("clerk.example.com$$"), keyed("a.b/c$"), keyed("a.b\r\nX: y$"), "pk_live_Y",
    ],
)  # fmt: skip
def test_publishable_keys_that_are_none(text):
    with pytest.raises(ValueError):
        parse_publishable_key(text)


def test_what_follows_from_the_keys():
    settings = read(CLERK_JWT_KEY=pem(KEY).replace("\n", "\\n"))
    assert settings.issuer == "https://clerk.example.com"
    assert settings.sign_in_url == "https://accounts.example.com/sign-in"
    assert settings.authorized_parties == ("https://mail.example.com",)
    assert settings.cookie_domain == "example.com"
    assert settings.host == "mail.example.com"
    assert settings.form_action_origins == ("https://clerk.example.com", "https://accounts.example.com")
    assert len(settings.pems) == 1
    assert "sk_live" not in repr(settings)
    assert read(origin="https://Mail.Example.com:443/").origin == "https://mail.example.com"
    assert read(origin="https://mail.other.org").cookie_domain is None, "not our domain, so no cookies for it"


def test_development_and_the_local_stand_in():
    local = {
        "CLERK_PUBLISHABLE_KEY": keyed("clerk.localhost:5001$"),
        "CLERK_SECRET_KEY": "sk_test_local_1",
        "CLERK_API_URL": "http://127.0.0.1:5001",
        "CLERK_FAPI_URL": "http://clerk.localhost:5001",
        "CLERK_SIGN_IN_URL": "http://clerk.localhost:5001/sign-in",
    }
    settings = read(local, origin="http://mail.localhost:8000", environment="development")
    assert settings.frontend_url == "http://clerk.localhost:5001"
    assert settings.issuer == "https://clerk.localhost:5001"
    assert settings.form_action_origins == ("http://clerk.localhost:5001",)
    assert not settings.secure
    assert "Secure" not in "".join(sign_out_cookies(settings))
    for environment, origin in (
        ("production", "https://mail.example.com"),
        ("production", "http://mail.localhost"),
    ):
        with pytest.raises(SettingError):
            read(local, origin=origin, environment=environment)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"CLERK_PUBLISHABLE_KEY": ""}, "CLERK_PUBLISHABLE_KEY"),
        ({"CLERK_PUBLISHABLE_KEY": "pk_live_x"}, "CLERK_PUBLISHABLE_KEY"),
        (TEST, "CLERK_PUBLISHABLE_KEY"),
        ({"CLERK_SECRET_KEY": ""}, "CLERK_SECRET_KEY"),
        ({"CLERK_SECRET_KEY": "secret-key"}, "CLERK_SECRET_KEY"),
        ({"CLERK_SECRET_KEY": "sk_test_abc"}, "CLERK_SECRET_KEY"),
        ({"CLERK_SECRET_KEY": "sk_test_local_1"}, "CLERK_SECRET_KEY"),
        ({"CLERK_JWT_KEY": "x"}, "CLERK_JWT_KEY"),
        ({"CLERK_JWT_KEY": pem(WEAK)}, "CLERK_JWT_KEY"),
        ({"CLERK_JWT_KEY": pem(ec.generate_private_key(ec.SECP256R1()))}, "CLERK_JWT_KEY"),
        ({"CLERK_JWT_KEY": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"}, "CLERK_JWT_KEY"),
        ({"CLERK_API_URL": "http://api.clerk.com"}, "CLERK_API_URL"),
        ({"CLERK_API_URL": "http://127.0.0.1:1"}, "CLERK_API_URL"),
        ({"CLERK_API_URL": "ftp://api.clerk.com"}, "CLERK_API_URL"),
        ({"CLERK_API_URL": "https://u:p@api.clerk.com"}, "CLERK_API_URL"),
        ({"CLERK_FAPI_URL": "https://[clerk"}, "CLERK_FAPI_URL"),
        ({"CLERK_SIGN_IN_URL": "/sign-in"}, "CLERK_SIGN_IN_URL"),
        ({"CLERK_AUTHORIZED_PARTIES": "mail.example.com"}, "CLERK_AUTHORIZED_PARTIES"),
        ({"CLERK_COOKIE_DOMAIN": "other.com"}, "CLERK_COOKIE_DOMAIN"),
        ({"CLERK_COOKIE_DOMAIN": "com"}, "CLERK_COOKIE_DOMAIN"),
        ({"CLERK_COOKIE_DOMAIN": "ample.com"}, "CLERK_COOKIE_DOMAIN"),
        ({"CLERK_COOKIE_DOMAIN": "example.com; Secure"}, "CLERK_COOKIE_DOMAIN"),
        ({"CLERK_WEBHOOK_SIGNING_SECRET": "abc"}, "CLERK_WEBHOOK_SIGNING_SECRET"),
        ({"CLERK_WEBHOOK_SIGNING_SECRET": "whsec_AAAA"}, "CLERK_WEBHOOK_SIGNING_SECRET"),
        ({"CLERK_WEBHOOK_SIGNING_SECRET": "whsec_*"}, "CLERK_WEBHOOK_SIGNING_SECRET"),
        ({"CLERK_INSTANCE_ID": "x y"}, "CLERK_INSTANCE_ID"),
        ({"CLERK_ALLOW_IMPERSONATION": "yes"}, "CLERK_ALLOW_IMPERSONATION"),
        ({"CLERK_REFRESH_UNSAFE": "yes"}, "CLERK_REFRESH_UNSAFE"),
        ({"CLERK_CLOCK_SKEW": "61"}, "CLERK_CLOCK_SKEW"),
        ({"CLERK_CLOCK_SKEW": "-1"}, "CLERK_CLOCK_SKEW"),
    ],
)
def test_nonsense_is_refused_by_name_and_without_its_value(changes, name):
    with pytest.raises(SettingError) as caught:
        read(**changes)
    assert caught.value.name == name
    assert caught.value.why
    assert caught.value.example
    value = changes.get(name, "")
    secret = "SECRET" in name or "KEY" in name
    assert not secret or len(value) < 4 or value not in str(caught.value)


@pytest.mark.parametrize(
    "origin", ["http://mail.example.com", "https://mail.example.com/app", "mail.example.com", "", "https://"]
)
def test_origins_that_cannot_be_served(origin):
    with pytest.raises(SettingError) as caught:
        read(origin=origin)
    assert caught.value.name == "MTUMAIL_ORIGIN"


def test_the_other_settings():
    whole = read(
        CLERK_WEBHOOK_SIGNING_SECRET="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw whsec_"
        + base64.b64encode(b"x" * 24).decode(),
        CLERK_AUTHORIZED_PARTIES="https://mail.example.com, https://www.example.com/",
        CLERK_COOKIE_DOMAIN=".example.com",
        CLERK_ALLOW_IMPERSONATION="readonly",
        CLERK_REFRESH_UNSAFE="0",
        CLERK_CLOCK_SKEW="0",
        CLERK_INSTANCE_ID="ins_1",
    )
    assert len(whole.webhook_secrets) == 2
    assert whole.authorized_parties == ("https://mail.example.com", "https://www.example.com")
    assert (whole.cookie_domain, whole.impersonation, whole.refresh_unsafe, whole.clock_skew) == (
        "example.com",
        "readonly",
        False,
        0,
    )


def test_pems_and_jwks():
    second = rsa.generate_private_key(65537, 2048)
    both = pem(KEY) + pem(second)
    assert parse_pems(both) == (KEY.public_key(), second.public_key())
    numbers = KEY.public_key().public_numbers()

    def number(value):
        packed = value.to_bytes((value.bit_length() + 7) // 8)
        return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()

    good = {
        "kty": "RSA",
        "n": number(numbers.n),
        "e": number(numbers.e),
        "kid": "ins_1",
        "use": "sig",
        "alg": "RS256",
    }
    ring = keyring_from_jwks(
        {"keys": [{"kty": "EC"}, "x", good | {"use": "enc"}, good | {"n": "AQAB"}, good | {"kid": 7}, good]}
    )
    assert ring.keys == (("ins_1", KEY.public_key()),)
    assert ring.learnable
    assert ring.candidates("ins_2") == ()
    for nothing in ({"keys": []}, {}, [], None, {"keys": "x"}, {"keys": [good | {"alg": "HS256"}]}):
        with pytest.raises(ValueError):
            keyring_from_jwks(nothing)
