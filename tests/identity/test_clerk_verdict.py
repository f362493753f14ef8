"""The table of cases that the protocol's description ends with, by its row numbers, against the pure verdict."""

import base64
import hashlib
import hmac
import json
import statistics
import time
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from webmail.identity.clerk.authenticate import Clerk
from webmail.identity.clerk.backend import ClientHints
from webmail.identity.clerk.cookies import HANDSHAKE, NONCE
from webmail.identity.clerk.facts import RequestClass, facts_of
from webmail.identity.clerk.jwks import GivenKeys
from webmail.identity.clerk.keys import Keyring
from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.states import (
    SIGNED_IN_STATES,
    NeedsKeys,
    NeedsNonce,
    NeedsRefresh,
    Refreshed,
    RefreshFailed,
    State,
    Verdict,
)
from webmail.identity.clerk.verdict import after_nonce, after_refresh, decide, refuse, resync, unanswered

NOW = 1_790_000_000.0
SUFFIX = "naoXFJnI"
ORIGIN = "https://mail.example.com"
KEY, FOREIGN = (generate_private_key(65537, 2048) for _ in range(2))
RING = Keyring(((None, KEY.public_key()),))
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
ENV = {
    "CLERK_PUBLISHABLE_KEY": "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k",
    "CLERK_SECRET_KEY": "sk_live_abc",
    "CLERK_JWT_KEY": PEM,
}
LIVE = ClerkSettings.from_environment(ENV, origin=ORIGIN, environment="production")
DEV = ClerkSettings.from_environment(
    ENV | {"CLERK_PUBLISHABLE_KEY": "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k", "CLERK_SECRET_KEY": "sk_test_abc"},
    origin=ORIGIN,
    environment="development",
)
DOC = {"Sec-Fetch-Dest": "document", "Accept": "text/html"}
HTMX = {"HX-Request": "true", "Sec-Fetch-Dest": "empty", "Accept": "*/*"}
UAT = f"__client_uat={int(NOW - 30)}"
OLD_UAT = f"__client_uat={int(NOW - 300)}"
TEMPLATE, MACHINE = "cl_B7d4PD222AAA", "cl_B7d4PD333AAA"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(payload, *, key=KEY, header=None):
    head = {"alg": "RS256", "typ": "JWT", "kid": "ins_1", "cat": "cl_B7d4PD111AAA"} | (header or {})
    signed = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(payload).encode())}"
    return f"{signed}.{b64(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def claims(age=20.0, **changes):
    issued = NOW - age
    base = {
        "sub": "user_1", "sid": "sess_1", "iss": "https://clerk.example.com", "azp": ORIGIN, "sts": "active",
        "iat": issued, "nbf": issued - 10, "exp": issued + 60, "fva": [0, -1], "v": 2,
    }  # fmt: skip
    return {name: value for name, value in (base | changes).items() if value is not ...}


def token(age=20.0, *, key=KEY, header=None, **changes):
    return sign(claims(age, **changes), key=key, header=header)


T = token()
E = token(120)


def facts(*cookies, method="GET", target="/inbox", headers=DOC):
    pairs = [pair.partition("=")[::2] for cookie in cookies for pair in cookie.split("; ") if pair]
    return facts_of(method, target, headers, pairs)


def judge(*cookies, with_settings=LIVE, keyring=RING, now=NOW, **request):
    return decide(facts(*cookies, **request), with_settings, keyring, now)


def query(verdict):
    assert verdict.location is not None
    assert verdict.location.startswith("https://clerk.example.com/v1/client/handshake?")
    return {name: values[0] for name, values in parse_qs(urlsplit(verdict.location).query).items()}


def handshakes(verdict, reason, *, state=State.UNKNOWN, count=1):
    assert (verdict.state, verdict.reason, verdict.count) == (state, reason, count)
    assert query(verdict)["__clerk_hs_reason"] == reason
    assert any(
        cookie.startswith(f"__clerk_redirect_count={count};") and "HttpOnly" in cookie
        for cookie in verdict.set_cookies
    )
    return True


def stays(verdict, reason, state):
    assert (verdict.state, verdict.reason, verdict.location) == (state, reason, None)
    return True


def signed_in(verdict, user="user_1", state=State.SIGNED_IN):
    return verdict.state is state and verdict.session is not None and verdict.session.user_id == user


def sets(verdict, name):
    return [cookie for cookie in verdict.set_cookies if cookie.startswith(f"{name}=")]


def envelope(*directives, key=KEY, header=None):
    return "__clerk_handshake=" + sign({"handshake": list(directives)}, key=key, header=header)


PAYLOAD = (
    "__client_uat=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    "__clerk_handshake=; Path=/; Domain=example.com; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    f"__client_uat={int(NOW)}; Path=/; Domain=example.com; Max-Age=315360000; Secure; SameSite=Lax",
    f"__session={T}; Path=/; Expires=Wed, 05 Feb 2028 09:08:53 GMT; Secure",
    f"__refresh_{SUFFIX}=rt2; Path=/",
)
REFRESHING = (f"__session_{SUFFIX}={E}; __client_uat_{SUFFIX}={int(NOW - 300)}; __refresh_{SUFFIX}=rt",)


