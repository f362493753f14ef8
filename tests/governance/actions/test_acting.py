"""Acting on people: what takes effect, who may, what the database refuses, and that it is told and undone (P18, P19, P20)."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.pool import NullPool

from webmail.db import new_id, transaction
from webmail.governance.actions import acting, reading
from webmail.governance.actions.acting import Act
from webmail.governance.notices import telling
from webmail.identity import accounts, names
from webmail.identity.viewer import Denied
from webmail.mail import mailboxes
from webmail.mail.addresses import parse_spec
from webmail.mail.mailboxes import Recipient, Refusal
from webmail.sending import limits

WHY = "You sent the same advertisement to two hundred people."


@pytest.fixture
def act(desk, master):
    """Act on somebody; (the action's id, the answer)."""

    def run(by, who, kind="warn", **more):
        fields = {"rule": "spam", "words": WHY, "case_id": more.pop("case", None) or desk.case("spam")}
        if kind in ("no_receiving", "revoke", "reclaim"):
            fields["mailbox_id"] = who.mailbox_id
        if kind == "limit":
            fields["amount"] = 5
        with desk.staff():
            return acting.take(
                master, Act(kind=kind, account_id=who.account_id, **fields | more), by=by.account_id
            )

    return run


@pytest.fixture
def lift(desk):
    def run(by, action_id):
        with desk.staff():
            return acting.lift(action_id, by=by.account_id)

    return run


@pytest.fixture
def decide(desk):
    def run(by, action_id, approved=True):
        with desk.staff():
            return acting.decide(action_id, by=by.account_id, approved=approved)

    return run


@pytest.fixture
def viewer_of(web_app):
    def run(who):
        with web_app.app_context(), transaction():
            return accounts.viewer(who.user_id, "sess_x", (0,))

    return run


@pytest.fixture
def resolved(settings):
    """What inbound says to an address."""
    from webmail import create_core
    from webmail.db import db

    app = create_core(settings("inbound"), "inbound")

    def run(address):
        with app.app_context(), transaction():
            return mailboxes.resolve(parse_spec(address))

    yield run
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def told(web_app, master):
    def run(who):
        with web_app.app_context(), transaction():
            return telling.told(master, who.account_id)

    return run


# --- each takes effect, and each is undone -------------------------------------------------------------------------------


def test_P20_a_warning_is_told_at_once_with_its_rule_its_words_and_until_when_to_object(act, sam, ann, told):
    assert act(sam, ann)[1] == "done"
    [notice] = told(ann)
    assert (notice.kind, notice.rule, notice.words, notice.is_new, notice.may_appeal) == (
        "warn",
        "spam",
        WHY,
        True,
        True,
    )
    assert timedelta(days=19) < notice.appeal_until - datetime.now(UTC) < timedelta(days=21)


def test_P19_sign_in_is_suspended_by_itself_and_comes_back(act, lift, sue, ann, viewer_of, resolved):
    action_id, answer = act(sue, ann, "no_sign_in")
    assert answer == "done"
    assert viewer_of(ann) == Denied("no-sign-in", ann.account_id)
    assert isinstance(resolved(ann.address), Recipient)
    assert lift(sue, action_id) == ""
    assert viewer_of(ann).account_id == ann.account_id


def test_P19_receiving_is_suspended_by_itself_and_comes_back(act, lift, sam, ann, viewer_of, resolved):
    action_id, answer = act(sam, ann, "no_receiving")
    assert answer == "done"
    assert resolved(ann.address) is Refusal.SUSPENDED
    assert not isinstance(viewer_of(ann), Denied)
    lift(sam, action_id)
    assert isinstance(resolved(ann.address), Recipient)


def test_P19_what_is_taken_stays_while_another_action_holds_it(act, lift, sam, sue, ann, superuser):
    first, _done = act(sam, ann, "limit", amount=5)
    second, _done = act(sam, ann, "limit", amount=2)

    def day():
        return superuser.execute(
            text("SELECT send_day FROM account WHERE account_id = :id"), {"id": ann.account_id}
        ).scalar()

    assert day() == 2
    lift(sam, second)
    assert day() == 5
    lift(sue, first)
    assert day() is None


def test_P19_a_limit_leaves_no_room_beyond_it(act, sam, ann, web_app):
    act(sam, ann, "limit", amount=1)
    with web_app.app_context(), transaction(ann.mailbox_id):
        assert limits.room_at(ann.mailbox_id, ann.account_id, 1) is None
        now = datetime.now(UTC)
        assert limits.room([(now, 1)], 1, now, [(limits.DAY, 1)]) is not None


def test_P18_a_name_is_revoked_and_given_back(act, lift, sue, ann, resolved):
    action_id, answer = act(sue, ann, "revoke")
    assert answer == "done"
    assert resolved(ann.address) is Refusal.REVOKED
    lift(sue, action_id)
    assert isinstance(resolved(ann.address), Recipient)


def test_P18_a_reclaimed_name_rests_two_years_and_has_a_reply_of_its_own(
    act, lift, sue, ann, resolved, superuser, web_app, master
):
    from inbound.replies import REPLIES

    action_id, answer = act(sue, ann, "reclaim")
    assert answer == "done"
    assert resolved(ann.address) is Refusal.RECLAIMED
    reply = REPLIES[Refusal.RECLAIMED.value]
    assert (reply.code, reply.enhanced) == (550, "5.1.6")
    [(reason, years)] = superuser.execute(
        text("SELECT reason, until - since >= interval '730 days' FROM resting_name")
    ).all()
    assert (reason, years) == ("reclaimed", True)
    domain_id = superuser.execute(text("SELECT domain_id FROM domain")).scalar_one()
    with web_app.app_context(), transaction(), pytest.raises(names.NameRefused):
        names.look(master, "ann", domain_id)
    lift(sue, action_id)
    assert isinstance(resolved(ann.address), Recipient)
    assert superuser.execute(text("SELECT count(*) FROM resting_name")).scalar() == 0


@pytest.mark.parametrize("reserve", [False, True])
def test_P18_after_its_rest_the_name_is_free_or_the_services(act, sue, ann, superuser, worker, reserve):
    act(sue, ann, "reclaim", then_reserved=reserve)

    def by_time():
        with worker.app_context(), transaction():
            return acting.end_by_time()

    assert by_time() == 0
    superuser.exec_driver_sql("SET session_replication_role = replica")
    superuser.execute(
        text(
            "UPDATE staff_action SET in_force_at = now() - interval '732 days', acted_at = now() - interval '732 days'"
        )
    )
    superuser.execute(text("UPDATE staff_notice SET due_at = now() - interval '733 days'"))
    superuser.exec_driver_sql("SET session_replication_role = origin")
    assert by_time() == 1
    assert by_time() == 0
    assert superuser.execute(text("SELECT count(*) FROM address WHERE local_part = 'ann'")).scalar() == 0
    assert superuser.execute(text("SELECT count(*) FROM reserved_name WHERE name = 'ann'")).scalar() == int(
        reserve
    )
    assert superuser.execute(text("SELECT count(*) FROM message_source")).scalar() == 0
    assert (
        superuser.execute(
            text("SELECT count(*) FROM mailbox_key WHERE mailbox_id = :m"), {"m": ann.mailbox_id}
        ).scalar()
        == 1
    )


def test_P19_what_has_a_last_day_ends_by_itself_and_the_person_is_told(
    act, sam, ann, superuser, worker, told
):
    act(sam, ann, "no_sending", until=datetime.now(UTC) + timedelta(days=1))
    superuser.exec_driver_sql("SET session_replication_role = replica")
    superuser.execute(
        text(
            "UPDATE staff_action SET until = now() - interval '1 minute', acted_at = now() - interval '1 day'"
        )
    )
    superuser.exec_driver_sql("SET session_replication_role = origin")
    with worker.app_context(), transaction():
        assert acting.end_by_time() == 1
    assert superuser.execute(
        text("SELECT may_send FROM account WHERE account_id = :a"), {"a": ann.account_id}
    ).scalar()
    [notice] = told(ann)
    assert (notice.state, notice.lifted_why) == ("lifted", "time")


# --- who may -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["no_sign_in", "revoke", "reclaim"])
def test_P19_what_is_grave_waits_for_a_lead_when_support_proposes_it(
    act, decide, sam, sue, ann, kind, told, desk
):
    action_id, answer = act(sam, ann, kind)
    assert answer == "proposed"
    assert told(ann) == []
    assert decide(sam, action_id) == "role"
    assert decide(sue, action_id) == ""
    assert [one.kind for one in told(ann)] == [kind]
    assert decide(sue, action_id) == "decided"
    kinds = [entry["facts"]["kind"] for entry in desk.events("action.approved")]
    assert kinds == [kind]


def test_P19_what_a_lead_declines_never_happened(act, decide, sam, sue, ann, viewer_of, told):
    action_id, _proposed = act(sam, ann, "no_sign_in")
    assert decide(sue, action_id, approved=False) == ""
    assert not isinstance(viewer_of(ann), Denied)
    assert told(ann) == []


def test_P20_the_notice_is_withheld_by_two_until_a_day_and_no_longer(
    act, decide, sue, ann, told, make_person, superuser, web_app
):
    lea = make_person("lea", "Lea Moreau", "support_lead")
    later = datetime.now(UTC) + timedelta(days=3)
    action_id, answer = act(
        sue, ann, "no_sending", withheld="The police asks us to wait.", withheld_until=later
    )
    assert answer == "proposed"
    assert decide(sue, action_id) == "own-request"
    assert decide(lea, action_id) == ""
    assert told(ann) == []
    with web_app.app_context(), transaction():
        assert accounts.viewer(ann.user_id, "sess_x", (0,)).told == 0
    superuser.exec_driver_sql("SET session_replication_role = replica")
    superuser.execute(text("UPDATE staff_notice SET due_at = now(), mail_at = now()"))
    superuser.exec_driver_sql("SET session_replication_role = origin")
    assert [one.kind for one in told(ann)] == ["no_sending"]
    with web_app.app_context(), transaction():
        assert accounts.viewer(ann.user_id, "sess_x", (0,)).told == 1


@pytest.mark.parametrize("days", [None, 91])
def test_P20_withholding_needs_a_reason_and_a_day_within_ninety(act, sue, ann, days):
    more = (
        {"withheld": "Because."}
        if days is None
        else {"withheld": "x", "withheld_until": datetime.now(UTC) + timedelta(days=days)}
    )
    assert act(sue, ann, **more)[1].startswith("withheld")


def test_P19_nobody_without_the_role_acts(act, rex, ben, ann, desk):
    assert act(rex, ann)[1] == "role"
    assert act(ben, ann)[1] == "role"
    assert [entry["facts"]["why"] for entry in desk.events("action.denied")] == ["role", "role"]


def test_P19_nobody_acts_on_himself_or_on_a_colleague_of_a_higher_role(act, sam, sue, rex, ada):
    assert act(sam, sam)[1] == "own"
    assert act(sam, sue)[1] == "colleague"
    assert act(sue, rex)[1] == "colleague"
    assert act(ada, ada)[1] == "own"
    assert act(sue, ada)[1] == "colleague"
    assert act(sue, sam)[1] == "done"
    assert act(ada, sue)[1] == "done"


def test_P19_an_action_belongs_to_an_open_case(act, sam, ann, desk, superuser):
    case = desk.case("spam")
    superuser.execute(
        text("UPDATE case_file SET state = 'closed', closed_at = now() WHERE case_id = :c"), {"c": case}
    )
    assert act(sam, ann, case=case)[1] == "case-closed"
    assert act(sam, ann, case=new_id())[1] == "case-closed"


def test_P18_a_mailbox_is_the_persons_own(act, sue, ann, ben):
    assert act(sue, ann, "revoke", mailbox_id=ben.mailbox_id)[1] == "mailbox"


def test_P19_the_same_twice_is_refused_and_only_who_acted_or_a_lead_undoes(
    act, lift, sam, sue, ann, make_person
):
    action_id, _done = act(sam, ann, "no_sending")
    assert act(sam, ann, "no_sending")[1] == "already"
    tom = make_person("tom", "Tom Vale", "support")
    assert lift(tom, action_id) == "not-yours"
    assert lift(sue, action_id) == ""
    assert lift(sue, action_id) == "over"


def test_P20_who_loses_his_role_decides_nothing_more(act, decide, sam, sue, ann, superuser):
    action_id, _proposed = act(sam, ann, "no_sign_in")
    superuser.exec_driver_sql("SET session_replication_role = replica")
    superuser.execute(text("DELETE FROM account_role WHERE account_id = :a"), {"a": sue.account_id})
    superuser.exec_driver_sql("SET session_replication_role = origin")
    assert decide(sue, action_id) == "role"


def test_strikes_are_what_was_in_force_and_not_upheld(act, lift, decide, sam, sue, ann, desk):
    act(sam, ann)
    undone, _done = act(sam, ann, "limit")
    lift(sam, undone)
    declined, _proposed = act(sam, ann, "no_sign_in")
    decide(sue, declined, approved=False)
    with desk.staff():
        assert reading.strikes(reading.of_account(ann.account_id)) == 2


# --- what the tables refuse, whoever asks --------------------------------------------------------------------------------

ROW = {
    "action_id": ":id", "case_id": ":case", "kind": "'warn'", "account_id": ":ann", "rule": "'spam'", "words": "'\\x01'",
    "acted_by": ":sam",
}  # fmt: skip


@pytest.fixture
def insert(superuser, desk, sam, sue, ann):
    def run(**columns):
        row = ROW | columns
        values = {"id": new_id(), "case": desk.case("spam"), "ann": ann.account_id, "sam": sam.account_id, "sue": sue.account_id,
                  "box": ann.mailbox_id}  # fmt: skip
        superuser.execute(
            text(f"INSERT INTO staff_action ({', '.join(row)}) VALUES ({', '.join(row.values())})"), values
        )

    return run


REFUSED = [
    ({"kind": "'banish'"}, "staff_action_kind_is_known"),
    ({"rule": "'taste'"}, "staff_action_rule_is_known"),
    ({"kind": "'revoke'"}, "staff_action_names_its_mailbox"),
    ({"target_mailbox_id": ":box"}, "staff_action_names_its_mailbox"),
    ({"kind": "'limit'"}, "staff_action_limit_has_an_amount"),
    ({"kind": "'limit'", "amount": "0"}, "staff_action_limit_has_an_amount"),
    ({"kind": "'no_sending'", "until": "now() - interval '1 day'"}, "staff_action_ends_after_it_began"),
    ({"until": "now() + interval '1 day'"}, "staff_action_ends_after_it_began"),
    ({"withheld": "'\\x01'"}, "staff_action_withheld_until_a_day"),
    ({"withheld": "'\\x01'", "withheld_until": "now() + interval '92 days'"}, "staff_action_withheld_until_a_day"),
    ({"kind": "'reclaim'", "target_mailbox_id": ":box"}, "staff_action_reclaims_a_name"),
    ({"words": "convert_to(repeat('x', 9001), 'utf8')"}, "staff_action_words_are_short"),
    ({"acted_by": ":ann"}, "action refused: role"),
    ({"account_id": ":sam"}, "action refused: own"),
    ({"account_id": ":sue"}, "action refused: colleague"),
    ({"case_id": "4711"}, "action refused: case-closed"),
    ({"state": "'in_force'", "in_force_at": "now()"}, "action refused: begins"),
    ({"decided_by": ":sue", "decided_at": "now()"}, "action refused: begins"),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "rule"), REFUSED)
