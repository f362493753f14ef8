"""Hosted domains: how they come, what they give, what hangs on them, and how they go; and what the database refuses."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from webmail.db import db, transaction
from webmail.errors import NotFound, Refused
from webmail.identity import names
from webmail.mail import identities, mailboxes, registering
from webmail.mail.addresses import parse_spec
from webmail.mail.mailboxes import Recipient, Refusal
from webmail.settings import dkim_keys, domains, routes

ACTOR = "system:tests"


@pytest.fixture
def as_staff(empty, web_app):
    """Run a verb with the rights of the staff's pages."""

    def run(call):
        with web_app.app_context(), transaction(staff=True):
            return call()

    return run


@pytest.fixture
def as_worker(worker):
    def run(call):
        with worker.app_context(), transaction():
            return call()

    return run


@pytest.fixture
def add(as_staff, as_worker):
    """A domain added by the staff and, unless it is to wait, verified by the worker."""

    def make(name, *, waits=False):
        domain_id = as_staff(lambda: domains.add(name, actor=ACTOR))
        if not waits:
            assert as_worker(lambda: domains.verified(domain_id, actor=ACTOR))
        return domain_id

    return make


@pytest.fixture
def resolve(as_worker):
    """Which mailbox an address leads to, or why none."""

    def ask(address):
        found = as_worker(lambda: mailboxes.resolve(parse_spec(address)))
        return found.mailbox_id if isinstance(found, Recipient) else found

    return ask


@pytest.fixture
def kinds(superuser):
    def ask():
        sql = "SELECT kind FROM audit_event WHERE kind LIKE 'domain.%' ORDER BY number"
        return list(superuser.execute(text(sql)).scalars())

    return ask


def test_a_domain_of_any_script_is_kept_as_dns_has_it_and_shown_as_people_do(add, as_staff):
    domain_id = add(" Bücher.Example. ", waits=True)
    kept = as_staff(lambda: domains.one(domain_id))
    assert (kept.name, kept.shown, kept.stage) == ("xn--bcher-kva.example", "bücher.example", "waiting")
    assert len(kept.token) == 32
    with pytest.raises(Refused, match="known"):
        add("xn--bcher-kva.example")


@pytest.mark.parametrize(
    "typed",
    ["", "localhost", "a b.example", "ann@example.org", "-x.example", "192.0.2.1", "x" * 300, "*.example"],
)
def test_what_is_no_domain_is_not_added(add, typed):
    with pytest.raises(Refused, match="not-a-domain"):
        add(typed)


def test_a_domain_that_waits_takes_no_mail_gives_no_names_and_is_not_ours(
    add, as_worker, as_staff, resolve, ann
):
    waiting = add("waits.example", waits=True)
    assert as_worker(domains.names) == ["mtumail.test"]
    assert [one.name for one in as_staff(domains.hosted)] == ["mtumail.test"]
    assert resolve("postmaster@waits.example") is Refusal.NOT_LOCAL
    assert as_worker(lambda: domains.verified(waiting, actor=ACTOR)) is True
    assert as_worker(lambda: domains.verified(waiting, actor=ACTOR)) is False
    assert as_worker(domains.names) == ["mtumail.test", "waits.example"]
    assert resolve("nobody@waits.example") is Refusal.UNKNOWN


def test_nobody_registers_at_a_domain_that_waits_or_rests(add, web_app, as_staff, ann, master, settings):
    waiting, resting = add("waits.example", waits=True), add("rests.example")
    as_staff(lambda: domains.rest(resting, resting=True, actor=ACTOR))
    for name in ("waits.example", "rests.example"):
        wish = registering.Wish(ann.account_id, "Ann", "anna", name, is_first=False)
        mailbox_id = mailboxes.new_mailbox_id()
        with (
            web_app.app_context(),
            pytest.raises(registering.RegistrationRefused, match="no-domain"),
            transaction(mailbox_id),
        ):
            registering.register(master, wish, registering.Limits("open", 0, 9, 10**9, 10**12))
    assert {waiting, resting}


@pytest.mark.parametrize("change", ["verified_at = NULL", "alias_of = 7"])
def test_a_domain_with_mailboxes_stays_what_it_is(superuser, ann, change):
    superuser.execute(
        text("INSERT INTO domain (domain_id, name, verified_at) VALUES (7, 'other.test', now())")
    )
    with pytest.raises(IntegrityError, match="stays what it is"):
        superuser.execute(text(f"UPDATE domain SET {change} WHERE name = 'mtumail.test'"))


