"""The table of answers, by state and by class of request, cell by cell through the whole application; and what the table needs.

States as the protocol's description numbers them: S0 valid, S1 nobody, S2 unknown, S3 expired and renewed, S4 expired and not, S5
invalid, S6 pending, S7 denied, S8 loop, S9 cannot decide.
"""

import re
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from webmail import create_app
from webmail.config import Settings
from webmail.errors import SettingError
from webmail.identity.clerk.cookies import names_for
from webmail.identity.clerk.states import Refreshed, RefreshFailed

ORIGIN = "http://mail.localhost:8000"
ROOT = Path(__file__).resolve().parents[1]
ROWS = 78

DOCUMENT = {"Accept": "text/html", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "same-origin"}
PARTIAL = {"HX-Request": "true", "Sec-Fetch-Dest": "empty", "Accept": "*/*"}
BOOSTED = PARTIAL | {"HX-Boosted": "true", "HX-Current-URL": f"{ORIGIN}/mail/sent"}
FORM = DOCUMENT | {"Origin": ORIGIN}
HTMX_FORM = PARTIAL | {"Origin": ORIGIN}
STREAM = {"Accept": "text/event-stream"}
IMAGE = {"Sec-Fetch-Dest": "image", "Accept": "image/*"}


def test_every_row_of_the_protocols_table_is_a_test():
    found = set()
    files = [*ROOT.glob("identity/*.py"), *ROOT.glob("web/test_auth*.py"), *ROOT.glob("embedded/clerk/*.py")]
    for path in files:
        for first, word, last in re.findall(r"def test_rows?_(\d+)(?:_(to|and)_(\d+))?", path.read_text()):
            end = int(last) if word == "to" else int(first)
            found |= {*range(int(first), end + 1), *([int(last)] if last else [])}
    assert sorted(set(range(1, ROWS + 1)) - found) == []


@pytest.fixture
def ask(web_app, ann, token, clerk_key, monkeypatch):
    """Ask as ann's browser does in a state; the response."""
    gate = web_app.extensions["auth"]
    refresh_cookie = names_for(gate.settings.key.suffix).refresh
    session = f"sess_{time.monotonic_ns()}"
    now = int(time.time())
    old = {"iat": now - 125, "nbf": now - 135, "exp": now - 65}
    foreign = generate_private_key(65537, 2048).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    uat, past = str(now - 60), str(now - 400)

    def forged():
        claims = jwt.decode(token(ann.user_id), options={"verify_signature": False})
        return jwt.encode(claims, foreign, "RS256", {"kid": "ins_local"})

    def cookies(state):
        expired = {"__session": token(ann.user_id, session, **old), "__client_uat": past}
        return {
            "S0": lambda: {"__session": token(ann.user_id, session), "__client_uat": uat},
            "S1": lambda: {"__client_uat": "0"},
            "S2": lambda: {"__client_uat": uat},
            "S2 newer": lambda: {"__session": token(ann.user_id, session), "__client_uat": str(now + 60)},
            "S3": lambda: expired | {refresh_cookie: "good"},
            "S4": lambda: expired,
            "S4 refused": lambda: expired | {refresh_cookie: "refused"},
            "S5": lambda: {"__session": forged(), "__client_uat": uat, refresh_cookie: "good"},
            "S6": lambda: {
                "__session": token(ann.user_id, session, sts="pending"),
                "__client_uat": uat,
            },
            "S7": lambda: {
                "__session": token(ann.user_id, session, act={"sub": "user_staff", "iss": "x"}),
                "__client_uat": uat,
            },
            "S8": lambda: {"__client_uat": uat, "__clerk_redirect_count": "3"},
            "S9": lambda: expired | {refresh_cookie: "outage"},
        }[state]() | {"__clerk_db_jwt": "dvb_x"}

    def refresh(needs, _hints):
        name = names_for(gate.settings.key.suffix).session[0]
        return {
            "good": Refreshed((f"{name}={token(ann.user_id, session)}; Path=/",)),
            "refused": RefreshFailed("session_refresh_invalid"),
            "outage": RefreshFailed("unexpected-bapi-error"),
        }[needs.refresh_token]

    monkeypatch.setattr(
        type(gate.clerk.refresher), "refresh", lambda _self, needs, hints: refresh(needs, hints)
    )

    def run(state, headers, method="GET", path="/mail/inbox", data=None):
        monkeypatch.setattr(type(gate.clerk.reach), "look", lambda _self: state != "S9")
        client = web_app.test_client()
        for name, value in cookies(state).items():
            client.set_cookie(name, value, domain="mail.localhost")
        return client.open(path, method=method, headers=headers, data=data)

    return run


