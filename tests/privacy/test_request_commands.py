"""`mtumail request` and `mtumail erase`: the queue and deletion without a browser, with who did it and why in the log."""

import os
import subprocess
import sys

import pytest
from sqlalchemy import text

from webmail.db import read_id, show_id, transaction
from webmail.privacy.requests import asking


@pytest.fixture
def mtumail(environment, database):
    """Run the command as a program of its own; exit code and both outputs."""

    def run(*arguments, said=""):
        told = environment | {"PATH": os.environ["PATH"], "DATABASE_URL": database.urls["owner"]}
        done = subprocess.run(
            [sys.executable, "-m", "webmail.cli", *map(str, arguments)],
            capture_output=True, text=True, env=told, timeout=120, check=False, input=said,
        )  # fmt: skip
        return done.returncode, done.stdout.strip(), done.stderr

    return run


@pytest.fixture
def log(superuser):
    def look(prefix):
        found = superuser.execute(
            text("SELECT kind FROM audit_event WHERE actor LIKE 'cli:%' AND kind LIKE :k ORDER BY number"),
            {"k": f"{prefix}.%"},
        )
        return found.scalars().all()

    return look


def test_P23_a_request_by_mail_goes_all_its_way_on_the_command_line(
    mtumail, log, ann, ada, browser_of, superuser
):
    words = ("--words", "What do you hold about me?", "--by", ada.address, "--reason", "letter 7")
    code, number, _errors = mtumail("request", "add", "access", "--source", "letter", *words)
    assert code == 0
    code, told, _errors = mtumail("request", "list")
    assert (code, told.split()[:5]) == (0, [number, "access", "letter", "unchecked", "open"])
    by = ("--by", ada.address, "--reason", "letter 7")
    code, _told, errors = mtumail("request", "answer", number, "--words", "Here it is.", *by)
    assert (code, "check first who asks" in errors) == (1, True)
    assert mtumail("request", "identify", number, "--address", ann.address, *by)[0] == 0
    assert mtumail("request", "extend", number, *by, said="There is very much of it.\n")[1] == "extended"
    assert mtumail("request", "refuse", number, "--words", "The law forbids it.", *by)[1] == "refused"
    assert "There is very much of it." in mtumail("request", "show", number, "--reason", "letter 7")[1]
    page = browser_of(ann).get("/my-data/requests").text
    assert "The law forbids it." in page
    assert "supervisory authority" in page
    assert log("request") == ["request.entered", "request.identified", "request.extended", "request.answered"]
    reasons = superuser.execute(text("SELECT entry FROM audit_event WHERE kind = 'cli.used'")).scalars().all()
    assert all("letter 7" in one for one in reasons)
    assert len(reasons) == 6, "the list alone shows nobody's words"


def test_P23_what_is_to_stop_stops_on_the_command_line_too(mtumail, log, ann, ada, superuser):
    by = ("--by", ada.address, "--reason", "letter 8")
    for kind, act, option, value in (
        ("restrict", "restrict", "--why", "claims"),
        ("object", "object", "--purpose", "troubleshoot"),
    ):
        number = mtumail("request", "add", kind, "--address", ann.address, "--words", "Please stop.", *by)[1]
        assert mtumail("request", act, number, option, value, *by)[0] == 1, "not before it is known who asks"
        assert mtumail("request", "identify", number, *by)[0] == 0
        assert mtumail("request", act, number, option, value, *by)[0] == 0
    assert superuser.execute(text("SELECT why FROM processing_restriction")).scalar() == "claims"
    assert superuser.execute(text("SELECT purpose FROM objection")).scalar() == "troubleshoot"
    assert (log("restriction"), log("objection")) == (["restriction.begun"], ["objection.made"])


def test_what_is_late_is_said_and_only_an_admin_decides(mtumail, ann, ben, ada, web_app, master, superuser):
    with web_app.app_context(), transaction():
        number = show_id(asking.make(master, ann.account_id, "delete", "Delete it all."))
    superuser.exec_driver_sql("SET session_replication_role = replica")
    superuser.execute(text("UPDATE privacy_request SET received_at = now() - interval '40 days', due_at = now() - interval '9 days'"))  # fmt: skip
    superuser.exec_driver_sql("SET session_replication_role = origin")
    code, told, _errors = mtumail("request", "list", "--all")
    assert (code, told.endswith("LATE")) == (1, True)
    code, _told, errors = mtumail("request", "answer", number, "--words", "Done.", "--by", ben.address)
    assert (code, "is no admin" in errors, errors.count("\n")) == (1, True, 1)
    code, _told, errors = mtumail("request", "show", "AAAAAAAA")
    assert (code, errors.count("\n")) == (1, 1)
    assert superuser.execute(text("SELECT state FROM privacy_request")).scalar() == "open"


def test_P24_a_deletion_is_asked_for_seen_and_taken_back(mtumail, log, ann, superuser):
    code, told, _errors = mtumail("erase", "account", ann.address, "--reason", "case 9")
    assert (code, told.split()[1:3]) == (0, ["account", "due"])
    number = told.split()[0]
    code, _told, errors = mtumail("erase", "account", ann.address)
    assert (code, "to be deleted already" in errors) == (1, True)
    assert mtumail("erase", "list")[1].startswith(f"{number} account waiting ")
    assert mtumail("erase", "undo", ann.address, number)[1] == "taken back"
    assert mtumail("erase", "undo", ann.address, number)[0] == 1
    assert mtumail("erase", "mailbox", ann.address)[1].split()[1] == "mailbox"
    assert log("erasure") == ["erasure.asked", "erasure.undone", "erasure.asked"]
    states = superuser.execute(text("SELECT kind, state FROM erasure ORDER BY asked_at")).all()
    assert [tuple(one) for one in states] == [("account", "undone"), ("mailbox", "waiting")]
    assert read_id(number)