@pytest.mark.parametrize(
    ("columns", "values", "constraint"),
    [
        ("state", "'gone'", "domain_state_is_known"),
        ("token", "'short'", "domain_token_cannot_be_guessed"),
        ("alias_of", "7", "alias is of a domain"),
        ("sts_mode", "'maybe'", "domain_sts_mode_is_known"),
        ("state, verified_at", "'removed', now()", "domain_removed_is_nothing"),
        ("alias_of, verified_at", "8, now()", "domain_alias_is_of_a_domain|alias is of a domain"),
    ],
)
def test_the_database_refuses_domains_that_make_no_sense(empty, superuser, columns, values, constraint):
    superuser.execute(text("INSERT INTO domain (domain_id, name) VALUES (8, 'waits.test')"))
    with pytest.raises(DBAPIError, match=constraint):
        superuser.execute(
            text(f"INSERT INTO domain (domain_id, name, {columns}) VALUES (7, 'other.test', {values})")
        )


def test_no_domain_is_an_alias_of_itself(empty, superuser):
    superuser.execute(
        text("INSERT INTO domain (domain_id, name, verified_at) VALUES (7, 'other.test', now())")
    )
    with pytest.raises(IntegrityError, match="domain_alias_is_of_another"):
        superuser.execute(text("UPDATE domain SET alias_of = 7"))


@pytest.mark.parametrize("state", ["'active', NULL, NULL", "'resting', now(), NULL", "'active', now(), 9"])
def test_no_address_begins_at_a_domain_that_waits_rests_or_is_an_alias(superuser, ann, state):
    superuser.execute(
        text("INSERT INTO domain (domain_id, name, verified_at) VALUES (9, 'nine.test', now())")
    )
    superuser.execute(
        text(
            f"INSERT INTO domain (domain_id, name, state, verified_at, alias_of) VALUES (7, 'other.test', {state})"
        )
    )
    with pytest.raises(IntegrityError, match="begins at a domain that is verified"):
        superuser.execute(
            text(f"INSERT INTO address (domain_id, local_part, mailbox_id) VALUES (7, 'x', {ann.mailbox_id})")
        )


@pytest.mark.parametrize(
    ("sql", "constraint"),
    [
        (
            "INSERT INTO domain_route (domain_id, name, mailbox_id) VALUES (:domain, 'info', :mailbox)",
            "domain_route_name_is_known",
        ),
        (
            "INSERT INTO domain_route (domain_id, name, mailbox_id) VALUES (:domain, '*', 5)",
            "domain_route_mailbox_id_exists",
        ),
        (
            "INSERT INTO domain_route (domain_id, name, mailbox_id) VALUES (5, '*', :mailbox)",
            "domain_route_domain_id_exists",
        ),
        (
            "INSERT INTO domain_check (check_id, domain_id, found) VALUES (1, :domain, '{}')",
            "domain_check_found_is_a_short_list",
        ),
        (
            "INSERT INTO domain_check (check_id, domain_id, finished_at) VALUES (1, :domain, now())",
            "domain_check_finished_was_started",
        ),
        (
            "INSERT INTO domain_check (check_id, domain_id) VALUES (1, :domain), (2, :domain)",
            "domain_check_one_waits",
        ),
        ("INSERT INTO domain_check (check_id, domain_id) VALUES (1, 5)", "domain_check_domain_id_exists"),
    ],
)
def test_the_database_refuses_routes_and_looks_that_make_no_sense(superuser, ann, sql, constraint):
    domain_id = superuser.execute(text("SELECT domain_id FROM domain")).scalar()
    with pytest.raises(IntegrityError, match=constraint):
        superuser.execute(text(sql).bindparams(**{name: value for name, value in
                          {"domain": domain_id, "mailbox": ann.mailbox_id}.items() if f":{name}" in sql}))  # fmt: skip


def test_a_policy_that_others_remember_is_left_by_way_of_one_that_asks_for_nothing(add, as_staff):
    """A sender that holds `enforce` and finds no policy goes on with it for two weeks (RFC 8461 section 5.1)."""
    domain_id = add("strict.example")
    as_staff(lambda: domains.set_sts(domain_id, "enforce", actor=ACTOR))
    with pytest.raises(Refused, match="sts-remembered"):
        as_staff(lambda: domains.set_sts(domain_id, "none", actor=ACTOR))
    for mode in ("testing", "none"):
        as_staff(lambda mode=mode: domains.set_sts(domain_id, mode, actor=ACTOR))
    assert as_staff(lambda: domains.one(domain_id)).sts_mode == "none"