def test_P19_the_table_refuses_what_no_page_would_write(insert, columns, rule):
    with pytest.raises(DBAPIError, match=rule):
        insert(**columns)


def test_P20_nobody_is_acted_on_without_a_notice(insert, superuser):
    insert()
    with pytest.raises(IntegrityError, match="without a notice"):
        superuser.execute(text("UPDATE staff_action SET state = 'in_force', in_force_at = now()"))


def test_P19_what_is_grave_comes_into_force_by_two(act, sam, ann, superuser):
    act(sam, ann, "no_sign_in")
    with pytest.raises(ProgrammingError, match="stays what it was"):
        superuser.execute(text("UPDATE staff_action SET state = 'in_force', in_force_at = now()"))
    by_himself = "UPDATE staff_action SET state = 'in_force', in_force_at = now(), decided_by = acted_by, decided_at = now()"
    with pytest.raises(IntegrityError, match="nobody_approves_his_own"):
        superuser.execute(text(by_himself))


@pytest.mark.parametrize(
    "change",
    [
        "rule = 'fraud'",
        "words = '\\x02'",
        "acted_by = account_id",
        "state = 'proposed'",
        "withheld = NULL, kind = 'limit'",
    ],
)
def test_P19_an_action_stays_what_it_was(act, sam, ann, superuser, change):
    act(sam, ann)
    with pytest.raises(DBAPIError):
        superuser.execute(text(f"UPDATE staff_action SET {change}"))