def test_rows_1_to_3_nobody_and_somebody():
    assert stays(judge(), "session-token-and-uat-missing", State.SIGNED_OUT)
    plain = judge(f"__session={T}; {UAT}")
    assert signed_in(plain)
    assert (plain.session.session_id, plain.session.issued_at) == ("sess_1", NOW - 20)
    assert plain.session.factor_ages == (0, -1)
    assert signed_in(judge(f"__session_{SUFFIX}={T}; __client_uat_{SUFFIX}={int(NOW - 30)}"))


def test_rows_4_to_6_session_without_uat():
    reason = "session-token-but-no-client-uat"
    verdict = judge(f"__session={T}")
    assert handshakes(verdict, reason)
    asked = query(verdict)
    assert asked["suffixed_cookies"] == "false"
    assert asked["format"] == "nonce"
    assert asked["__clerk_api_version"] == "2026-05-12"
    assert asked["redirect_url"] == f"{ORIGIN}/inbox"
    assert "__session" not in asked
    assert stays(judge(f"__session={T}", headers=HTMX), reason, State.UNKNOWN)
    assert stays(judge(f"__session={T}", method="POST"), reason, State.UNKNOWN)


def test_rows_7_to_9_uat_without_session():
    reason = "client-uat-but-no-session-token"
    assert handshakes(judge(UAT), reason)
    old_htmx = {"HX-Request": "true", "Accept": "text/html, */*"}
    assert stays(judge(UAT, headers=old_htmx), reason, State.UNKNOWN)
    assert handshakes(judge(UAT, headers={"Accept": "application/xhtml+xml,text/html"}), reason)


def test_rows_10_to_12_what_uat_says():
    assert stays(judge("__client_uat=0"), "session-token-and-uat-missing", State.SIGNED_OUT)
    assert handshakes(judge(f"__session={T}; __client_uat=0"), "session-token-but-no-client-uat")
    newer = f"__session={T}; __client_uat={int(NOW + 60)}"
    reason = "session-token-iat-before-client-uat"
    assert handshakes(judge(newer), reason)
    assert stays(judge(newer, headers=HTMX), reason, State.UNKNOWN)


def test_rows_13_to_16_expired_without_refresh():
    reason = "session-token-expired-refresh-non-eligible-no-refresh-cookie"
    expired = f"__session={E}; {OLD_UAT}"
    assert handshakes(judge(expired), reason, state=State.EXPIRED)
    exact = judge(expired, target="/inbox?a=1&b=%2F")
    assert query(exact)["redirect_url"] == f"{ORIGIN}/inbox?a=1&b=%2F"
    assert "%252F" in exact.location
    spoofed = judge(expired, headers=DOC | {"X-Forwarded-Host": "evil.com", "Host": "evil.com"})
    assert "evil.com" not in spoofed.location
    posted = judge(expired, method="POST")
    assert stays(posted, "session-token-expired-refresh-non-eligible-non-get", State.EXPIRED)
    assert posted.known.session_id == "sess_1"


@pytest.mark.parametrize(
    ("method", "headers"),
    [("GET", DOC), ("GET", HTMX), ("POST", DOC), ("DELETE", HTMX), ("GET", {"Accept": "text/event-stream"})],
)
def test_rows_17_to_19_refresh(method, headers):
    asked = facts(*REFRESHING, method=method, headers=headers)
    verdict = decide(asked, LIVE, RING, NOW)
    assert verdict.needs == NeedsRefresh("user_1", "sess_1", E, "rt", suffixed=True)
    assert verdict.state is State.EXPIRED
    new = Refreshed((f"__session_{SUFFIX}={T}; Path=/; Secure; SameSite=Lax",))
    done = after_refresh(asked, LIVE, RING, NOW, verdict.needs, new)
    assert signed_in(done, state=State.REFRESHED)
    (cookie,) = sets(done, f"__session_{SUFFIX}")
    assert cookie.startswith(f"__session_{SUFFIX}={T};")
    assert "; Secure; HttpOnly; SameSite=Lax" in cookie
    assert done.needs is None


def test_row_19_refresh_of_unsafe_requests_can_be_switched_off():
    off = replace(LIVE, refresh_unsafe=False)
    verdict = judge(*REFRESHING, method="POST", with_settings=off)
    assert verdict.needs is None
    assert verdict.reason.endswith("non-eligible-non-get")