# --- aliases ---------------------------------------------------------------------------------------------------------------


def test_mail_for_an_alias_goes_to_the_same_name_and_nobody_else_can_have_it(
    add, as_staff, resolve, ann, superuser
):
    alias, home = add("alias.example"), as_staff(lambda: domains.find("mtumail.test"))
    as_staff(lambda: domains.make_alias(alias, home, actor=ACTOR))
    assert resolve("ann@alias.example") == resolve("Ann+list@ALIAS.example") == ann.mailbox_id
    assert resolve("nobody@alias.example") is Refusal.UNKNOWN
    assert [one.name for one in as_staff(lambda: domains.aliases(home))] == ["alias.example"]
    with pytest.raises(IntegrityError, match="begins at a domain"):
        superuser.execute(
            text(
                f"INSERT INTO address (domain_id, local_part, mailbox_id) VALUES ({alias}, 'ann', {ann.mailbox_id})"
            )
        )
    as_staff(lambda: domains.make_alias(alias, None, actor=ACTOR))
    assert resolve("ann@alias.example") is Refusal.UNKNOWN


def test_whoever_has_a_name_may_write_from_a_verified_alias(add, as_staff, opened, ann):
    home = as_staff(lambda: domains.find("mtumail.test"))
    alias, waiting = add("alias.example"), add("waits.example", waits=True)
    for one in (alias, waiting):
        as_staff(lambda one=one: domains.make_alias(one, home, actor=ACTOR))
    mine = opened(ann, lambda keys: identities.own(keys.mailbox_id))
    assert mine.primary == ann.address
    assert "ann+x@alias.example" in mine
    assert "ann@waits.example" not in mine
    assert "ben@alias.example" not in mine


def test_aliases_lead_one_step_to_a_domain_with_names(add, as_staff, ann):
    home = as_staff(lambda: domains.find("mtumail.test"))
    first, second, waiting = add("first.example"), add("second.example"), add("waits.example", waits=True)
    as_staff(lambda: domains.make_alias(first, home, actor=ACTOR))
    for one, of, code in (
        (second, first, "not-a-target"),
        (second, waiting, "not-a-target"),
        (second, second, "not-a-target"),
        (second, 5, "not-a-target"),
        (home, second, "in-use"),
    ):
        with pytest.raises(Refused, match=code):
            as_staff(lambda one=one, of=of: domains.make_alias(one, of, actor=ACTOR))
    with pytest.raises(NotFound):
        as_staff(lambda: domains.make_alias(5, home, actor=ACTOR))


def test_mail_for_a_name_that_rests_does_not_begin_to_reach_somebody_else_by_an_alias(
    add, as_staff, resolve, superuser, ann
):
    home, closing = as_staff(lambda: domains.find("mtumail.test")), add("closing.example")
    rests = "INSERT INTO resting_name (domain_id, name_hash, reason, since, until) VALUES (:d, :h, 'erased', now() - interval '2 days', now() + :left)"
    superuser.execute(text(rests), {"d": closing, "h": b"h" * 32, "left": timedelta(days=1)})
    with pytest.raises(Refused, match="names-rest"):
        as_staff(lambda: domains.make_alias(closing, home, actor=ACTOR))
    assert resolve("ann@closing.example") is Refusal.UNKNOWN
    superuser.execute(text("UPDATE resting_name SET until = now() - interval '1 second'"))
    as_staff(lambda: domains.make_alias(closing, home, actor=ACTOR))


@pytest.mark.parametrize("gone", [False, True])
def test_nobody_gets_a_name_at_a_domain_that_led_its_mail_to_somebody(
    add, as_staff, as_worker, web_app, master, ann, gone
):
    home, alias = as_staff(lambda: domains.find("mtumail.test")), add("alias.example")
    as_staff(lambda: domains.make_alias(alias, home, actor=ACTOR))
    if gone:
        as_staff(lambda: domains.remove(alias, actor=ACTOR))
        assert as_staff(lambda: domains.add("alias.example", actor=ACTOR)) == alias
        as_worker(lambda: domains.verified(alias, actor=ACTOR))
    else:
        as_staff(lambda: domains.make_alias(alias, None, actor=ACTOR))
    with web_app.app_context(), transaction(), pytest.raises(names.NameRefused, match="taken"):
        names.look(master, "ann", alias)
    box = mailboxes.new_mailbox_id()
    asked = {"account_id": ann.account_id, "name": "x", "local_part": "ann", "domain": "alias.example"}
    with web_app.app_context(), transaction(box), pytest.raises(names.NameRefused, match="taken"):
        mailboxes.create(master, **asked, quota_bytes=1000, actor=ACTOR, most=9)
    with web_app.app_context(), transaction():
        names.look(master, "somebody", alias)
    as_worker(lambda: names.rest(master, home, "somebody", "erased"))
    with web_app.app_context(), transaction():
        for look in (names.look, names.refuse_unless_free):
            with pytest.raises(names.NameRefused, match="resting"):
                look(master, "somebody", alias)