@pytest.mark.parametrize("table", ["staff_action", "staff_notice"])
@pytest.mark.parametrize("verb", ["DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_P20_nothing_of_it_is_removed(act, sam, ann, superuser, table, verb):
    act(sam, ann)
    with pytest.raises(DBAPIError, match="is kept"):
        superuser.execute(text(verb.format(table)))


@pytest.mark.parametrize("change", ["due_at = due_at + interval '1 year'", "kind = 'lifted'"])
def test_P20_a_notice_is_not_put_off(act, sam, ann, superuser, change):
    act(sam, ann)
    with pytest.raises(DBAPIError):
        superuser.execute(text(f"UPDATE staff_notice SET {change}"))


@pytest.mark.parametrize("role", ["web", "worker", "inbound"])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO staff_action DEFAULT VALUES",
        "UPDATE account SET may_sign_in = true",
        "UPDATE staff_action SET state = 'lifted'",
        "DELETE FROM appeal",
        "SELECT action_settle(1, 1)",
        "SELECT action_begin(1, 1, true)",
        "SELECT action_lift(1, 1)",
    ],
)
def test_P19_no_process_goes_round_the_verbs(database, role, statement):
    engine = create_engine(database.urls[role], poolclass=NullPool)
    with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
        connection.execute(text(statement))
    engine.dispose()