def test_row_20_the_refresh_cookie_has_a_suffix():
    verdict = judge(f"__session={E}; {OLD_UAT}; __refresh=rt")
    assert verdict.needs is None
    assert handshakes(
        verdict, "session-token-expired-refresh-non-eligible-no-refresh-cookie", state=State.EXPIRED
    )


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (RefreshFailed("X"), "X"),
        (RefreshFailed("unexpected-bapi-error"), "unexpected-bapi-error"),
        (Refreshed((f"__session={token(key=FOREIGN)}",)), "invalid-session-token"),
        (Refreshed((f"__session={E}",)), "invalid-session-token"),
        (Refreshed((f"__session={token(sub='user_2')}",)), "invalid-session-token"),
        (Refreshed((f"__session={token(sid='sess_2')}",)), "invalid-session-token"),
        (Refreshed((f"__session={token(azp='https://evil.com')}",)), "invalid-session-token"),
        (Refreshed(()), "unexpected-sdk-error"),
        (Refreshed((f"__session={T}\r\nX: y",)), "unexpected-sdk-error"),
    ],
)
def test_rows_21_to_24_refresh_that_fails(outcome, code):
    for headers, document in ((DOC, True), (HTMX, False)):
        asked = facts(*REFRESHING, headers=headers)
        needs = decide(asked, LIVE, RING, NOW).needs
        verdict = after_refresh(asked, LIVE, RING, NOW, needs, outcome)
        reason = f"session-token-expired-refresh-{code}"
        if document:
            assert handshakes(verdict, reason, state=State.EXPIRED)
        else:
            assert stays(verdict, reason, State.EXPIRED)
        assert not sets(verdict, "__session")


def test_rows_25_and_26_no_refresh_for_what_cannot_be_refreshed():
    without_sid = token(120, sid=...)
    verdict = judge(f"__session_{SUFFIX}={without_sid}", *REFRESHING[0].split("; ")[1:])
    reason = "session-token-expired-refresh-expired-session-token-missing-sid-claim"
    assert verdict.needs is None
    assert handshakes(verdict, reason, state=State.EXPIRED)
    forged = token(120, key=FOREIGN)
    verdict = judge(f"__session_{SUFFIX}={forged}", *REFRESHING[0].split("; ")[1:])
    assert verdict.needs is None
    assert stays(verdict, "token-invalid-signature", State.INVALID)


def test_row_28_handshake_by_cookie():
    verdict = judge(envelope(*PAYLOAD))
    assert signed_in(verdict)
    assert verdict.location is None
    (session,) = sets(verdict, "__session")
    assert "HttpOnly" in session
    assert "Expires=Wed, 05 Feb 2028" in session
    uat = sets(verdict, "__client_uat")
    assert len(uat) == 2
    assert "Max-Age=0" in uat[0]
    assert "Domain=example.com" in uat[1]
    assert "HttpOnly" not in uat[1]
    assert "HttpOnly" in sets(verdict, f"__refresh_{SUFFIX}")[0]
    assert len(sets(verdict, "__clerk_handshake")) >= 2


def test_row_29_no_handshake_by_link_in_production():
    link = f"/?{envelope(*PAYLOAD)}"
    assert stays(judge(target=link), "session-token-and-uat-missing", State.SIGNED_OUT)
    nonce = "/?__clerk_handshake_nonce=abc"
    assert judge(target=nonce).needs is None
    assert "__clerk_handshake" not in query(judge(UAT, target=link))["redirect_url"]


def test_row_30_partials_do_not_consume_a_handshake():
    verdict = judge(envelope(*PAYLOAD), headers=HTMX)
    assert verdict.state is State.SIGNED_OUT
    assert verdict.set_cookies == ()
    assert judge("__clerk_handshake_nonce=abc", headers=HTMX).needs is None


def test_rows_31_and_32_unusable_handshakes_are_ignored():
    for bad in (
        envelope(*PAYLOAD, key=FOREIGN),
        envelope(*PAYLOAD, header={"cat": TEMPLATE}),
        "__clerk_handshake=abc",
    ):
        assert stays(judge(bad), "session-token-and-uat-missing", State.SIGNED_OUT)
        laps = [judge(bad, UAT, f"__clerk_redirect_count={count}") for count in range(4)]
        assert [lap.state for lap in laps] == [State.UNKNOWN] * 3 + [State.LOOP]
        assert not any(sets(lap, "__session") for lap in laps)


def test_rows_33_to_35_handshakes_without_a_session():
    assert stays(judge(f"__clerk_handshake={T}"), "session-token-missing", State.SIGNED_OUT)
    emptied = judge(envelope("__client_uat=0; Path=/", "__session=; Path=/"))
    assert stays(emptied, "session-token-missing", State.SIGNED_OUT)
    assert sets(emptied, "__client_uat")
    assert "Max-Age=0" in sets(emptied, "__session")[0]
    last_wins = judge(envelope(f"__session={T}", f"__session_{SUFFIX}="))
    assert stays(last_wins, "session-token-missing", State.SIGNED_OUT)


def test_row_36_inner_token_expired():
    verdict = judge(envelope(f"__session={E}"), UAT)
    assert handshakes(verdict, "client-uat-but-no-session-token")
    assert not sets(verdict, "__session")


