"""Where it refuses to run, how it starts and stops, what it keeps."""

from __future__ import annotations

import base64
import concurrent.futures
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from webmail.embedded.clerk import guards, store
from webmail.embedded.clerk.credentials import local_environment
from webmail.embedded.clerk.server import LocalClerk, Options
from webmail.embedded.clerk.testing import (
    call,
    given,
    refresh,
    send,
    verify,
)
from webmail.embedded.people import DEMO_PASSWORD, DEMO_PEOPLE

ORIGIN = "http://mail.localhost:8000"
PRODUCTION_ORIGIN = "http://mail.demo.localhost:8000"
ANN = next(person for person in DEMO_PEOPLE if person.username == "ann")
BEN = next(person for person in DEMO_PEOPLE if person.username == "ben")
SAM = next(person for person in DEMO_PEOPLE if person.username == "sam")


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"environment": "production"}, "MTUMAIL_ENV"),
        ({"environment": ""}, "MTUMAIL_ENV"),
        ({"address": "0.0.0.0"}, "loopback"),
        ({"address": "localhost"}, "loopback"),
        ({"address": "192.168.1.1"}, "loopback"),
        ({"address": "::"}, "loopback"),
        ({"given_secret": "sk_test_abc"}, "CLERK_SECRET_KEY"),
        ({"given_secret": "sk_live_abc"}, "CLERK_SECRET_KEY"),
        ({"given_secret": "sk_live_local_abc"}, "CLERK_SECRET_KEY"),
        ({"webhook_url": "https://example.org/"}, "webhooks"),
    ],
)
def test_it_refuses_to_run_where_it_must_not(options: Options, given: dict[str, str], word: str) -> None:
    with pytest.raises(guards.NotAllowed, match=word):
        LocalClerk(
            Options(**{"data_dir": options.data_dir, "origin": ORIGIN, "environment": "test", **given})
        )


def test_a_local_secret_of_the_surroundings_is_taken(options: Options) -> None:
    mine = "sk_test_local_mine"
    with LocalClerk(Options(options.data_dir, ORIGIN, environment="development", given_secret=mine)) as clerk:
        assert clerk.environment()["CLERK_SECRET_KEY"] == mine
        assert call(clerk, "GET", "/v1/users", secret=mine).status == 200


def test_two_instances_do_not_share_a_folder(clerk: LocalClerk) -> None:
    with pytest.raises(OSError, match="already runs"):
        LocalClerk(clerk.options)


def command(folder: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "webmail.embedded.clerk", "--port", "0", "--data-dir", str(folder), *more]


