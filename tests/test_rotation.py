"""A new master key: everything is wrapped anew and opens as before, also after a stop in the middle; nothing wrapped is forgotten."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from webmail.cli import cli
from webmail.db import transaction
from webmail.errors import KeyTrouble
from webmail.governance.actions.words import open_words, seal_words
from webmail.keys import MailboxKeys, MasterKeys, Place, create_master_key, read_master_keys
from webmail.privacy import rotation

NEW = b"n" * 32


@pytest.fixture
def both(master):
    """The new key first, and those of the installation below."""
    return MasterKeys([NEW, *master._keys.values()])


def rotate(app, keys):
    count = 0
    with app.app_context():
        for one in rotation.EVERYTHING:
            done = 1
            while done:
                with transaction():
                    done = rotation.rewrap(keys, one, limit=1)
                count += done
    return count


def older(app, keys):
    with app.app_context(), transaction():
        return rotation.older(keys)


def test_what_was_wrapped_opens_under_the_new_key_alone(ann, ben, both, master, owner_app, superuser):
    assert older(owner_app, both)["mailbox_key.wrapped"] == 2
    assert rotate(owner_app, both) >= 2
    assert older(owner_app, both) == {}
    assert rotate(owner_app, both) == 0
    wrapped = superuser.execute(
        text("SELECT wrapped FROM mailbox_key WHERE mailbox_id = :m"), {"m": ann.mailbox_id}
    ).scalar_one()
    MailboxKeys(MasterKeys([NEW]), ann.mailbox_id, bytes(wrapped))
    with pytest.raises(KeyTrouble):
        MailboxKeys(master, ann.mailbox_id, bytes(wrapped))


def test_a_rotation_that_was_stopped_goes_on(ann, ben, both, owner_app):
    (one,) = [one for one in rotation.EVERYTHING if one.table == "mailbox_key"]
    with owner_app.app_context(), transaction():
        assert rotation.rewrap(both, one, limit=1) == 1
    assert older(owner_app, both)["mailbox_key.wrapped"] == 1
    rotate(owner_app, both)
    assert older(owner_app, both) == {}


def test_words_of_the_staff_that_are_kept_as_they_are_open_too(ann, both, master, owner_app, superuser):
    sealed = seal_words(master, "why", 7, "words")
    superuser.execute(text("SET session_replication_role = replica"))
    superuser.execute(
        text(
            "INSERT INTO staff_action (action_id, case_id, kind, account_id, rule, words, acted_by)"
            " VALUES (7, 1, 'warn', :a, 'spam', :w, 2)"
        ),
        {"a": ann.account_id, "w": sealed},
    )
    superuser.execute(text("SET session_replication_role = origin"))
    rotate(owner_app, both)
    words = superuser.execute(text("SELECT words FROM staff_action")).scalar_one()
    assert open_words(MasterKeys([NEW]), bytes(words), 7, "words") == "why"
    guards = superuser.execute(
        text(
            "SELECT DISTINCT tgenabled FROM pg_trigger WHERE tgrelid = 'staff_action'::regclass AND NOT tgisinternal"
        )
    )
    assert guards.scalars().all() == ["O"]


def test_a_key_that_is_not_in_the_file_stops_it(ann, owner_app):
    (one,) = [one for one in rotation.EVERYTHING if one.table == "mailbox_key"]
    with pytest.raises(KeyTrouble), owner_app.app_context(), transaction():
        rotation.rewrap(MasterKeys([NEW]), one)


def test_no_column_that_a_master_key_wraps_is_forgotten(superuser):
    """Columns that are called `wrapped` are in the list, or wrapped by something else."""
    found = superuser.execute(
        text(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'wrapped'"
        )
    ).scalars()
    by_others = {"abuse_memory_handle"}
    assert set(found) - by_others == {one.table for one in rotation.EVERYTHING if one.column == "wrapped"}


def test_whoever_wraps_is_in_the_list():
    """A new use of `master.wrap` needs a line in `rotation.EVERYTHING`: then it may be named here."""
    root = Path(__file__).resolve().parent.parent / "webmail"
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if path.name not in ("keys.py", "rotation.py", "container.py")
        and re.search(r"\bmaster\.wrap\(", path.read_text())
    }
    assert found == {
        "audit/sealing.py",
        "governance/access/asking.py",
        "governance/actions/words.py",
        "governance/cases/sealing.py",
        "settings/dkim_keys.py",
        "settings/kept.py",
    }


def test_as_a_command_it_rotates_and_says_when_the_older_key_may_go(
    ann, database, environment, tmp_path, monkeypatch, superuser
):
    old = environment.get("MTUMAIL_MASTER_KEY_FILE")
    create_master_key(tmp_path / "new.key")
    both = tmp_path / "both.key"
    current = Path(old).read_text() if old else environment["MTUMAIL_MASTER_KEY"] + "\n"
    both.touch(0o600)
    both.write_text((tmp_path / "new.key").read_text() + current)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MTUMAIL_MASTER_KEY", raising=False)
    monkeypatch.setenv("MTUMAIL_MASTER_KEY_FILE", str(both))
    monkeypatch.setenv("DATABASE_URL", database.urls["owner"])
    run = CliRunner()
    assert run.invoke(cli, ["keys", "check"]).exit_code == 1
    done = run.invoke(cli, ["keys", "rotate", "master", "--reason", "yearly"])
    assert (done.exit_code, "wrapped anew" in done.output) == (0, True), done.output
    assert run.invoke(cli, ["keys", "check"]).exit_code == 0
    new = MasterKeys(read_master_keys(tmp_path / "new.key"))
    wrapped = superuser.execute(text("SELECT wrapped FROM mailbox_key")).scalar_one()
    assert new.unwrap(bytes(wrapped), Place("mailbox_key", ann.mailbox_id, ann.mailbox_id, "wrapped"))
    assert (
        superuser.execute(text("SELECT kind FROM audit_event ORDER BY number DESC LIMIT 1")).scalar()
        == "keys.rotated"
    )