def test_row_37_hostile_directives():
    dropped = judge(
        envelope("evil=1; Domain=com", "__sessionX=1", f"__session={T}; Domain=com", f"__session={T}")
    )
    assert signed_in(dropped)
    assert not [cookie for cookie in dropped.set_cookies if "evil" in cookie or "Domain=com" in cookie]
    for refused in (
        [f"__session={T}\r\nX: y"],
        [f"__session={T}"] * 50,
        [f"__session={T}", 7],
        ["__session=a b"],
        ["__client_uat=" + "1" * 5000],
    ):
        verdict = judge(envelope(*refused), UAT)
        assert verdict.state is State.UNKNOWN
        assert not sets(verdict, "__session")
    smuggled = judge(envelope(f"__session={T}; Path=/x; HttpOnly=no; Max-Age=1\t; Expires=never"))
    assert smuggled.state is State.SIGNED_OUT, "a tab is a control character"
    plain = judge(envelope(f"__session={T}; Path=/x; SameSite=None; Max-Age=1e9; Expires=never"))
    assert sets(plain, "__session") == [f"__session={T}; Path=/; Secure; HttpOnly; SameSite=Lax"]


def test_rows_38_and_39_nonce():
    asked = facts("__clerk_handshake_nonce=abc123")
    verdict = decide(asked, LIVE, RING, NOW)
    assert verdict.needs == NeedsNonce("abc123")
    assert verdict.state is State.UNDECIDED
    got = after_nonce(asked, LIVE, RING, NOW, PAYLOAD)
    assert signed_in(got)
    assert "Max-Age=0" in sets(got, "__clerk_handshake_nonce")[0]
    failed = after_nonce(asked, LIVE, RING, NOW, None)
    assert stays(failed, "handshake-payload-unavailable", State.UNDECIDED)
    assert "Max-Age=0" in sets(failed, "__clerk_handshake_nonce")[0]
    assert not sets(failed, "__session")
    assert judge("__clerk_handshake_nonce=../../users").needs is None
    assert judge("__clerk_handshake_nonce=a b").needs is None


def test_row_40_loops_end():
    for count, laps in ((1, 2), (2, 3)):
        assert handshakes(
            judge(UAT, f"__clerk_redirect_count={count}"), "client-uat-but-no-session-token", count=laps
        )
    for count in ("3", "4", "999999999999999"):
        verdict = judge(UAT, f"__clerk_redirect_count={count}")
        assert stays(verdict, "client-uat-but-no-session-token", State.LOOP)
        assert "Max-Age=0" in sets(verdict, "__clerk_redirect_count")[0], "a retry by hand starts afresh"
    assert judge(UAT, "__clerk_redirect_count=-5").count == 1
    assert "Max-Age=20" in sets(judge(UAT), "__clerk_redirect_count")[0]
    settled = judge(f"__session={T}; {UAT}; __clerk_redirect_count=2")
    assert signed_in(settled)
    assert "Max-Age=0" in sets(settled, "__clerk_redirect_count")[0]


def test_rows_41_to_43_other_parties_and_issuers():
    for azp in ("https://evil.com", ..., None, [ORIGIN], f"{ORIGIN}/"):
        assert stays(
            judge(f"__session={token(azp=azp)}; {UAT}"), "token-invalid-authorized-parties", State.INVALID
        )
    other = token(iss="https://clerk.other.com")
    assert stays(judge(f"__session={other}; {UAT}"), "session-token-and-uat-missing", State.SIGNED_OUT)
    suffixed = judge(f"__session_{SUFFIX}={other}; __client_uat_{SUFFIX}={int(NOW - 30)}")
    assert stays(suffixed, "token-invalid-issuer", State.INVALID)


def test_rows_44_to_47_which_set():
    own = f"__session_{SUFFIX}={T}; __client_uat_{SUFFIX}={int(NOW - 30)}"
    other = f"__session={token(iss='https://clerk.other.com', sub='user_9')}; __client_uat={int(NOW)}"
    assert signed_in(judge(own, other))
    assert signed_in(judge(own, f"__session={token(iss=7, sub='user_9')}"))
    plain = f"__session={token(sub='user_2')}; {UAT}"
    assert signed_in(judge(f"__session_{SUFFIX}={T}; __client_uat_{SUFFIX}=0", plain), "user_2")
    assert signed_in(judge(f"__session_{SUFFIX}={T}", plain), "user_2")
    newer = f"__session={token(10, sub='user_2')}; {UAT}"
    assert signed_in(judge(own, newer), "user_2")
    assert signed_in(judge(own, f"__session={token(25, sub='user_2')}; {UAT}"))


@pytest.mark.parametrize(
    "wrong",
    [
        token(header={"cat": TEMPLATE}),
        token(header={"cat": MACHINE}),
        token(header={"cat": ["cl_B7d4PD111AAA"]}),
        token(header={"typ": "at+jwt"}),
        token(header={"typ": "application/at+jwt"}),
        token(sub="mch_1"),
    ],
)
def test_row_48_tokens_of_another_class(wrong):
    assert stays(judge(f"__session={wrong}; {UAT}"), "token-type-mismatch", State.INVALID)