def surroundings(environment: str = "test", **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MTUMAIL_", "CLERK_"))}
    return {**kept, "MTUMAIL_ENV": environment, **more}


@pytest.mark.parametrize(
    ("environment", "more"),
    [
        ("production", ["--origin", ORIGIN]),
        ("test", ["--origin", "mail.localhost"]),
        ("test", ["--origin", ORIGIN, "--address", "0.0.0.0"]),
    ],
)
def test_a_refusal_is_one_line_and_exit_code_2(tmp_path: Path, environment: str, more: list[str]) -> None:
    done = subprocess.run(
        command(tmp_path, *more), env=surroundings(environment), capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"local clerk: .+\n", done.stderr)
    assert not (tmp_path / "clerk.json").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_says_ready_and_dies_cleanly(options: Options, number: signal.Signals) -> None:
    started = subprocess.Popen(
        command(options.data_dir, "--origin", ORIGIN),
        env=surroundings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert started.stdout
        word, port, url = started.stdout.readline().split()
        assert (word, url) == ("ready", f"http://clerk.localhost:{port}")
        secret = local_environment(int(port), ORIGIN, options.data_dir)["CLERK_SECRET_KEY"]
        headers = {"Authorization": f"Bearer {secret}"}
        body = b'{"fail": {"count": 1, "status": 0, "seconds": 60}}'
        send(int(port), "POST", f"{url}/_local/controls", headers, body)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            held = pool.submit(send, int(port), "GET", f"{url}/v1/users?query=secret-word", headers)
            time.sleep(0.2)
            started.send_signal(number)
            assert started.wait(5) == 0
            assert held.exception(5) is None or isinstance(
                held.exception(5), http.client.HTTPException | OSError
            )
        assert started.stderr
        lines = [json.loads(line) for line in started.stderr]
        assert any(line["message"].startswith("POST /_local/controls 200") for line in lines)
        assert not any("secret-word" in line["message"] for line in lines)
    finally:
        started.kill()
        started.communicate()


def test_people_stay_signed_in_over_a_restart(options: Options) -> None:
    with LocalClerk(options) as clerk:
        ann, settings = given(clerk, ANN.user_id), clerk.environment()
    again = Options(options.data_dir, ORIGIN, port=clerk.port, environment="test")
    with LocalClerk(again) as clerk:
        assert clerk.environment() == settings
        verify(clerk, ann["cookies"]["__session"])
        assert refresh(clerk, ann["cookies"], ann["session_id"]).status == 200
        assert call(clerk, "GET", "/v1/users/count").json["total_count"] == len(DEMO_PEOPLE), "seeded once"
    text = (options.data_dir / "clerk.json").read_text()
    assert (options.data_dir / "clerk.json").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in options.data_dir.iterdir()) == ["clerk.json", "clerk.lock"]
    for secret in (DEMO_PASSWORD, *(value for value in ann["cookies"].values() if len(value) > 20)):
        assert secret not in text


def test_an_empty_store_stays_empty_when_asked(tmp_path: Path) -> None:
    with LocalClerk(Options(tmp_path, ORIGIN, environment="test", demo=False)) as clerk:
        assert call(clerk, "GET", "/v1/users/count").json["total_count"] == 0


def test_settings_come_before_or_after_the_server(tmp_path: Path) -> None:
    settings = local_environment(8001, ORIGIN, tmp_path / "new" / "folder")
    assert settings == local_environment(8001, ORIGIN, str(tmp_path / "new" / "folder"))
    key = settings["CLERK_PUBLISHABLE_KEY"]
    assert key.startswith("pk_test_")
    assert base64.b64decode(key.removeprefix("pk_test_")) == b"clerk.localhost:8001$"
    assert settings["CLERK_SECRET_KEY"].startswith("sk_test_local_")
    assert settings["CLERK_JWT_KEY"].startswith("-----BEGIN PUBLIC KEY-----\n")
    assert settings["CLERK_API_URL"] == "http://127.0.0.1:8001"
    assert settings["CLERK_FAPI_URL"] == "http://clerk.localhost:8001"
    assert settings["CLERK_SIGN_IN_URL"] == "http://clerk.localhost:8001/sign-in"
    assert settings["CLERK_WEBHOOK_SIGNING_SECRET"].startswith("whsec_")
    assert len(settings) == 7


def test_keys_made_by_two_processes_at_once_are_one_key(tmp_path: Path) -> None:
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: local_environment(8001, ORIGIN, tmp_path), range(6)))
    assert all(one == made[0] for one in made)
    assert [path.name for path in tmp_path.iterdir()] == ["clerk.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 0}', '{"version": 1, "keys": {"kid": "x"}}'])
def test_a_store_that_cannot_be_read_is_not_overwritten(tmp_path: Path, text: str) -> None:
    (tmp_path / "clerk.json").write_text(text)
    with pytest.raises(ValueError, match=r"clerk\.json"):
        store.Store(tmp_path)
    assert (tmp_path / "clerk.json").read_text() == text


def test_without_flask_people_and_settings_can_be_had(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['flask'] = sys.modules['werkzeug'] = None\n"
        "from webmail.embedded.people import DEMO_PEOPLE\n"
        "from webmail.embedded.clerk.credentials import local_environment\n"
        f"print(len(DEMO_PEOPLE), len(local_environment(1, {ORIGIN!r}, {str(tmp_path)!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout == "6 7\n", done.stderr


def test_demo_people_are_who_the_contract_says() -> None:
    assert [(one.username, one.role, one.totp is not None) for one in DEMO_PEOPLE] == [
        ("ann", "user", False),
        ("ben", "user", False),
        ("sam", "support", True),
        ("sue", "support_lead", True),
        ("rex", "reviewer", True),
        ("ada", "admin", True),
    ]
    assert all(re.fullmatch(r"user_[A-Za-z0-9]{27}", one.user_id) for one in DEMO_PEOPLE)
    assert len({one.user_id for one in DEMO_PEOPLE}) == 6
    assert {one.email for one in DEMO_PEOPLE} == {f"{one.username}@mtumail.test" for one in DEMO_PEOPLE}
