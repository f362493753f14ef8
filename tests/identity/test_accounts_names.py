"""Names, invitations and memberships: which can be had, and what the database refuses whoever asks."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from webmail.db import transaction
from webmail.identity import accounts, invitations, memberships, names
from webmail.identity.invitations import InvitationRefused
from webmail.identity.memberships import MembershipRefused
from webmail.identity.names import NameRefused
from webmail.identity.viewer import allows
from webmail.keys import MasterKeys
from webmail.mail import mailboxes, registering
from webmail.mail.registering import Limits, RegistrationRefused, Wish
from webmail.settings import domains

OPEN = Limits("open", 0, 3, 10**9, 3 * 10**9)


@pytest.fixture
def newcomer(ann, owner_app):
    """An account without a mailbox; `ann` is there so that the domain is hosted."""
    with owner_app.app_context(), transaction():
        return accounts.meet("user_newcomer00000000", "Nia Newcomer", "nia@elsewhere.example")


@pytest.fixture
def register(owner_app, master):
    """Take a name as somebody; the mailbox."""

    def take(account_id, local_part, limits=OPEN, **more):
        wish = Wish(account_id, "Nia Newcomer", local_part, more.pop("domain", "mtumail.test"), **more)
        with owner_app.app_context(), transaction(mailboxes.new_mailbox_id()):
            return registering.register(master, wish, limits)

    return take


@pytest.fixture
def domain_id(ann, superuser):
    return superuser.execute(text("SELECT domain_id FROM domain")).scalar_one()


@pytest.fixture
def share(owner_app):
    """Have somebody belong to a mailbox, invited and accepted."""

    def join(owner, who, role):
        local, domain = who.address.split("@")
        with owner_app.app_context():
            with transaction(owner.mailbox_id):
                memberships.invite(owner.mailbox_id, owner.account_id, local, domain, role)
            with transaction(owner.mailbox_id):
                memberships.answer(owner.mailbox_id, who.account_id, accepts=True)

    return join


# --- names by themselves -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Ann.Lee", "ann.lee"),
        ("  joe ", "joe"),
        ("x2", "x2"),
        ("a_b-c.d", "a_b-c.d"),
        ("a" * 40, "a" * 40),
        ("2026", "2026"),
    ],
)
def test_names_are_folded(typed, name):
    assert names.read(typed) == name


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "empty"), ("   ", "empty"), ("a", "too-short"), ("a" * 41, "too-long"), ("jörg", "not-ascii"), ("аnn", "not-ascii"),
        ("ａｎｎ", "not-ascii"), ("ann lee", "characters"), ("ann+x", "characters"), ("ann@x.org", "characters"), ('"ann"', "characters"),
        ("ann\nlee", "characters"), (".ann", "ends"), ("ann.", "ends"), ("a..b", "ends"), ("a.-b", "ends"), ("-ann", "ends"),
        ("postmaster", "reserved"), ("Post-Master", "reserved"), ("abuse", "reserved"), ("no.reply", "reserved"),
        ("mailer-daemon", "reserved"), ("p0stmaster", "alike-reserved"), ("adm1n", "alike-reserved"), ("supp0rt", "alike-reserved"),
        ("adrnin", "alike-reserved"), ("5ecurity", "alike-reserved"),
    ],
)  # fmt: skip
def test_names_that_nobody_can_have(typed, reason):
    with pytest.raises(NameRefused) as caught:
        names.read(typed)
    assert caught.value.reason == reason


@pytest.mark.parametrize("name", sorted(names.RESERVED))
def test_every_reserved_name_is_refused_however_it_is_written(name):
    for typed in (name, name.upper(), ".".join(name), f"{name[0]}-{name[1:]}"):
        with pytest.raises(NameRefused):
            names.read(typed)


@pytest.mark.parametrize(
    ("one", "other"), [("carla", "car1a"), ("ann.lee", "annlee"), ("modern", "rnodern"), ("bob", "b0b")]
)
def test_what_looks_alike_has_one_likeness(one, other):
    assert names.likeness(one) == names.likeness(other)


@pytest.mark.parametrize(
    ("one", "other"), [("ann", "anna"), ("ben", "bea"), ("kim", "tim"), ("user2", "user4")]
)
def test_what_differs_has_two(one, other):
    assert names.likeness(one) != names.likeness(other)


@pytest.mark.parametrize(
    ("role", "needed", "may"),
    [("owner", "reader", True), ("writer", "owner", False), ("reader", "writer", False), ("writer", "writer", True), (None, "reader", False), ("admin", "reader", False)],
)  # fmt: skip
def test_roles_are_in_order(role, needed, may):
    assert allows(role, needed) is may


# --- taking a name -------------------------------------------------------------------------------------------------------


def test_a_name_is_taken_once_and_so_is_what_looks_like_it(newcomer, register):
    for wanted, reason in (("ann", "taken"), ("a.nn", "alike"), ("a-n-n", "alike")):
        with pytest.raises(NameRefused) as caught:
            register(newcomer, wanted)
        assert caught.value.reason == reason
    assert register(newcomer, "nia")


def test_P18_a_name_that_was_given_up_rests_for_two_years(
    newcomer, register, owner_app, master, domain_id, superuser
):
    with owner_app.app_context(), transaction():
        names.rest(master, domain_id, "wilma", "released")
    for wanted in ("wilma", "w1lma", "wil.ma"):
        with pytest.raises(NameRefused) as caught:
            register(newcomer, wanted)
        assert caught.value.reason == "resting"
    [[kept, rests]] = superuser.execute(
        text("SELECT encode(name_hash, 'escape'), until - since FROM resting_name")
    ).all()
    assert "wilma" not in kept
    assert rests >= timedelta(days=730)
    superuser.execute(
        text(
            "UPDATE resting_name SET since = now() - interval '3 years', until = now() - interval '1 second'"
        )
    )
    assert register(newcomer, "wilma")


def test_P18_a_name_rests_on_after_the_master_key_was_rotated(ann, owner_app, domain_id):
    old, new = bytes(range(32)), bytes(range(1, 33))
    with owner_app.app_context():
        with transaction():
            names.rest(MasterKeys([old]), domain_id, "wilma", "reclaimed")
        with transaction(), pytest.raises(NameRefused):
            names.look(MasterKeys([new, old]), "wilma", domain_id)
        with transaction():
            names.look(MasterKeys([new]), "wilma", domain_id)  # the old key is what the hash was made with


def test_a_name_rests_elsewhere_for_nobody(newcomer, register, owner_app, master, domain_id):
    with owner_app.app_context(), transaction():
        other = domains.host("other.test")
        names.rest(master, domain_id, "wilma", "released")
    assert register(newcomer, "wilma", domain="other.test")
    assert other != domain_id


def test_who_waited_for_a_name_to_be_given_up_sees_that_it_rests(
    newcomer, register, owner_app, master, domain_id, database
):
    """The address is gone and the name rests in one transaction; whoever asked before its commit must not get it after."""
    engine = create_engine(database.urls["owner"], poolclass=NullPool)
    outcome = []

    def ask():
        try:
            outcome.append(register(newcomer, "wilma"))
        except NameRefused as refusal:
            outcome.append(refusal.reason)

    with owner_app.app_context(), transaction():
        other = accounts.meet("user_wilma00000000", "Wilma", "")
    register(other, "wilma")
    # `look` would refuse at once: what races is the moment between it and the write.
    looked, names_look = threading.Event(), names.look
    names.look = lambda *_: looked.set()
    try:
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM address WHERE local_part = 'wilma'"))
            thread = threading.Thread(target=ask)
            thread.start()
            assert looked.wait(10)
            connection.execute(
                text(
                    "INSERT INTO resting_name (domain_id, name_hash, reason, until) VALUES (:d, :h, 'released', now() + interval '2 years')"
                ),
                {"d": domain_id, "h": names._hashes(master, domain_id, "wilma")[0]},
            )
        thread.join(20)
    finally:
        names.look = names_look
        engine.dispose()
    assert outcome == ["resting"]


def test_reserved_names_of_the_admin(newcomer, register, owner_app):
    with owner_app.app_context(), transaction():
        names.reserve("Acme")
        names.reserve("acme")
        assert names.reserved() == ["acme"]
    for wanted in ("acme", "a.cme", "acrne"):
        with pytest.raises(NameRefused) as caught:
            register(newcomer, wanted)
        assert caught.value.reason == "reserved"
    with owner_app.app_context(), transaction():
        assert names.unreserve("acme")
        assert not names.unreserve("acme")
    assert register(newcomer, "acme")


def test_suggestions_can_be_had(newcomer, register, owner_app, master, domain_id):
    with owner_app.app_context(), transaction():
        found = names.suggest(master, "ann", domain_id, "Nia Newcomer")
        assert names.suggest(master, "///", domain_id) == []
    assert 1 <= len(found) <= 3
    assert "nia.newcomer" in found
    assert register(newcomer, found[-1])


def test_limits_of_one_person(newcomer, register, superuser):
    first = register(newcomer, "nia")
    with pytest.raises(RegistrationRefused, match="has-one"):
        register(newcomer, "nia2")
    register(newcomer, "nia2", is_first=False)
    with pytest.raises(RegistrationRefused, match="enough"):
        register(newcomer, "nia4", Limits("open", 0, 2, 10**9, 10**10), is_first=False)
    with pytest.raises(RegistrationRefused, match="no-space"):
        register(newcomer, "nia4", Limits("open", 0, 3, 10**9, 2 * 10**9 + 1), is_first=False)
    register(newcomer, "nia4", Limits("open", 0, 3, 10**9, 2 * 10**9 + 10**8), is_first=False)
    sizes = (
        superuser.execute(text("SELECT quota_bytes FROM mailbox WHERE quota_bytes < 1000000000"))
        .scalars()
        .all()
    )
    assert sizes == [10**8]
    home = superuser.execute(
        text("SELECT home_mailbox_id FROM account WHERE account_id = :a"), {"a": newcomer}
    ).scalar_one()
    assert home == first


def test_a_mailbox_that_was_handed_over_still_counts(newcomer, ann, register, superuser, owner_app):
    for name in ("nia", "nia2"):
        mailbox = register(newcomer, name, is_first=name == "nia")
        superuser.execute(
            text(
                "INSERT INTO member_invitation (mailbox_id, account_id, role, invited_by, expires_at) VALUES (:m, :a, 'owner', :n, now() + interval '1 day')"
            ),
            {"m": mailbox, "a": ann.account_id, "n": newcomer},
        )
        with owner_app.app_context():
            with transaction(mailbox):
                memberships.answer(mailbox, ann.account_id, accepts=True)
            with transaction(mailbox):
                memberships.leave(mailbox, newcomer)
    with pytest.raises(RegistrationRefused, match="enough"):
        register(newcomer, "nia4", Limits("open", 0, 2, 10**9, 10**10))


def test_the_limit_of_an_hour(newcomer, register, superuser):
    register(newcomer, "nia", Limits("open", 1, 3, 10**9, 10**10))
    with pytest.raises(RegistrationRefused, match="busy"):
        register(newcomer, "nia2", Limits("open", 1, 3, 10**9, 10**10), is_first=False)
    superuser.execute(text("UPDATE sign_up SET at = now() - interval '61 minutes'"))
    assert register(newcomer, "nia2", Limits("open", 1, 3, 10**9, 10**10), is_first=False)


# --- who may -------------------------------------------------------------------------------------------------------------


def test_a_domain_decides_for_itself(newcomer, register, owner_app, domain_id):
    with pytest.raises(RegistrationRefused, match="no-domain"):
        register(newcomer, "nia", domain="nowhere.test")
    for mode, usual, reason in (
        ("closed", "open", "closed"),
        ("invite", "open", "no-code"),
        (None, "closed", "closed"),
    ):
        with owner_app.app_context(), transaction():
            domains.set_registration(domain_id, mode)
        with pytest.raises(RegistrationRefused, match=reason):
            register(newcomer, "nia", Limits(usual, 0, 3, 10**9, 10**10))
    with owner_app.app_context(), transaction():
        domains.set_registration(domain_id, "open")
    assert register(newcomer, "nia", Limits("closed", 0, 3, 10**9, 10**10))


@pytest.fixture
def invite(owner_app, master, domain_id):
    def make(**more):
        with owner_app.app_context(), transaction():
            return invitations.make(master, domain_id, actor="system:tests", **more)

    return make


BY_CODE = Limits("invite", 0, 3, 10**9, 10**10)


def test_P14_an_invitation_is_kept_as_a_hash_and_lets_in_as_many_as_it_says(
    newcomer, register, invite, superuser
):
    code = invite(uses=2)
    kept = superuser.execute(
        text("SELECT registration_invitation::text FROM registration_invitation")
    ).scalar_one()
    assert code not in kept
    assert code.replace("-", "") not in kept
    register(newcomer, "nia", BY_CODE, code=code.lower().replace("-", " "))
    register(newcomer, "nia2", BY_CODE, code=code, is_first=False)
    with pytest.raises(InvitationRefused, match="used-up"):
        register(newcomer, "nia4", BY_CODE, code=code, is_first=False)
    told = superuser.execute(
        text("SELECT count(*) FROM sign_up WHERE invitation_id IS NOT NULL")
    ).scalar_one()
    assert told == 2


def test_a_refused_name_uses_no_invitation_up(newcomer, register, invite, superuser):
    code = invite()
    with pytest.raises(NameRefused):
        register(newcomer, "ann", BY_CODE, code=code)
    assert superuser.execute(text("SELECT used FROM registration_invitation")).scalar_one() == 0
    assert register(newcomer, "nia", BY_CODE, code=code)


def test_an_invitation_ends(newcomer, register, invite, owner_app, superuser, domain_id):
    with pytest.raises(InvitationRefused, match="unknown"):
        register(newcomer, "nia", BY_CODE, code="AAAA-BBBB-CCCC-DDDD")
    code = invite()
    with owner_app.app_context(), transaction():
        other = domains.host("other.test")
        domains.set_registration(other, "invite")
    with pytest.raises(InvitationRefused, match="other-domain"):
        register(newcomer, "nia", BY_CODE, code=code, domain="other.test")
    superuser.execute(
        text(
            "UPDATE registration_invitation SET made_at = now() - interval '2 days', expires_at = now() - interval '1 second'"
        )
    )
    with pytest.raises(InvitationRefused, match="over"):
        register(newcomer, "nia", BY_CODE, code=code)
    code = invite()
    with owner_app.app_context(), transaction():
        newest = invitations.listed()[0]
        invitations.withdraw(newest.invitation_id, "system:tests")
    with pytest.raises(InvitationRefused, match="over"):
        register(newcomer, "nia", BY_CODE, code=code)


def test_an_invitation_for_one_address(newcomer, register, invite, superuser):
    code = invite(contact="Nia@Elsewhere.example")
    assert (
        "elsewhere"
        not in superuser.execute(
            text("SELECT registration_invitation::text FROM registration_invitation")
        ).scalar_one()
    )
    for contact in ("", "eve@elsewhere.example"):
        with pytest.raises(InvitationRefused, match="other-person"):
            register(newcomer, "nia", BY_CODE, code=code, contact=contact)
    assert register(newcomer, "nia", BY_CODE, code=code, contact="nia@elsewhere.example")


def test_two_with_the_last_use_of_one_code(newcomer, register, invite, owner_app):
    code = invite()
    with owner_app.app_context(), transaction():
        other = accounts.meet("user_other00000000", "Other", "")
    outcome = race(
        lambda who: register(who, f"name{who % 100}x", BY_CODE, code=code),
        [newcomer, other],
        InvitationRefused,
    )
    assert sorted(outcome) == ["made", "used-up"]


def test_two_who_choose_one_name_at_once(newcomer, register, owner_app, superuser):
    with owner_app.app_context(), transaction():
        others = [accounts.meet(f"user_other{n}0000000", "Other", "") for n in range(5)]
    outcome = race(lambda who: register(who, "wanted"), [newcomer, *others], NameRefused)
    assert outcome.count("made") == 1
    assert set(outcome) <= {"made", "taken"}
    assert (
        superuser.execute(text("SELECT count(*) FROM address WHERE local_part = 'wanted'")).scalar_one() == 1
    )


def test_two_who_choose_names_that_look_alike_at_once(newcomer, register, owner_app):
    with owner_app.app_context(), transaction():
        other = accounts.meet("user_other00000000", "Other", "")
    names_of = {newcomer: "wa.nted", other: "wanted"}
    outcome = race(lambda who: register(who, names_of[who]), [newcomer, other], NameRefused)
    assert sorted(outcome) == ["alike", "made"]


def race(call, people, refusal):
    """What became of each, all begun at once."""
    start, outcome = threading.Barrier(len(people)), []

    def run(who):
        start.wait(10)
        try:
            call(who)
            outcome.append("made")
        except refusal as error:
            outcome.append(error.reason)

    threads = [threading.Thread(target=run, args=[who]) for who in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return outcome


# --- members -------------------------------------------------------------------------------------------------------------


def test_an_invitation_is_answered_once(ann, ben, owner_app):
    with owner_app.app_context():
        with transaction(ann.mailbox_id):
            memberships.invite(ann.mailbox_id, ann.account_id, "ben", "mtumail.test", "writer")
        with transaction():
            [asked] = memberships.asked(ben.account_id)
            assert (asked.mailbox_id, asked.address, asked.role, asked.by) == (
                ann.mailbox_id,
                ann.address,
                "writer",
                "Ann Whitfield",
            )
        with transaction(ann.mailbox_id):
            memberships.answer(ann.mailbox_id, ben.account_id, accepts=True)
        with transaction(ann.mailbox_id), pytest.raises(Exception, match="invitation"):
            memberships.answer(ann.mailbox_id, ben.account_id, accepts=True)
        with transaction():
            assert [one.kind for one in memberships.notices(ann.account_id)] == ["accepted"]
            assert memberships.asked(ben.account_id) == []


@pytest.mark.parametrize(
    ("local", "role", "reason"),
    [
        ("ann", "reader", "yourself"),
        ("ben", "boss", "no-role"),
        ("nobody", "reader", "unknown"),
        ("team-of-two", "reader", "shared"),
    ],
)
def test_invitations_that_are_refused(
    ann, ben, make_person, share, owner_app, superuser, local, role, reason
):
    cleo = make_person("cleo")
    two = make_person("two")
    share(two, ben, "owner")
    superuser.execute(
        text("UPDATE address SET local_part = 'team-of-two' WHERE mailbox_id = :m"), {"m": two.mailbox_id}
    )
    superuser.execute(text("ALTER TABLE account DISABLE TRIGGER account_home_stays"))
    superuser.execute(
        text("UPDATE account SET home_mailbox_id = NULL WHERE account_id = :a"), {"a": two.account_id}
    )
    superuser.execute(text("ALTER TABLE account ENABLE TRIGGER account_home_stays"))
    with owner_app.app_context(), transaction(ann.mailbox_id), pytest.raises(MembershipRefused) as caught:
        memberships.invite(ann.mailbox_id, ann.account_id, local, "mtumail.test", role)
    assert caught.value.reason == reason
    with (
        owner_app.app_context(),
        transaction(ann.mailbox_id),
        pytest.raises(MembershipRefused, match="not-owner"),
    ):
        memberships.invite(ann.mailbox_id, cleo.account_id, "ben", "mtumail.test", "reader")


def test_the_last_owner_stays_until_somebody_else_owns(ann, ben, share, owner_app):
    share(ann, ben, "writer")
    with owner_app.app_context():
        with transaction(ann.mailbox_id), pytest.raises(MembershipRefused, match="last-owner"):
            memberships.leave(ann.mailbox_id, ann.account_id)
        with transaction(ann.mailbox_id), pytest.raises(MembershipRefused, match="last-owner"):
            memberships.change_role(ann.mailbox_id, ann.account_id, ann.account_id, "reader")
        with transaction(ann.mailbox_id):
            memberships.change_role(ann.mailbox_id, ann.account_id, ben.account_id, "owner")
        with transaction(ann.mailbox_id):
            memberships.leave(ann.mailbox_id, ann.account_id)
        with transaction():
            assert [one.role for one in memberships.mine(ben.account_id)] == ["owner", "owner"]
            assert [one.kind for one in memberships.notices(ben.account_id)] == ["left", "role"]


def test_two_owners_who_leave_at_once_leave_one(ann, ben, share, owner_app, superuser):
    share(ann, ben, "owner")

    def go(who):
        with owner_app.app_context(), transaction(ann.mailbox_id):
            memberships.leave(ann.mailbox_id, who)

    assert sorted(race(go, [ann.account_id, ben.account_id], MembershipRefused)) == ["last-owner", "made"]
    count = text("SELECT count(*) FROM mailbox_member WHERE mailbox_id = :m")
    assert superuser.execute(count, {"m": ann.mailbox_id}).scalar_one() == 1


@pytest.mark.parametrize("verb", ["withdraw", "change_role", "remove"])
@pytest.mark.parametrize("role", ["writer", "reader", None])
def test_only_owners_decide(ann, ben, make_person, share, owner_app, verb, role):
    cleo = make_person("cleo")
    share(ann, cleo, "writer")
    if role:
        share(ann, ben, role)
    more = ("owner",) if verb == "change_role" else ()
    with (
        owner_app.app_context(),
        transaction(ann.mailbox_id),
        pytest.raises(MembershipRefused, match="not-owner"),
    ):
        getattr(memberships, verb)(ann.mailbox_id, ben.account_id, cleo.account_id, *more)


def test_members_and_activity_are_for_members(ann, ben, owner_app):
    with owner_app.app_context(), transaction(ann.mailbox_id):
        with pytest.raises(Exception, match="mailbox"):
            memberships.members(ann.mailbox_id, ben.account_id)
        with pytest.raises(Exception, match="mailbox"):
            memberships.activity(ann.mailbox_id, ben.account_id)
        memberships.invite(ann.mailbox_id, ann.account_id, "ben", "mtumail.test", "owner")
        with pytest.raises(Exception, match="mailbox"):
            memberships.members(ann.mailbox_id, ben.account_id)


def test_P16_changes_of_members_are_in_the_audit_log_without_names(ann, ben, share, owner_app, superuser):
    share(ann, ben, "writer")
    with owner_app.app_context(), transaction(ann.mailbox_id):
        memberships.remove(ann.mailbox_id, ann.account_id, ben.account_id)
    entries = superuser.execute(
        text("SELECT kind, entry FROM audit_event WHERE kind LIKE 'mailbox.member%' ORDER BY number")
    ).all()
    assert [kind for kind, _entry in entries] == [
        "mailbox.member.invited",
        "mailbox.member.accepted",
        "mailbox.member.removed",
    ]
    assert all(word not in entry for _kind, entry in entries for word in ("ann", "ben", "@", "Whitfield"))


# --- what the database refuses -------------------------------------------------------------------------------------------


@pytest.fixture
def refused(database):
    """What the database says to one statement, made by a role, in a transaction of its own that is rolled back."""

    def run(role, statement, **values):
        engine = create_engine(database.urls[role], poolclass=NullPool)
        try:
            with engine.connect() as connection, pytest.raises(DBAPIError) as caught:
                connection.execute(text(statement), values)
            return (
                getattr(caught.value.orig.diag, "constraint_name", None) or type(caught.value.orig).__name__
            )
        finally:
            engine.dispose()

    return run


JOIN = "INSERT INTO mailbox_member (mailbox_id, account_id, role) VALUES (:m, :a, :r)"
ASK = "INSERT INTO member_invitation (mailbox_id, account_id, role, invited_by, expires_at) VALUES (:m, :a, :r, :b, now() + interval '1 day')"


@pytest.mark.parametrize("role", ["web", "owner"])
def test_P15_nobody_joins_uninvited_or_by_an_invitation_of_his_own(ann, ben, make_person, refused, role):
    cleo = make_person("cleo")
    his = {"m": ann.mailbox_id, "a": ben.account_id}
    assert refused(role, JOIN, **his, r="owner") == "mailbox_member_was_invited"
    assert refused(role, ASK, **his, r="owner", b=cleo.account_id) == "member_invitation_comes_from_an_owner"
    assert refused(role, ASK, **his, r="owner", b=ben.account_id) in (
        "member_invitation_comes_from_an_owner",
        "member_invitation_nobody_invites_himself",
    )
    assert refused(role, ASK, m=ann.mailbox_id, a=ann.account_id, r="owner", b=ann.account_id).startswith(
        "member_invitation_"
    )


def test_P15_an_invitation_gives_the_role_it_names_and_no_more(ann, ben, refused, superuser):
    superuser.execute(
        text(ASK), {"m": ann.mailbox_id, "a": ben.account_id, "r": "reader", "b": ann.account_id}
    )
    assert refused("web", JOIN, m=ann.mailbox_id, a=ben.account_id, r="owner") == "mailbox_member_was_invited"
    superuser.execute(
        text(
            "UPDATE member_invitation SET invited_at = now() - interval '2 days', expires_at = now() - interval '1 second'"
        )
    )
    assert (
        refused("web", JOIN, m=ann.mailbox_id, a=ben.account_id, r="reader") == "mailbox_member_was_invited"
    )


def test_P15_web_changes_no_membership_past_the_function(ann, ben, refused, database):
    for statement in (
        "UPDATE mailbox_member SET role = 'owner'",
        "DELETE FROM mailbox_member",
        "UPDATE member_invitation SET role = 'owner'",
    ):
        assert refused("web", statement) == "InsufficientPrivilege"
    engine = create_engine(database.urls["web"], poolclass=NullPool)
    with engine.connect() as connection:
        done = connection.execute(
            text("SELECT member_change(:b, :m, :a, 'reader')"),
            {"b": ben.account_id, "m": ann.mailbox_id, "a": ann.account_id},
        )
        assert done.scalar_one() is False
    engine.dispose()


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE domain SET registration = 'ajar'", "domain_registration_is_known"),
        ("UPDATE address SET likeness = 'ANN'", "address_likeness_is_folded"),
        ("UPDATE account SET home_mailbox_id = 1", "account_home_is_chosen_once"),
        ("UPDATE account SET home_mailbox_id = NULL", "account_home_is_chosen_once"),
        ("UPDATE mailbox_member SET role = 'boss'", "mailbox_member_has_an_owner"),
        ("DELETE FROM mailbox_member", "mailbox_member_has_an_owner"),
        ("INSERT INTO reserved_name (name, likeness) VALUES ('ACME', 'acme')", "reserved_name_is_folded"),
        ("INSERT INTO reserved_name (name, likeness) VALUES ('acme', '')", "reserved_name_likeness_is_folded"),
        ("INSERT INTO resting_name SELECT domain_id, 'wilma', 'released', now(), now() + interval '1 day' FROM domain", "resting_name_name_is_blind"),
        ("INSERT INTO resting_name SELECT domain_id, sha256('a'), 'gone', now(), now() + interval '1 day' FROM domain", "resting_name_reason_is_known"),
        ("INSERT INTO resting_name SELECT domain_id, sha256('a'), 'released', now(), now() FROM domain", "resting_name_rests_a_while"),
        ("INSERT INTO registration_invitation (invitation_id, domain_id, code_hash, expires_at) SELECT 1, domain_id, 'code', now() + interval '1 day' FROM domain", "registration_invitation_codes_are_hashed"),
        ("INSERT INTO registration_invitation (invitation_id, domain_id, code_hash, contact_hash, expires_at) SELECT 1, domain_id, sha256('c'), 'n@x', now() + interval '1 day' FROM domain", "registration_invitation_contacts_are_hashed"),
        ("INSERT INTO registration_invitation (invitation_id, domain_id, code_hash, uses, expires_at) SELECT 1, domain_id, sha256('c'), 0, now() + interval '1 day' FROM domain", "registration_invitation_uses_are_some"),
        ("INSERT INTO registration_invitation (invitation_id, domain_id, code_hash, used, expires_at) SELECT 1, domain_id, sha256('c'), 2, now() + interval '1 day' FROM domain", "registration_invitation_used_no_more_than_it_may"),
        ("INSERT INTO registration_invitation (invitation_id, domain_id, code_hash, expires_at) SELECT 1, domain_id, sha256('c'), now() FROM domain", "registration_invitation_lasts_a_while"),
        ("INSERT INTO member_notice (account_id, kind, address) SELECT account_id, 'gossip', '' FROM account", "member_notice_kind_is_known"),
        ("INSERT INTO mailbox_activity (mailbox_id, kind) SELECT mailbox_id, 'Dear Ben' FROM mailbox", "mailbox_activity_kind_is_a_code"),
        ("INSERT INTO mailbox_activity (mailbox_id, kind, number) SELECT mailbox_id, 'sent', 0 FROM mailbox", "mailbox_activity_number_is_positive"),
    ],
)  # fmt: skip
def test_the_database_refuses_nonsense(ann, refused, superuser, statement, constraint):
    # As the superuser: row security is not what refuses here.
    with pytest.raises(DBAPIError) as caught:
        superuser.execute(text(statement))
    assert caught.value.orig.diag.constraint_name == constraint


def test_a_mailbox_begins_with_its_owner(ann, ben, superuser):
    superuser.execute(
        text("UPDATE mailbox SET state = 'closed' WHERE mailbox_id = :m"), {"m": ann.mailbox_id}
    )
    superuser.execute(text("DELETE FROM mailbox_member WHERE mailbox_id = :m"), {"m": ann.mailbox_id})
    with pytest.raises(DBAPIError) as caught:
        superuser.execute(text(JOIN), {"m": ann.mailbox_id, "a": ben.account_id, "r": "owner"})
    assert caught.value.orig.diag.constraint_name == "mailbox_member_begins_with_its_owner"