def hs256():
    signed = ".".join(b64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims()))
    return f"{signed}.{b64(hmac.digest(PEM.encode(), signed.encode(), hashlib.sha256))}"


def unsigned():
    return ".".join(
        [b64(json.dumps(part).encode()) for part in ({"alg": "none", "typ": "JWT"}, claims())] + [""]
    )


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (token(key=FOREIGN), "token-invalid-signature"),
        (T[:-8] + "AAAAAAAA", "token-invalid-signature"),
        ("abc", "token-invalid"),
        ("a.b.c", "token-invalid"),
        (hs256(), "token-invalid-algorithm"),
        (unsigned(), "token-invalid-algorithm"),
        (token(header={"alg": "RS512"}), "token-invalid-algorithm"),
        (token(header={"crit": ["b64"], "b64": False}), "token-invalid"),
        (token(junk="x" * 20_000), "token-invalid"),
        (T + "\n", "token-invalid"),
    ],
)
def test_row_49_forged_and_malformed(bad, reason):
    verdict = judge(f"__session={bad}; {UAT}")
    assert stays(verdict, reason, State.INVALID)
    assert "Max-Age=0" in sets(verdict, "__session")[0]
    assert verdict.known is None


def test_row_49_a_name_that_occurs_twice():
    payload = json.dumps(claims())[:-1] + ', "sub": "user_2"}'
    signed = f"{b64(json.dumps({'alg': 'RS256', 'typ': 'JWT'}).encode())}.{b64(payload.encode())}"
    twice = f"{signed}.{b64(KEY.sign(signed.encode(), PKCS1v15(), SHA256()))}"
    assert stays(judge(f"__session={twice}; {UAT}"), "token-invalid", State.INVALID)


def test_rows_50_and_51_time():
    assert handshakes(judge(f"__session={token(nbf=NOW + 100)}; {UAT}"), "session-token-nbf")
    future = token(iat=NOW + 100, exp=NOW + 160, nbf=NOW)
    assert handshakes(judge(f"__session={future}; {UAT}"), "session-token-iat-in-the-future")
    assert signed_in(judge(f"__session={token(exp=NOW - 4)}; {UAT}"))
    assert judge(f"__session={token(exp=NOW - 6)}; {UAT}").state is State.EXPIRED
    assert judge(f"__session={token(exp=NOW - 5)}; {UAT}").state is State.EXPIRED


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": ...}, {"exp": "x"}, {"exp": True}, {"exp": None}, {"exp": NOW + 90_000}, {"exp": 1e300}, {"iat": ...}, {"iat": True},
        {"nbf": "x"}, {"sub": ...}, {"sub": 7}, {"sub": "admin"}, {"sub": "user_"}, {"sub": "user_1\n"}, {"sid": ...},
        {"sid": "x"}, {"sid": "sess_../users"}, {"sts": "weird"}, {"sts": None},
    ],
)  # fmt: skip
def test_row_52_claims_that_are_not_as_they_should_be(changes):
    assert stays(judge(f"__session={token(**changes)}; {UAT}"), "token-verification-failed", State.INVALID)


def test_rows_53_and_54_pending_and_impersonated():
    assert stays(judge(f"__session={token(sts='pending')}; {UAT}"), "session-pending", State.PENDING)
    assert signed_in(judge(f"__session={token(sts=...)}; {UAT}")), "older instances have no such claim"
    act = {"iss": "https://dashboard.clerk.com", "sub": "user_staff", "sid": "sess_9"}
    verdict = judge(f"__session={token(act=act)}; {UAT}")
    assert stays(verdict, "impersonation-refused", State.DENIED)
    assert verdict.actor.subject == "user_staff"
    for malformed in (None, "x", {}, []):
        assert judge(f"__session={token(act=malformed)}; {UAT}").state is State.DENIED
    lenient = replace(LIVE, impersonation="readonly")
    allowed = judge(f"__session={token(act=act)}; {UAT}", with_settings=lenient)
    assert allowed.session.actor.subject == "user_staff"
    agent = token(act=act | {"type": "agent"})
    assert judge(f"__session={agent}; {UAT}", with_settings=lenient).state is State.DENIED


def test_rows_55_and_56_other_headers_do_not_matter():
    good = f"__session={T}; {UAT}"
    assert signed_in(judge(good, headers=DOC | {"Referer": "https://google.com/"}))
    for authorization in ("Basic eDp5", f"Bearer {token(sub='user_2')}"):
        assert signed_in(judge(good, headers=DOC | {"Authorization": authorization}))


def test_row_57_names_are_compared_exactly():
    near = (
        f"__sessionX={token(sub='user_2')}; __session_other={token(sub='user_3')}; x=a%3B%20__session%3Devil"
    )
    assert signed_in(judge(near, f'__session={T}; {UAT}; prefs={{"a":"b', "flag"))


