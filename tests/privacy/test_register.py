"""The register of processing: whole, true to the tables, and the same for everybody who is told of it."""

import re
from html import unescape

import pytest
from sqlalchemy import text

from webmail.db import transaction
from webmail.privacy import register, retention
from webmail.web import register_words


def test_P04_every_table_is_of_one_kind_or_holds_nothing_personal(superuser):
    tables = set(
        superuser.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars()
    )
    told = [table for kind in register.KINDS for table in kind.tables] + list(register.IMPERSONAL)
    assert sorted(told) == sorted(set(told))
    assert set(told) == tables


@pytest.mark.parametrize(
    ("table", "writers"),
    [
        ("audit_event", set()),
        ("sign_in", {"web", "worker"}),
        ("setting", {"staff"}),
        ("setting_change", set()),
    ],
)
def test_P03_what_the_service_writes_of_itself_has_an_owner_and_few_hands(superuser, table, writers):
    """The log, the sign-ins and the configuration: whoever may not write does not, and who takes mail in sees neither of the first."""
    owner = text("SELECT tableowner FROM pg_tables WHERE tablename = :t")
    assert superuser.execute(owner, {"t": table}).scalar_one() == "mtumail_owner"
    may = text(
        "SELECT r FROM unnest(ARRAY['web', 'worker', 'inbound', 'staff']) AS r"
        " WHERE has_table_privilege('mtumail_' || r, :t, :p) OR has_any_column_privilege('mtumail_' || r, :t, :p)"
    )
    for privilege in ("INSERT", "UPDATE"):
        assert set(superuser.execute(may, {"t": table, "p": privilege}).scalars()) <= writers, privilege
    for privilege in ("DELETE", "TRUNCATE"):
        rights = text(f"SELECT has_table_privilege('mtumail_web', '{table}', '{privilege}')")
        assert superuser.execute(rights).scalar_one() is False
    if table != "setting":
        assert "inbound" not in set(superuser.execute(may, {"t": table, "p": "SELECT"}).scalars())


def test_P03_each_of_them_ends_on_a_schedule():
    codes = {rule.code for rule in retention.RULES}
    assert {"audit-detail", "sign-ins", "confirmations", "denials", "metrics", "runs"} <= codes


def test_P04_what_is_called_impersonal_names_no_mailbox(superuser):
    columns = superuser.execute(
        text(
            "SELECT DISTINCT table_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name IN ('mailbox_id', 'contact_email', 'recipient', 'account_id')"
        )
    ).scalars()
    assert not set(columns) & set(register.IMPERSONAL)


def test_P05_every_purpose_has_one_basis_and_everything_has_words():
    assert set(register.BASES) == set(register_words.PURPOSES)
    assert set(register.BASES.values()) <= set(register_words.BASES)
    assert {kind.code for kind in register.KINDS} == set(register_words.KINDS)
    for kind in register.KINDS:
        assert kind.purposes
        assert set(kind.purposes) <= set(register.BASES)
        assert set(kind.recipients) <= set(register_words.RECIPIENTS)
        assert kind.retention in register_words.RETENTIONS
        assert re.fullmatch(r"P0[1-3]|P16|P2[3-6]", kind.promise)
        assert (kind.retention == "schedule") == bool(kind.schedule), kind.code


def test_P23_what_is_held_is_counted_live_and_for_its_owner_alone(web_app, deliver, ann, ben, letter):
    def held(person):
        with web_app.app_context(), transaction(person.mailbox_id):
            return {
                one.kind.code: (one.count, one.size)
                for one in register.held(person.account_id, person.mailbox_id)
            }

    before = held(ann)
    deliver(ann, letter())
    deliver(ann, letter())
    after = held(ann)
    assert (before["messages"], after["messages"][0]) == ((0, 0), 2)
    assert after["messages"][1] > 0
    assert after["search"][0] == 2
    assert held(ben)["messages"] == (0, 0)
    assert after["account"] == (1, 0)


@pytest.mark.parametrize("path", ["/my-data"])
def test_P23_the_page_names_every_kind(browser_of, ann, path):
    page = browser_of(ann).get(path)
    assert page.status_code == 200
    for kind in register.KINDS:
        assert str(register_words.KINDS[kind.code][0]) in unescape(page.text)