SIGN_IN, HANDSHAKE = "/auth/sign-in?next=", "http://clerk.localhost:8001/v1/client/handshake?"
TABLE = {
    # state: (document, partial, boosted, stream, other)
    "S0": ((200, ""), (200, ""), (200, ""), 200, 200),
    "S1": ((303, SIGN_IN), (401, "auth-stale"), (401, SIGN_IN), "signed-out", 401),
    "S2": ((307, HANDSHAKE), (401, "auth-stale"), (401, "/mail/inbox"), "stale", 401),
    "S2 newer": ((307, HANDSHAKE), (401, "auth-stale"), (401, "/mail/inbox"), "stale", 401),
    "S3": ((200, ""), (200, ""), (200, ""), 200, 200),
    "S4": ((307, HANDSHAKE), (401, "auth-stale"), (401, "/mail/inbox"), "stale", 401),
    "S4 refused": ((307, HANDSHAKE), (401, "auth-stale"), (401, "/mail/inbox"), "stale", 401),
    "S5": ((303, SIGN_IN), (401, "auth-stale"), (401, SIGN_IN), "signed-out", 401),
    "S6": ((303, "/auth/tasks?next="), (401, "/auth/tasks"), (401, "/auth/tasks"), "pending", 401),
    "S7": ((403, ""), (403, "/auth/denied"), (403, "/auth/denied"), "denied", 403),
    "S8": ((503, ""), None, None, None, None),
    "S9": ((503, ""), (503, ""), (503, ""), 503, 503),
}  # fmt: skip


@pytest.mark.parametrize("state", TABLE)
def test_pages(ask, state):
    status, leads = TABLE[state][0]
    answer = ask(state, DOCUMENT)
    assert answer.status_code == status
    assert answer.headers.get("Location", "").startswith(leads)
    assert bool(leads) == ("Location" in answer.headers)
    assert answer.headers["Cache-Control"].startswith(
        "private" if status == 200 else ("private, no-store", "no-store")
    )
    if status == 503:
        assert "<h1>" in answer.text


@pytest.mark.parametrize("state", [one for one in TABLE if TABLE[one][1]])
@pytest.mark.parametrize("which", [1, 2])
def test_fragments_stay_where_they_are_unless_somebody_navigates(ask, state, which):
    status, leads = TABLE[state][which]
    answer = ask(state, {1: PARTIAL, 2: BOOSTED}[which])
    assert answer.status_code == status
    assert "Location" not in answer.headers, "a script cannot follow to another host"
    steered = {
        name: answer.headers[name]
        for name in ("HX-Redirect", "HX-Trigger", "HX-Refresh")
        if name in answer.headers
    }
    if not leads:
        assert steered == {}
    elif leads.startswith("/"):
        assert list(steered) == ["HX-Redirect"]
        assert steered["HX-Redirect"].startswith(leads)
    else:
        assert steered == {"HX-Trigger": leads}
    if status != 200:
        assert answer.data == b"", "nothing replaces what is on the screen"


UNSAFE = {
    "S0": 302, "S1": 401, "S2": 401, "S2 newer": 401, "S3": 302, "S4": 401, "S4 refused": 401, "S5": 401, "S6": 401, "S7": 403, "S9": 503,
}  # fmt: skip


@pytest.mark.parametrize("state", UNSAFE)
def test_forms_keep_what_was_typed_and_change_nothing(ask, state, superuser):
    typed = {"rows": "20", "density": "compact", "reading": "formatted", "words": "kept\r\nin two lines"}
    if UNSAFE[state] == 302:
        page = ask(state, DOCUMENT, path="/settings").text
        typed["csrf_token"] = page.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
    answer = ask(state, FORM, "POST", "/settings", typed)
    if UNSAFE[state] == 302:
        assert answer.status_code in (302, 303)
        assert answer.headers["Location"].startswith("/settings")
        return
    assert answer.status_code == UNSAFE[state]
    assert "Location" not in answer.headers, "never 307: the body would go to another host"
    if state != "S7":
        assert "kept\r\nin two lines" in answer.text.replace("\r\n", "\n").replace("\n", "\r\n")
        assert 'action="/settings"' in answer.text
    quiet = ask(state, HTMX_FORM, "POST", "/settings", typed)
    assert quiet.status_code == UNSAFE[state]
    assert quiet.data == b""
    assert quiet.headers.get("HX-Trigger") == ("auth-stale" if UNSAFE[state] == 401 else None)
    from sqlalchemy import text

    assert superuser.execute(text("SELECT density_preference FROM account")).scalar_one() == "comfortable"