def test_row_58_two_session_cookies():
    both = (f"__session={token(sub='user_2')}", f"__session={T}", UAT)
    verdict = judge(*both)
    assert handshakes(verdict, "session-cookies-conflict")
    assert "Domain=example.com" in sets(verdict, "__session")[0]
    assert stays(judge(*both, headers=HTMX), "session-cookies-conflict", State.UNKNOWN)
    assert signed_in(judge(f"__session={T}", f"__session={T}", "__session=", UAT)), (
        "the same twice is no conflict"
    )


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("HEAD", DOC, RequestClass.OTHER),
        ("OPTIONS", DOC, RequestClass.OTHER),
        ("GET", {"Accept": "text/event-stream"}, RequestClass.STREAM),
        ("GET", {"Sec-Fetch-Dest": "image", "Accept": "image/*"}, RequestClass.OTHER),
        ("GET", {"Sec-Fetch-Dest": "iframe", "Accept": "text/html"}, RequestClass.OTHER),
        ("GET", DOC | {"Sec-Purpose": "prefetch;prerender"}, RequestClass.OTHER),
        ("GET", DOC | {"X-Requested-With": "XMLHttpRequest"}, RequestClass.OTHER),
        ("GET", {"Accept": "text/html", "HX-History-Restore-Request": "true"}, RequestClass.PARTIAL),
        ("GET", DOC, RequestClass.DOCUMENT),
        ("PROPFIND", DOC, RequestClass.UNSAFE),
    ],
)
def test_row_59_only_documents_are_sent_round(method, headers, expected):
    verdict = judge(f"__session={E}; {OLD_UAT}", method=method, headers=headers)
    assert verdict.request_class is expected
    assert verdict.state is State.EXPIRED
    assert (verdict.location is not None) == (expected is RequestClass.DOCUMENT)


def test_row_59_neither_head_nor_prefetch_spends_a_refresh():
    assert judge(*REFRESHING, method="HEAD").needs is None
    assert judge(*REFRESHING, headers=DOC | {"Purpose": "prefetch"}).needs is None


def test_row_60_refusal_takes_the_session_away():
    verdict = refuse(judge(f"__session={T}; {UAT}"), "session-denied")
    assert (verdict.state, verdict.session, verdict.reason) == (State.DENIED, None, "session-denied")
    assert verdict.known.session_id == "sess_1"


def test_rows_61_to_63_keys():
    learnable = Keyring((("ins_1", KEY.public_key()),), learnable=True)
    unknown = judge(f"__session={token(header={'kid': 'ins_9'})}; {UAT}", keyring=learnable)
    assert stays(unknown, "jwk-kid-mismatch", State.INVALID)
    assert unknown.needs == NeedsKeys()
    for kid in ("../../etc/passwd", "https://evil.com/jwks", "k" * 10_000, 7, None):
        verdict = judge(f"__session={token(header={'kid': kid})}; {UAT}", keyring=learnable)
        assert verdict.state is State.INVALID
        assert verdict.needs is None
    replaced = judge(f"__session={token(key=FOREIGN)}; {UAT}", keyring=learnable)
    assert replaced.needs == NeedsKeys()
    empty = Keyring((), learnable=True)
    for cookies in ((f"__session={T}; {UAT}",), (envelope(*PAYLOAD),), ("__clerk_handshake_nonce=n",)):
        verdict = judge(*cookies, keyring=empty)
        assert stays(verdict, "jwk-remote-failed-to-load", State.UNDECIDED)
        assert verdict.needs == NeedsKeys()
        assert verdict.set_cookies == ()
    assert judge(keyring=empty).state is State.SIGNED_OUT


def test_rows_64_to_66_development_browser():
    assert handshakes(judge(with_settings=DEV), "dev-browser-missing")
    assert stays(judge(with_settings=DEV, headers=HTMX), "dev-browser-missing", State.UNKNOWN)
    known = judge("__clerk_db_jwt=b", with_settings=DEV)
    assert stays(known, "session-token-and-uat-missing", State.SIGNED_OUT)
    verdict = judge(with_settings=DEV, target="/?x=1&__clerk_db_jwt=b")
    assert handshakes(verdict, "dev-browser-sync")
    assert query(verdict)["redirect_url"] == f"{ORIGIN}/?x=1"
    assert query(verdict)["__clerk_db_jwt"] == "b"
    assert "__clerk_db_jwt" not in query(judge(UAT, "__clerk_db_jwt=b"))


def test_rows_67_and_68_development_handshake():
    verdict = judge(with_settings=DEV, target=f"/?x=1&{envelope(f'__session={T}', '__clerk_db_jwt=b')}")
    assert verdict.location == f"{ORIGIN}/?x=1"
    assert verdict.session is None
    assert sets(verdict, "__session")
    assert sets(verdict, "__clerk_db_jwt")
    foreign = judge(with_settings=DEV, target=f"/?{envelope(f'__session={T}', key=FOREIGN)}")
    assert stays(foreign, "handshake-key-mismatch", State.UNDECIDED)
    by_cookie = judge(envelope(f"__session={T}"), "__clerk_db_jwt=b", with_settings=DEV)
    assert by_cookie.state is State.SIGNED_OUT
    assert not sets(judge(envelope("__clerk_db_jwt=b", f"__session={T}")), "__clerk_db_jwt"), (
        "none in production"
    )