def test_an_alias_is_not_led_to_others_of_the_same_names(add, as_staff, superuser, ann):
    home, alias, other = (
        as_staff(lambda: domains.find("mtumail.test")),
        add("alias.example"),
        add("other.example"),
    )
    as_staff(lambda: domains.make_alias(alias, home, actor=ACTOR))
    begins = text("INSERT INTO address (domain_id, local_part, mailbox_id) VALUES (:d, :l, :m)")
    superuser.execute(begins, {"d": other, "l": "zoe", "m": ann.mailbox_id})
    as_staff(lambda: domains.make_alias(alias, other, actor=ACTOR))
    with pytest.raises(IntegrityError, match="known to be somebody"):
        superuser.execute(begins, {"d": other, "l": "ann", "m": ann.mailbox_id})
    superuser.rollback()
    as_staff(lambda: domains.make_alias(alias, home, actor=ACTOR))
    superuser.execute(begins, {"d": other, "l": "ann", "m": ann.mailbox_id})
    for _ in range(2):  # a way round, by way of none, forgets nothing
        with pytest.raises(Refused, match="names-given"):
            as_staff(lambda: domains.make_alias(alias, other, actor=ACTOR))
        as_staff(lambda: domains.make_alias(alias, None, actor=ACTOR))
    with pytest.raises(IntegrityError, match="known to be somebody"):
        superuser.execute(begins, {"d": alias, "l": "ann", "m": ann.mailbox_id})


# --- names that nobody has -------------------------------------------------------------------------------------------------


def test_postmaster_and_abuse_may_go_to_a_mailbox_and_security_stays_with_the_staff(
    as_staff, resolve, ann, ben
):
    home = as_staff(lambda: domains.find("mtumail.test"))
    assert (
        resolve("postmaster@mtumail.test") is Refusal.UNKNOWN
    )  # no worker has made the staff's mailbox here
    as_staff(lambda: routes.set_route(home, "postmaster", "Ann@MTUMAIL.test", actor=ACTOR))
    as_staff(lambda: routes.set_route(home, "abuse", ben.address, actor=ACTOR))
    as_staff(lambda: routes.set_route(home, "*", ben.address, actor=ACTOR))
    assert resolve("PostMaster+x@mtumail.test") == ann.mailbox_id
    assert resolve("abuse@mtumail.test") == ben.mailbox_id
    assert resolve("security@mtumail.test") is Refusal.UNKNOWN
    as_staff(lambda: routes.set_route(home, "postmaster", "", actor=ACTOR))
    assert resolve("postmaster@mtumail.test") is Refusal.UNKNOWN
    assert set(as_staff(lambda: routes.of(home))) == {"abuse", "*"}


def test_a_catch_all_is_off_until_it_is_set_and_takes_what_nobody_has(add, as_staff, resolve, ann, ben):
    home, alias = as_staff(lambda: domains.find("mtumail.test")), add("alias.example")
    as_staff(lambda: domains.make_alias(alias, home, actor=ACTOR))
    assert resolve("anything@mtumail.test") is Refusal.UNKNOWN
    as_staff(lambda: routes.set_route(home, "*", ben.address, actor=ACTOR))
    assert resolve("anything@mtumail.test") == resolve("anything@alias.example") == ben.mailbox_id
    assert resolve("ann@mtumail.test") == ann.mailbox_id
    assert as_staff(lambda: routes.of(home))["*"].address == ben.address


