"""What Clerk's messages do to accounts: once each, in whatever order they come."""

import itertools
import threading

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from webmail.db import transaction
from webmail.identity import accounts, webhooks
from webmail.identity.clerk.webhooks import WebhookEvent
from webmail.identity.viewer import Denied, Viewer

USER = "user_ann00000000"
numbers = itertools.count(1)


def event(kind, data, message=None, at=1_790_000_000.0):
    return WebhookEvent(message or f"msg_{next(numbers)}", kind, at, data)


def user(updated_at, name="Ann", *, banned=False, address="ann@elsewhere.example", id=USER):
    return {
        "id": id,
        "updated_at": updated_at,
        "first_name": name,
        "banned": banned,
        "primary_email_address_id": "idn_1",
        "email_addresses": [
            {"id": "idn_1", "email_address": address, "verification": {"status": "verified"}}
        ],
    }


@pytest.fixture
def take(web_app, empty):
    """Take an event in as the web role, in a transaction of its own."""

    def run(kind, data, message=None):
        with web_app.app_context(), transaction():
            return webhooks.take(event(kind, data, message))

    return run


@pytest.fixture
def account(superuser):
    def read(user_id=USER):
        row = superuser.execute(
            text(
                "SELECT name, contact_email, clerk_updated_at, clerk_state, status FROM account WHERE clerk_user_id = :u"
            ),
            {"u": user_id},
        ).first()
        return tuple(row) if row else None

    return read


@pytest.fixture
def who(web_app):
    def ask(user_id=USER, session_id="sess_1"):
        with web_app.app_context(), transaction():
            return accounts.viewer(user_id, session_id, (0, -1))

    return ask


@pytest.fixture
def audited(superuser):
    return lambda: list(
        superuser.execute(
            text("SELECT kind FROM audit_event WHERE kind LIKE 'clerk.%' ORDER BY number")
        ).scalars()
    )


def test_P01_somebody_new_becomes_an_account_of_name_contact_and_id(take, account):
    data = user(1000) | {"image_url": "https://img.example/x", "birthday": "1990-01-01"}
    assert take("user.created", data) == "applied"
    assert account() == ("Ann", "ann@elsewhere.example", 1000, "present", "active")


def test_P01_a_correction_at_clerk_comes_here(take, account, ann):
    assert take("user.updated", user(2000, "Anne", address="anne@elsewhere.example")) == "applied"
    assert account(ann.user_id)[:3] == ("Anne", "anne@elsewhere.example", 2000)
    assert take("user.updated", user(3000, "") | {"email_addresses": []}) == "applied"
    assert account(ann.user_id)[:3] == ("", "", 3000), "what was taken away there is gone here"


def test_row_76_what_is_older_changes_nothing(take, account):
    take("user.updated", user(2000, "New"))
    assert take("user.updated", user(1999, "Old")) == "late"
    assert take("user.updated", user(2000, "Same")) == "applied"
    assert account()[0] == "Same"


def test_row_76_the_same_message_is_done_once(take, account, superuser):
    assert take("user.updated", user(2000, "First"), "msg_same") == "applied"
    for _ in range(5):
        assert take("user.updated", user(9000, "Second"), "msg_same") is None
    assert account()[:3] == ("First", "ann@elsewhere.example", 2000)
    kept = superuser.execute(text("SELECT message_id, deliveries, outcome FROM webhook_event")).all()
    assert [tuple(row) for row in kept] == [("msg_same", 6, "applied")]


def test_row_76_who_is_deleted_does_not_come_back(take, account, who, ann, audited, superuser):
    assert isinstance(who(), Viewer)
    assert take("user.deleted", {"id": USER, "deleted": True}) == "applied"
    assert who() == Denied("denied")
    assert take("user.updated", user(9_000_000)) == "late"
    assert take("user.deleted", {"id": USER, "deleted": True}) == "late"
    assert account()[3] == "deleted"
    superuser.execute(text("DELETE FROM session_denial"))
    assert who() == Denied("denied"), "the account itself says it"
    assert audited() == ["clerk.user_deleted"]
    mailbox = superuser.execute(text("SELECT state FROM mailbox")).scalar_one()
    assert mailbox == "active", "the mail is another matter"


def test_row_76_deleted_before_created(take, account):
    assert take("user.deleted", {"id": USER, "deleted": True}) == "applied"
    assert take("user.created", user(1000)) == "late"
    assert account() is None


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_row_76_any_order_ends_the_same(take, account, order):
    told = [
        ("user.created", user(1000, "A")),
        ("user.updated", user(2000, "B", banned=True)),
        ("user.updated", user(3000, "C")),
        ("user.updated", user(4000, "D", banned=True)),
    ]
    for number in order:
        take(*told[number])
    assert account()[:4] == ("D", "ann@elsewhere.example", 4000, "banned")


def test_row_77_a_ban_shuts_out_at_once_and_an_unban_lets_in(take, who, ann, audited, account):
    assert take("user.updated", user(2000, banned=True)) == "applied"
    assert who() == Denied("denied")
    assert take("user.updated", user(3000, banned=True)) == "applied"
    assert take("user.updated", user(4000)) == "applied"
    assert isinstance(who(), Viewer)
    assert audited() == ["clerk.user_banned", "clerk.user_unbanned"], "once each"
    assert account()[4] == "active", "suspending is the staff's own measure, and stays apart"