def test_a_text_browser_gets_its_page_at_once_after_a_development_handshake():
    """It sends no Sec-Fetch-Dest; w3m takes a redirect from `/?...` to `/` for a loop, and stops there."""
    target = f"/?{envelope(f'__session={T}')}"
    verdict = judge(with_settings=DEV, target=target, headers={"Accept": "text/html, */*;q=0.1"})
    assert verdict.location is None
    assert verdict.session is not None
    assert sets(verdict, "__session")


def test_row_69_a_wrong_clock_in_development():
    old = f"/?{envelope(f'__session={token(540)}')}"
    verdict = judge(with_settings=DEV, target=old)
    assert verdict.location == f"{ORIGIN}/"
    assert verdict.warning
    assert sets(verdict, "__session")
    assert not sets(judge(envelope(f"__session={token(540)}")), "__session")


def test_only_signed_in_verdicts_carry_a_session():
    session = judge(f"__session={T}; {UAT}").session
    with pytest.raises(ValueError):
        Verdict(State.DENIED, "x", RequestClass.DOCUMENT, session)
    with pytest.raises(ValueError):
        Verdict(State.SIGNED_IN, "x", RequestClass.DOCUMENT)
    with pytest.raises(ValueError):
        Verdict(State.UNKNOWN, "x", RequestClass.PARTIAL, location="https://clerk.example.com/")


def test_nothing_secret_has_a_repr():
    asked = facts(*REFRESHING)
    verdict = decide(asked, LIVE, RING, NOW)
    done = after_refresh(asked, LIVE, RING, NOW, verdict.needs, Refreshed((f"__session={T}",)))
    for shown in (repr(verdict), repr(done), repr(LIVE), repr(after_nonce(asked, LIVE, RING, NOW, PAYLOAD))):
        assert not any(
            secret in shown for secret in (T, E, "rt", "sk_live", T.split(".")[1]) if len(secret) > 2
        )


# --- properties ---

TEXT = st.text(max_size=40)
JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | TEXT, lambda s: st.lists(s) | st.dictionaries(TEXT, s), max_leaves=6)  # fmt: skip
NAMES = st.sampled_from(
    [
        "__session", f"__session_{SUFFIX}", "__client_uat", f"__client_uat_{SUFFIX}", f"__refresh_{SUFFIX}", "__clerk_handshake",
        "__clerk_handshake_nonce", "__clerk_db_jwt", "__clerk_redirect_count",
    ]
)  # fmt: skip
HEADERS = st.dictionaries(
    st.sampled_from(["Accept", "Sec-Fetch-Dest", "HX-Request", "HX-Boosted", "Purpose", "HX-Current-URL"]),
    st.sampled_from(["document", "text/html", "text/event-stream", "prefetch", "true", ""]) | TEXT,
)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "OPTIONS"]) | TEXT
QUICK = profile(max_examples=120, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@st.composite
def tokens(draw, key=KEY):
    changes = draw(
        st.dictionaries(
            st.sampled_from([*claims(), "act", "nbf", "aud"]),
            JSON | st.integers(int(NOW) - 500, int(NOW) + 500),
            max_size=3,
        )
    )
    header = draw(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "cat", "crit"]), JSON, max_size=1))
    return token(draw(st.sampled_from([20, 120, -200])), key=key, header=header, **changes)


@st.composite
def requests(draw, session_tokens):
    uat = st.sampled_from(["0", str(int(NOW - 30)), str(int(NOW + 90)), "-1", "x"])
    values = (
        TEXT
        | session_tokens
        | uat
        | st.sampled_from([envelope(*PAYLOAD), envelope(*PAYLOAD, key=FOREIGN)]).map(
            lambda e: e.partition("=")[2]
        )
    )
    cookies = draw(st.lists(st.tuples(NAMES, values), max_size=6))
    target = draw(
        st.just("/inbox") | TEXT | st.tuples(NAMES, values).map(lambda pair: f"/?a=1&{pair[0]}={pair[1]}")
    )
    return facts_of(draw(METHODS), target, draw(HEADERS), cookies)


@QUICK
@given(
    requests(tokens()),
    st.sampled_from([LIVE, DEV]),
    st.booleans(),
    st.lists(TEXT | st.sampled_from(PAYLOAD), max_size=4),
)
def test_never_raises_and_never_admits_beyond_the_signed_in_states(asked, config, keys, directives):
    ring = RING if keys else Keyring((), learnable=True)
    verdicts = [decide(asked, config, ring, NOW), after_nonce(asked, config, ring, NOW, tuple(directives))]
    needs = NeedsRefresh("user_1", "sess_1", E, "rt", suffixed=True)
    verdicts.append(after_refresh(asked, config, ring, NOW, needs, Refreshed(tuple(directives))))
    for verdict in verdicts:
        assert (verdict.session is not None) == (verdict.state in SIGNED_IN_STATES)
        assert verdict.location is None or verdict.request_class is RequestClass.DOCUMENT
        for text in (*verdict.set_cookies, verdict.location or ""):
            assert text.isascii()
            assert text.isprintable()
        if verdict.location:
            assert verdict.location.startswith(
                ("https://clerk.example.com/v1/client/handshake?", f"{ORIGIN}/")
            )