def test_a_catch_all_never_gets_the_mail_of_somebody_whose_name_is_held_or_rests(
    as_staff, resolve, superuser, ann, ben
):
    home = as_staff(lambda: domains.find("mtumail.test"))
    as_staff(lambda: routes.set_route(home, "*", ben.address, actor=ACTOR))
    superuser.execute(
        text("UPDATE mailbox SET state = 'suspended' WHERE mailbox_id = :box"), {"box": ann.mailbox_id}
    )
    assert resolve(ann.address) is Refusal.SUSPENDED
    superuser.execute(
        text(
            "INSERT INTO resting_name (domain_id, name_hash, reason, until) VALUES (:domain, :hash, 'erased', now() + interval '1 day')"
        ),
        {"domain": home, "hash": b"h" * 32},
    )
    assert resolve("anything@mtumail.test") is Refusal.UNKNOWN
    assert as_staff(lambda: routes.catch_all_pauses(home)) is not None
    superuser.execute(
        text("UPDATE resting_name SET since = now() - interval '2 days', until = now() - interval '1 second'")
    )
    assert resolve("anything@mtumail.test") == ben.mailbox_id
    assert as_staff(lambda: routes.catch_all_pauses(home)) is None


def test_a_route_leads_to_a_mailbox_that_takes_mail_or_nowhere(as_staff, resolve, superuser, ann, ben):
    home = as_staff(lambda: domains.find("mtumail.test"))
    for address in (
        "nobody@mtumail.test",
        "ann@elsewhere.example",
        "ann",
        "@mtumail.test",
        "@",
        "+x@mtumail.test",
    ):
        with pytest.raises(Refused, match="not-an-address"):
            as_staff(lambda address=address: routes.set_route(home, "*", address, actor=ACTOR))
    with pytest.raises(Refused, match="no-such-choice"):
        as_staff(lambda: routes.set_route(home, "info", ann.address, actor=ACTOR))
    as_staff(lambda: routes.set_route(home, "*", ann.address, actor=ACTOR))
    superuser.execute(
        text("UPDATE mailbox SET state = 'suspended' WHERE mailbox_id = :box"), {"box": ann.mailbox_id}
    )
    assert resolve("anything@mtumail.test") is Refusal.UNKNOWN


def test_a_catch_all_of_a_domain_that_was_an_alias_gets_nobodys_mail(
    add, as_staff, resolve, superuser, ann, ben
):
    home, alias = as_staff(lambda: domains.find("mtumail.test")), add("alias.example")
    as_staff(lambda: domains.make_alias(alias, home, actor=ACTOR))
    as_staff(lambda: domains.make_alias(alias, None, actor=ACTOR))
    as_staff(lambda: routes.set_route(alias, "*", ben.address, actor=ACTOR))
    assert resolve("anything@alias.example") == ben.mailbox_id
    assert resolve("ann@alias.example") is Refusal.UNKNOWN
    rests = "INSERT INTO resting_name (domain_id, name_hash, reason, until) VALUES (:d, :h, 'erased', now() + interval '1 day')"
    superuser.execute(text(rests), {"d": home, "h": b"h" * 32})
    assert resolve("anything@alias.example") is Refusal.UNKNOWN
    assert as_staff(lambda: routes.catch_all_pauses(alias)) is not None


def test_who_asks_for_the_owner_of_some_time_means_nobody_before_the_alias(
    add, as_staff, as_worker, superuser, ann
):
    home, alias = as_staff(lambda: domains.find("mtumail.test")), add("alias.example")
    as_staff(lambda: domains.make_alias(alias, home, actor=ACTOR))
    superuser.execute(text("UPDATE address SET created_at = now() - interval '2 years'"))
    [found, led] = [
        as_worker(lambda at=at: mailboxes.resolve(parse_spec(f"ann@{at}"))).since
        for at in ("mtumail.test", "alias.example")
    ]
    assert led - found > timedelta(days=700)


# --- going -----------------------------------------------------------------------------------------------------------------


def test_a_domain_is_removed_when_nobody_has_a_name_there_and_comes_back_unverified(
    add, as_staff, master, superuser, ann, kinds
):
    home, gone = as_staff(lambda: domains.find("mtumail.test")), add("gone.example")
    with pytest.raises(Refused, match="in-use"):
        as_staff(lambda: domains.remove(home, actor=ACTOR))
    as_staff(lambda: dkim_keys.create(master, gone, "ed25519", ACTOR))
    as_staff(lambda: routes.set_route(gone, "*", ann.address, actor=ACTOR))
    token = as_staff(lambda: domains.one(gone)).token

    def remove():
        dkim_keys.retire_all(gone, ACTOR)
        domains.remove(gone, actor=ACTOR)

    as_staff(remove)
    assert as_staff(lambda: domains.find("gone.example")) is None
    assert superuser.execute(text("SELECT count(wrapped) FROM dkim_key")).scalar() == 0
    assert superuser.execute(text("SELECT count(*) FROM domain_route")).scalar() == 0
    for call in (lambda: domains.one(gone), lambda: domains.rest(gone, resting=True, actor=ACTOR), remove):
        with pytest.raises(NotFound):
            as_staff(call)
    assert as_staff(lambda: domains.add("gone.example", actor=ACTOR)) == gone
    back = as_staff(lambda: domains.one(gone))
    assert back.stage == "waiting"
    assert back.token != token
    assert kinds() == ["domain.added", "domain.verified", "domain.routed", "domain.removed", "domain.added"]