@pytest.mark.parametrize("state", [one for one in TABLE if TABLE[one][3]])
def test_streams_and_the_rest(ask, state):
    stream, other = TABLE[state][3:]
    answer = ask(state, STREAM)
    if isinstance(stream, str):
        assert (answer.status_code, answer.text) == (200, f"event: auth\ndata: {stream}\n\n")
        assert answer.mimetype == "text/event-stream"
    else:
        assert answer.status_code == stream
    answers = {
        "image": ask(state, IMAGE),
        "head": ask(state, DOCUMENT, "HEAD"),
        "iframe": ask(state, DOCUMENT | {"Sec-Fetch-Dest": "iframe"}),
        "prefetch": ask(state, DOCUMENT | {"Sec-Purpose": "prefetch"}),
    }
    for name, answer in answers.items():
        # What nobody has asked for yet spends no refresh token.
        spared = name in ("head", "prefetch") and state in ("S3", "S9")
        assert answer.status_code == (401 if spared else other), name
        assert "Location" not in answer.headers


@pytest.mark.parametrize("state", TABLE)
def test_P16_only_two_states_let_anybody_in(ask, state, superuser):
    """By what is seen, not by what the code says of itself: ann's address is on no other page."""
    for headers in (DOCUMENT, PARTIAL, BOOSTED, STREAM, IMAGE):
        seen = "ann@mtumail.test" in ask(state, headers, path="/settings").text
        assert seen == (state in ("S0", "S3")), headers


def test_row_54_an_impersonator_is_in_the_audit_log(ask, superuser):
    from sqlalchemy import text

    for headers in (DOCUMENT, PARTIAL, STREAM):
        ask("S7", headers)
    kinds = superuser.execute(text("SELECT kind FROM audit_event WHERE kind LIKE 'clerk.%'")).scalars().all()
    assert kinds == ["clerk.impersonation_refused"]


# --- what refuses to start ---

LIVE = {
    "CLERK_PUBLISHABLE_KEY": "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k",
    "CLERK_SECRET_KEY": "sk_live_abc",
    "CLERK_JWT_KEY": "",
    "CLERK_API_URL": "",
    "CLERK_FAPI_URL": "",
    "CLERK_SIGN_IN_URL": "",
}


@pytest.mark.parametrize(
    ("wrong", "setting"),
    [
        ({"CLERK_PUBLISHABLE_KEY": "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k"}, "CLERK_PUBLISHABLE_KEY"),
        ({"CLERK_SECRET_KEY": "sk_test_abc"}, "CLERK_SECRET_KEY"),
        ({"CLERK_SECRET_KEY": "sk_live_local_abc"}, "CLERK_SECRET_KEY"),
        ({"CLERK_PUBLISHABLE_KEY": ""}, "CLERK_PUBLISHABLE_KEY"),
        ({"CLERK_SECRET_KEY": ""}, "CLERK_SECRET_KEY"),
        ({"CLERK_API_URL": "http://api.clerk.com"}, "CLERK_API_URL"),
        ({"CLERK_FAPI_URL": "http://clerk.localhost:8001"}, "CLERK_FAPI_URL"),
        ({"MTUMAIL_ORIGIN": "http://mail.example.com"}, "MTUMAIL_ORIGIN"),
    ],
)
def test_row_78_development_keys_do_not_start_in_production(environment, database, wrong, setting):
    real = environment | LIVE | {
        "MTUMAIL_ENV": "production",
        "MTUMAIL_ORIGIN": "https://mail.example.com",
        "DATABASE_URL": database.urls["web"],
    }  # fmt: skip
    with pytest.raises(SettingError, match=setting):
        create_app(Settings.from_environment(real | wrong))