def test_an_ended_session_is_over_and_others_go_on(take, who, ann):
    for kind in ("session.ended", "session.removed", "session.revoked"):
        assert take(kind, {"id": "sess_1", "user_id": USER}) == "applied"
    assert who(session_id="sess_1") == Denied("denied")
    assert isinstance(who(session_id="sess_2"), Viewer)


def test_P16_impersonation_at_clerk_is_written_down(take, audited):
    session = {"id": "sess_1", "user_id": USER, "actor": {"sub": "user_staff"}}
    assert take("session.created", session) == "applied"
    assert take("session.created", session | {"actor": None}) == "nothing"
    assert audited() == ["clerk.impersonation_begun"]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("email.created", {"id": "ema_1", "body": "your code is 123456"}),
        ("organization.created", {"id": "org_1"}),
        ("user.updated", {"id": "user_../admin", "updated_at": 1}),
        ("user.updated", {"id": USER, "updated_at": 10**30}),
        ("user.updated", {"id": USER, "updated_at": True}),
        ("session.ended", {"id": "sess_1; DROP", "user_id": USER}),
        ("user.deleted", {"id": "user_"}),
    ],
)
def test_what_means_nothing_to_us_is_kept_as_that(take, superuser, account, kind, data):
    assert take(kind, data) == "nothing"
    assert account() is None
    row = superuser.execute(text("SELECT * FROM webhook_event")).one()
    assert "123456" not in str(row), "never what was in it"


@pytest.mark.parametrize("name", ["A\x00nn", "A\ud800nn", "A\r\nnn", "x" * 10_000])
def test_names_that_no_database_takes(take, account, name):
    assert take("user.updated", user(1000, name)) == "applied"
    kept = account()[0]
    assert kept.isprintable()
    assert len(kept) <= 200


def test_both_or_neither_of_message_and_effect(web_app, empty, superuser, account, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError

    monkeypatch.setattr(webhooks.audit, "record", fails)
    with web_app.app_context():
        with pytest.raises(RuntimeError), transaction():
            webhooks.take(event("user.updated", user(2000, banned=True), "msg_1"))
        monkeypatch.undo()
        assert account() is None
        with transaction():
            assert webhooks.take(event("user.updated", user(2000, banned=True), "msg_1")) == "applied"


def test_events_of_one_person_side_by_side(web_app, empty, account, superuser):
    """Twenty messages, each delivered twice at once: the latest wins, each has its effect once, nobody waits for ever."""
    told = [event("user.updated", user(1000 + n, f"N{n}", banned=n % 2 == 1)) for n in range(20)]
    told.append(event("user.created", user(1)))
    problems = []

    def deliver(one):
        try:
            with web_app.app_context(), transaction():
                webhooks.take(one)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=deliver, args=(one,)) for one in told * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert problems == []
    assert account()[:4] == ("N19", "ann@elsewhere.example", 1019, "banned")
    deliveries = superuser.execute(text("SELECT deliveries FROM webhook_event")).scalars().all()
    assert deliveries == [2] * 21


def test_recent_goes_back_page_by_page(take, web_app):
    for n in range(7):
        take("user.updated", user(1000 + n), f"msg_p{n}")
    with web_app.app_context(), transaction(staff=True):
        first = webhooks.recent(limit=3)
        second = webhooks.recent(first[-1].number, 3)
        third = webhooks.recent(second[-1].number, 3)
    seen = [line.message_id for line in (*first, *second, *third)]
    assert seen == [f"msg_p{n}" for n in reversed(range(7))]


# --- what the database itself refuses ---


@pytest.mark.parametrize(
    "columns",
    [
        "message_id = 'a b'",
        "message_id = ''",
        "kind = 'x y'",
        "user_id = 'root'",
        "session_id = 'sess_'",
        "outcome = 'perhaps'",
        "deliveries = 0",
    ],
)
def test_rows_that_the_database_refuses(take, superuser, columns):
    take("user.updated", user(1000))
    with pytest.raises(IntegrityError, match="webhook_event_"):
        superuser.execute(text(f"UPDATE webhook_event SET {columns}"))


def test_one_row_a_message(take, superuser):
    take("user.updated", user(1000), "msg_1")
    with pytest.raises(IntegrityError, match="webhook_event_message_id_taken_once"):
        superuser.execute(
            text(
                "INSERT INTO webhook_event (message_id, kind, outcome, occurred_at) VALUES ('msg_1', 'x', 'late', now())"
            )
        )


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE account SET clerk_updated_at = 999",
        "UPDATE account SET clerk_state = 'elsewhere'",
        "UPDATE account SET clerk_state = 'deleted'; UPDATE account SET clerk_state = 'present'",
    ],
)
def test_accounts_that_the_database_refuses(take, superuser, change):
    take("user.updated", user(1000))
    with pytest.raises(DBAPIError, match=r"account_clerk_state|does not"):
        superuser.execute(text(change))


def test_P15_roles_do_their_part_alone(database):
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    refused = {
        "web": ("DELETE FROM webhook_event", "UPDATE webhook_event SET message_id = 'x'"),
        "worker": ("DELETE FROM webhook_event", "UPDATE webhook_event SET message_id = 'x'"),
        "inbound": ("SELECT * FROM webhook_event",),
    }  # fmt: skip
    for role, statements in refused.items():
        engine = create_engine(database.urls[role], poolclass=NullPool)
        for statement in statements:
            with (
                engine.connect() as connection,
                pytest.raises(ProgrammingError, match="permission denied"),
            ):
                connection.execute(text(statement))
        engine.dispose()