def test_a_domain_with_aliases_is_not_removed(add, as_staff):
    home, alias = add("home.example"), add("alias.example")
    as_staff(lambda: domains.make_alias(alias, home, actor=ACTOR))
    for call in (domains.refuse_unless_removable, lambda one: domains.remove(one, actor=ACTOR)):
        with pytest.raises(Refused, match="has-aliases"):
            as_staff(lambda call=call: call(home))


# --- by what right ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE domain SET verified_at = now()",
        "UPDATE domain SET name = 'x.example'",
        "DELETE FROM domain",
        "INSERT INTO domain (domain_id, name, verified_at) VALUES (7, 'x.example', now())",
        "SELECT * FROM domain_route",
        "INSERT INTO domain_route (domain_id, name, mailbox_id) VALUES (1, '*', 1)",
        "UPDATE domain_check SET found = '[]'",
        "SELECT wrapped FROM dkim_key",
        "DELETE FROM dkim_key",
        "UPDATE dkim_key SET public_key = public_key",
        "SELECT * FROM delivery_tally",
        "DELETE FROM delivery_day",
    ],
)
def test_P15_the_staff_cannot_vouch_for_a_domain_nor_read_a_signing_key(as_staff, ann, statement):
    with pytest.raises(DBAPIError, match="permission denied"):
        as_staff(lambda: db.session.execute(text(statement)))


@pytest.mark.parametrize(
    "change",
    [
        "state = 'active', wrapped = 'x', retired_at = NULL, verifies_until = NULL",
        "selector = 'm202611z'",
        "public_key = repeat('x', 32)::bytea",
    ],
)
def test_P14_a_signing_key_that_is_retired_stays_so_and_none_is_exchanged(
    as_staff, add, master, superuser, change
):
    domain_id = add("keys.example")
    selector = as_staff(lambda: dkim_keys.create(master, domain_id, "ed25519", ACTOR))
    as_staff(lambda: dkim_keys.activate(domain_id, ACTOR))
    as_staff(lambda: dkim_keys.retire(domain_id, selector, ACTOR))
    with pytest.raises(IntegrityError, match="goes from next to active to retired"):
        superuser.execute(text(f"UPDATE dkim_key SET {change}"))


def test_P14_the_staff_may_destroy_a_private_half_and_put_no_other_in_its_place(
    as_staff, add, master, superuser
):
    domain_id = add("keys.example")
    as_staff(lambda: dkim_keys.create(master, domain_id, "ed25519", ACTOR))
    as_staff(lambda: dkim_keys.activate(domain_id, ACTOR))
    with pytest.raises(IntegrityError, match="goes from next to active to retired"):
        as_staff(lambda: db.session.execute(text("UPDATE dkim_key SET wrapped = repeat('x', 100)::bytea")))
    superuser.execute(text("UPDATE dkim_key SET wrapped = wrapped || 'x'"))  # as a new master key asks for


def test_P14_a_key_of_a_domain_that_nobody_verified_signs_and_verifies_nothing(
    add, as_staff, as_worker, master, web_app
):
    waiting = add("elsewhere.example", waits=True)
    selector = as_staff(lambda: dkim_keys.create(master, waiting, "ed25519", ACTOR))
    as_staff(lambda: dkim_keys.activate(waiting, ACTOR))

    def believed():
        with web_app.app_context():
            return dkim_keys.published(selector, "elsewhere.example")

    assert as_worker(lambda: dkim_keys.signing(master, "elsewhere.example")) == []
    assert believed() is None
    assert as_worker(dkim_keys.unsigned_domains) == []
    as_worker(lambda: domains.verified(waiting, actor=ACTOR))
    assert len(as_worker(lambda: dkim_keys.signing(master, "elsewhere.example"))) == 1
    assert believed().startswith("v=DKIM1")