def test_the_log_holds_ids_and_codes_alone(act, sam, ann, superuser):
    act(sam, ann)
    entries = " ".join(superuser.execute(text("SELECT entry FROM audit_event")).scalars())
    assert json.dumps(WHY) not in entries
    assert "advertisement" not in entries
    assert "ann@" not in entries


# --- sending -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def submitted(web_app, opened, ann, letter):
    """A message of ann's in the outbox; what a worker finds when it comes to send it."""
    from webmail import work
    from webmail.sending import leaving as worker_side
    from webmail.sending import outbox, submitting

    def put(keys):
        sent_id = submitting.keep_new(keys, ann.address, letter())
        return outbox.submit(keys.mailbox_id, sent_id, ann.account_id, ann.address, ["zoe@example.org"])

    opened(ann, put)

    def leaving(worker):
        with worker.app_context():
            with transaction():
                claims = work.claim(work.SEND, 1, timedelta(seconds=30))
            if not claims:
                return None
            about = worker_side.begin(claims[0])
            if isinstance(about, worker_side.Stays):
                with transaction(ann.mailbox_id):
                    worker_side.leave_be(claims[0], about)
                return None
            return about

    return leaving


def test_P19_what_somebody_has_sent_waits_while_sending_is_stopped_and_is_not_lost(
    act, lift, sam, ann, submitted, worker, superuser
):
    action_id, _done = act(sam, ann, "no_sending")
    assert submitted(worker) is None
    assert superuser.execute(text("SELECT problem FROM work WHERE kind = 'send'")).scalars().all() == [
        "suspended"
    ]
    assert superuser.execute(text("SELECT state FROM delivery")).scalars().all() == ["queued"]
    lift(sam, action_id)
    superuser.execute(text("UPDATE work SET due_at = now()"))
    assert list(submitted(worker).recipients) == ["zoe@example.org"]


def test_P19_who_may_not_sign_in_still_has_his_mail_sent(act, sue, ann, submitted, worker):
    act(sue, ann, "no_sign_in")
    assert submitted(worker) is not None


def test_P20_forgetting_is_for_closed_accounts_alone(act, sam, ann, worker, superuser):
    act(sam, ann)
    with worker.app_context(), pytest.raises(DBAPIError, match="is kept"), transaction():
        acting.forget(ann.account_id)
    superuser.execute(
        text("UPDATE account SET status = 'closed' WHERE account_id = :a"), {"a": ann.account_id}
    )
    with worker.app_context(), transaction():
        assert acting.forget(ann.account_id) == 1
    assert superuser.execute(text("SELECT count(*) FROM staff_action")).scalar() == 0