@QUICK
@given(
    tokens(key=FOREIGN),
    st.sampled_from([0, 1]),
    st.sampled_from(["0", "", str(int(NOW + 90)), str(int(NOW - 300))]),
    METHODS,
    HEADERS,
    st.booleans(),
)
def test_a_forged_token_causes_neither_a_call_nor_a_redirect(forged, which, uat, method, headers, dev):
    config = DEV if dev else LIVE
    end = f"_{config.key.suffix}" if which else ""
    cookies = [
        (f"__session{end}", forged),
        (f"__client_uat{end}", uat),
        (f"__refresh_{config.key.suffix}", "rt"),
    ]
    cookies += [("__clerk_db_jwt", "b"), (f"__clerk_db_jwt_{config.key.suffix}", "b")]
    verdict = decide(facts_of(method, "/inbox", headers, cookies), config, RING, NOW)
    if verdict.reason == "client-uat-but-no-session-token":
        return  # the forged token belongs to the set that was not chosen, and was never looked at
    assert verdict.needs is None
    assert verdict.location is None
    assert verdict.session is None
    assert verdict.state in (State.INVALID, State.SIGNED_OUT)


class Deaf:
    """Clerk's side, which no forgery may ever reach."""

    def __getattr__(self, name):
        raise AssertionError(f"{name} was asked for")


@QUICK
@given(
    requests(tokens(key=FOREIGN)),
    st.sampled_from([LIVE, DEV]),
    tokens(key=FOREIGN),
    st.sampled_from([0, 1]),
)
def test_no_forgery_ever_reaches_clerk_or_signs_in(asked, config, forged, which):
    """The whole of it, with everything outside played by an object that breaks when it is touched."""
    end = f"_{config.key.suffix}" if which else ""
    genuine = {HANDSHAKE, NONCE}
    cookies = [(name, value) for name, value in asked.cookies if name not in genuine]
    cookies += [
        (f"__session{end}", forged),
        (f"__refresh_{config.key.suffix}", "rt"),
        ("__clerk_db_jwt", "b"),
    ]
    sent = replace(asked, cookies=tuple(cookies), target="/inbox")
    clerk = Clerk(config, Deaf(), GivenKeys(config), Deaf(), clock=lambda: NOW, reach=Deaf())
    verdict = clerk.settle(sent, ClientHints()) if not decide(sent, config, RING, NOW).location else None
    assert verdict is None or verdict.session is None
    if (
        verdict is None
    ):  # sent round because of a cookie that says so and proves nothing, not because of the token
        assert decide(sent, config, RING, NOW).reason in (
            "client-uat-but-no-session-token",
            "session-cookies-conflict",
        )


@QUICK
@given(requests(tokens()), st.sampled_from([LIVE, DEV]), TEXT | st.just("/mail?p=2"))
def test_asking_anew_leads_to_clerk_and_waiting_leads_nowhere(asked, config, target):
    again = resync(asked, config, safe_path(target), NOW)
    assert again.session is None
    if again.location:
        assert again.location.startswith("https://clerk.example.com/v1/client/handshake?")
    for verdict in (again, decide(asked, config, RING, NOW)):
        if verdict.session is None:
            waiting = unanswered(verdict)
            assert (waiting.state, waiting.location, waiting.session) == (State.UNDECIDED, None, None)
            assert not sets(waiting, "__clerk_redirect_count")


def safe_path(target):
    return "/" + target.lstrip("/")


def test_row_62_a_refresh_that_brings_a_token_of_a_new_key_is_worth_a_question():
    asked, new = facts(*REFRESHING), Refreshed((f"__session_{SUFFIX}={token(key=FOREIGN)}",))
    old = Keyring((("ins_1", KEY.public_key()),), learnable=True)
    needs = decide(asked, LIVE, old, NOW).needs
    verdict = after_refresh(asked, LIVE, old, NOW, needs, new)
    assert verdict.needs == NeedsKeys()
    known = Keyring((("ins_1", FOREIGN.public_key()),))
    assert signed_in(after_refresh(asked, LIVE, known, NOW, needs, new), state=State.REFRESHED)


def test_a_warm_token_costs_little():
    asked = facts(f"__session={T}; {UAT}; __session_{SUFFIX}={T}; __client_uat_{SUFFIX}={int(NOW - 30)}")
    costs = []
    for _ in range(500):
        began = time.perf_counter()
        decide(asked, LIVE, RING, NOW)
        costs.append(time.perf_counter() - began)
    assert statistics.median(costs) < 0.0003
