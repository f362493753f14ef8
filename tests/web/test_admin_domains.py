"""Domains in the admin's pages: added, verified, published, rotated, led elsewhere, put to rest, removed; by admins alone, with a
proof where it is power, and written down. And the policies that the world's mail servers fetch."""

import re
from html import unescape

import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import text

from webmail.db import show_id, transaction
from webmail.settings import dkim_keys, domain_health, domain_records, domains

PATH = "/admin/domains"
ACTOR = "system:tests"


@pytest.fixture
def client(browser_of, ada):
    return browser_of(ada)


@pytest.fixture
def post(client, csrf):
    """Send a form; where a proof is asked for, give it if `proved`."""

    def send(path, *, proved=False, **fields):
        answer = client.post(path, data={"csrf_token": csrf(client)} | fields)
        if not proved:
            return answer
        assert answer.status_code == 403, answer.text
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', answer.text)
        kept = {name: unescape(value) for name, value in hidden}
        return client.post(path, data=kept | {"confirm_password": "right"})

    return send


@pytest.fixture(autouse=True)
def _password(web_app, monkeypatch):
    backend = web_app.extensions["auth"].clerk.backend
    monkeypatch.setattr(backend, "verify_password", lambda _user, given: given == "right")


@pytest.fixture
def as_owner(owner_app, ada):
    def run(call):
        with owner_app.app_context(), transaction():
            return call()

    return run


@pytest.fixture
def home(as_owner):
    return as_owner(lambda: domains.find("mtumail.test"))


@pytest.fixture
def other(as_owner):
    return as_owner(lambda: domains.host("other.test"))


@pytest.fixture
def saw(superuser):
    """Have a look of this domain done that found these records so."""

    def write(domain_id, *findings):
        superuser.execute(
            text(
                "INSERT INTO domain_check (check_id, domain_id, asked_at, started_at, finished_at, found) SELECT"
                " coalesce(max(check_id), 0) + 1, :domain, clock_timestamp(), now(), now() - interval '1 hour', :found FROM domain_check"
            ),
            {"domain": domain_id, "found": Jsonb(findings)},
        )

    return write


@pytest.fixture
def events(superuser):
    def ask(like="domain.%"):
        sql = "SELECT kind, actor FROM audit_event WHERE kind LIKE :like ORDER BY number"
        return [tuple(row) for row in superuser.execute(text(sql), {"like": like})]

    return ask


def of(domain_id):
    return f"{PATH}/{show_id(domain_id)}"


# --- who -------------------------------------------------------------------------------------------------------------------


def test_the_pages_are_for_admins_alone(browser_of, client, ann, sue, stranger, home):
    for path in (PATH, of(home)):
        assert client.get(path).status_code == 200
        assert browser_of(ann).get(path).status_code == 403
        assert browser_of(sue).get(path).status_code == 403
        assert stranger.get(path).status_code in (302, 303, 307)
    for path in (f"{PATH}/AAAAAAAA", f"{PATH}/x", f"{of(home)}/nothing"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize("what", ["", "/names", "/sts", "/route", "/alias", "/remove", "/keys"])
def test_nobody_else_changes_anything_and_nothing_without_a_token(
    browser_of, client, csrf, sue, home, events, what
):
    assert client.post(f"{of(home)}{what}", data={}).status_code == 403
    lead = browser_of(sue)
    assert lead.post(f"{of(home)}{what}", data={"csrf_token": csrf(lead)}).status_code == 403
    missing = client.post(
        f"{PATH}/AAAAAAAA{what}", data={"csrf_token": csrf(client), "step": "prepare", "mode": "none"}
    )
    assert missing.status_code == 404
    assert events() == []


# --- beginning -------------------------------------------------------------------------------------------------------------


def test_a_domain_is_added_and_waits_for_its_proof(client, post, ada, events):
    answer = post(PATH, name="Bücher.example")
    assert answer.status_code == 303
    page = client.get(answer.headers["Location"]).text
    assert "bücher.example" in page
    assert "<code>xn--bcher-kva.example</code>" in page
    assert "not verified" in page
    assert re.search(r'value="mtumail-verification=[0-9a-f]{32}" readonly', page)
    assert "catch-all" not in page
    assert "Added. Publish" in page
    assert events() == [("domain.added", f"account:{ada.account_id}")]
    assert "bücher.example" in client.get(PATH).text


@pytest.mark.parametrize(
    ("name", "words"),
    [("nonsense", "no name of a domain"), ("MTUMAIL.test", "here already"), ("", "no name")],
)
def test_what_cannot_be_added_is_said_beside_the_field(post, name, words, home):
    answer = post(PATH, name=name)
    assert answer.status_code == 422
    assert words in answer.text
    assert f'value="{name}"' in answer.text
    assert 'aria-invalid="true"' in answer.text


# --- records ---------------------------------------------------------------------------------------------------------------


def test_records_stand_in_fields_that_can_be_selected_and_copied_with_what_dns_says(
    client, web_app, other, saw
):
    saw(other, ["ownership", "good", ""])
    saw(
        other,
        ["ownership", "good", ""],
        ["mx", "wrong", "mx.elsewhere.example"],
        ["spf", "missing", ""],
        ["dmarc", "unknown", ""],
    )
    page = client.get(of(other)).text
    host = web_app.extensions["settings"].host_name
    assert f'value="10 {host}." readonly dir="ltr" data-copy="Copy|Copied"' in page
    assert "copy.js" in page
    for words in (
        "as it should be",
        "another value",
        "mx.elsewhere.example",
        "missing",
        "could not ask",
        "not looked at yet",
    ):
        assert words in page
    assert f"other.test. IN MX 10 {host}." in page
    assert '<svg class="chart" role="img"' in page
    index = client.get(PATH).text
    assert "1 of 4 as they should be" in index


def test_what_strangers_publish_is_shown_as_text(client, other, saw):
    saw(other, ["mx", "wrong", "<script>alert(1)</script>"])
    page = client.get(of(other)).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_look_is_asked_for_and_the_page_waits_for_it_without_asking_dns_itself(
    client, post, other, superuser, events
):
    assert post(of(other)).status_code == 303
    page = client.get(of(other)).text
    assert "We look, and say here what we found." in page
    assert 'hx-trigger="every 2s"' in page
    waiting = client.get(of(other), headers={"HX-Request": "true"})
    assert (waiting.status_code, waiting.headers.get("HX-Refresh")) == (204, None)
    assert post(of(other)).status_code == 303
    assert "was looked at just now" in client.get(of(other)).text
    superuser.execute(text("UPDATE domain_check SET started_at = now(), finished_at = now()"))
    assert client.get(of(other), headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"
    assert [kind for kind, _actor in events()] == ["domain.asked"]


def test_domains_in_trouble_are_on_the_admins_first_page(client, post, other, saw):
    saw(other, ["mx", "missing", ""], ["spf", "wrong", "x"])
    post(PATH, name="waits.example")
    page = client.get("/admin").text
    assert "2 records are not as they should be" in page
    assert "waits.example" in page


# --- keys ------------------------------------------------------------------------------------------------------------------


def test_P14_keys_are_rotated_in_two_steps_and_switched_once_dns_has_them(
    client, post, as_owner, master, other, saw, events
):
    as_owner(lambda: dkim_keys.ensure(master, other, ACTOR))
    keys = f"{of(other)}/keys"
    assert post(keys, step="prepare").status_code == 303
    page = client.get(of(other)).text
    assert "Switch to the new keys" in page
    waiting = [key.selector for key in as_owner(lambda: dkim_keys.listed(other)) if key.state == "next"]
    assert len(waiting) == 2
    assert all(f'<code dir="ltr">{selector}._domainkey.other.test</code>' in page for selector in waiting)
    assert post(keys, step="prepare").status_code == 409
    refused = post(keys, step="switch")
    assert refused.status_code == 409
    assert "DNS does not have these keys yet" in refused.text
    saw(other, *([f"dkim:{selector}", "good", ""] for selector in waiting))
    assert post(keys, step="switch", proved=True).status_code == 303
    states = {key.selector: key.state for key in as_owner(lambda: dkim_keys.listed(other))}
    assert sorted(states.values()) == ["active", "active", "retired", "retired"]
    assert all(states[selector] == "active" for selector in waiting)
    assert events("dkim_key.activated")[-1][1].startswith("account:")
    assert post(keys, step="switch").status_code == 409


def test_a_key_is_retired_at_once_where_it_leaked(client, post, as_owner, master, other):
    as_owner(lambda: dkim_keys.ensure(master, other, ACTOR))
    selector = as_owner(lambda: dkim_keys.listed(other))[0].selector
    keys = f"{of(other)}/keys"
    assert post(keys, step="leaked", selector=selector, proved=True).status_code == 303
    assert (
        as_owner(lambda: dkim_keys.published(selector, "other.test")) == domain_records.dkim_records.REVOKED
    )
    assert post(keys, step="retire", selector=selector).status_code == 409
    assert post(keys, step="retire", selector="m202611zz").status_code == 404
    assert post(keys, step="dance", selector=selector).status_code == 400


def test_P14_private_halves_are_in_no_page(client, post, other, superuser, web_app):
    post(f"{of(other)}/keys", step="prepare")
    page = client.get(of(other)).text
    wrapped = superuser.execute(text("SELECT encode(wrapped, 'hex') FROM dkim_key")).scalars().all()
    assert len(wrapped) == 2
    assert "PRIVATE" not in page
    assert not any(one in page for one in wrapped)


# --- where mail goes -------------------------------------------------------------------------------------------------------


def test_a_catch_all_takes_a_proof_and_is_said_on_the_page(client, post, ben, home, events):
    route = f"{of(home)}/route"
    assert 'name="address" value=""' in client.get(of(home)).text
    asked = post(route, name="*", address=ben.address)
    assert asked.status_code == 403
    assert "have mail for names that nobody has go elsewhere" in asked.text
    assert events() == []
    assert post(route, name="*", address=ben.address, proved=True).status_code == 303
    assert f'name="address" value="{ben.address}"' in client.get(of(home)).text
    assert [kind for kind, _actor in events()] == ["domain.routed"]


def test_P22_no_address_stands_in_the_audit_log(post, ben, home, superuser):
    post(f"{of(home)}/route", name="abuse", address=ben.address, proved=True)
    entries = (
        superuser.execute(text("SELECT entry FROM audit_event WHERE kind = 'domain.routed'")).scalars().all()
    )
    assert len(entries) == 1
    assert "ben" not in entries[0]


def test_a_catch_all_that_pauses_says_so(client, post, ben, home, superuser):
    post(f"{of(home)}/route", name="*", address=ben.address, proved=True)
    assert "It pauses until" not in client.get(of(home)).text
    superuser.execute(
        text(
            "INSERT INTO resting_name (domain_id, name_hash, reason, until) VALUES (:d, :h, 'erased', now() + interval '1 day')"
        ),
        {"d": home, "h": b"h" * 32},
    )
    assert "It pauses until" in client.get(of(home)).text


def test_an_address_that_leads_nowhere_is_refused(post, home):
    answer = post(f"{of(home)}/route", name="*", address="nobody@mtumail.test", proved=True)
    assert answer.status_code == 409
    assert "leads to no mailbox here" in answer.text


def test_an_alias_is_made_and_freed(client, post, home, other, events):
    assert post(f"{of(other)}/alias", of="mtumail.test", proved=True).status_code == 303
    page = client.get(of(other)).text
    assert "As at the domain that this one is an alias of." in page
    assert "other.test" in client.get(of(home)).text
    assert post(f"{of(other)}/alias", of="", proved=True).status_code == 303
    assert [kind for kind, _actor in events()] == ["domain.alias", "domain.alias"]
    for target in ("nowhere.test", "other.test"):
        answer = post(f"{of(other)}/alias", of=target, proved=target == "other.test")
        assert answer.status_code == 409
        assert "An alias needs a verified domain" in answer.text


# --- names and policies ------------------------------------------------------------------------------------------------------


def test_who_may_take_a_name_and_whether_there_are_new_ones(client, post, as_owner, other, events):
    assert post(f"{of(other)}/names", registration="invite", resting="on").status_code == 303
    kept = as_owner(lambda: domains.one(other))
    assert (kept.registration, kept.stage) == ("invite", "resting")
    assert post(f"{of(other)}/names", registration="").status_code == 303
    kept = as_owner(lambda: domains.one(other))
    assert (kept.registration, kept.stage) == (None, "active")
    assert post(f"{of(other)}/names", registration="ajar").status_code == 400
    assert [kind for kind, _actor in events()] == [
        "domain.registration",
        "domain.rests",
        "domain.registration",
        "domain.wakes",
    ]


def fetch(client, host):
    return client.get("/.well-known/mta-sts.txt", base_url=f"https://{host}")


def test_the_policy_is_served_for_its_own_host_alone(web_app, client, stranger, post, other, superuser):
    assert fetch(stranger, "mta-sts.other.test").status_code == 404
    assert post(f"{of(other)}/sts", mode="enforce").status_code == 303
    answer = fetch(stranger, "MTA-STS.Other.test:443")
    host = web_app.extensions["settings"].host_name
    assert answer.text == f"version: STSv1\r\nmode: enforce\r\nmx: {host}\r\nmax_age: 1209600\r\n"
    assert answer.mimetype == "text/plain"
    assert "Set-Cookie" not in answer.headers
    for wrong in (
        "other.test",
        "mta-sts.mtumail.test",
        "mta-sts.nowhere.test",
        "mta-sts.",
        "x.mta-sts.other.test",
    ):
        assert fetch(stranger, wrong).status_code == 404
    assert stranger.get("/.well-known/mta-sts.txt").status_code == 404
    page = client.get(of(other)).text
    assert f"v=STSv1; id={domain_records.sts_id(host, 'enforce')};" in page
    assert "mta-sts.other.test" in page
    assert post(f"{of(other)}/sts", mode="maybe").status_code == 409
    superuser.execute(text("UPDATE domain SET verified_at = NULL WHERE name = 'other.test'"))
    assert fetch(stranger, "mta-sts.other.test").status_code == 404


def test_no_other_page_answers_to_the_host_of_a_policy(stranger, other):
    away = stranger.get("/", base_url="https://mta-sts.other.test")
    assert (away.status_code, away.headers["Location"]) == (302, "http://mail.localhost:8000/")


# --- going -----------------------------------------------------------------------------------------------------------------


def test_a_domain_goes_once_nobody_has_a_name_there(client, post, as_owner, master, home, other, events):
    as_owner(lambda: dkim_keys.ensure(master, other, ACTOR))
    assert "Remove this domain" not in client.get(of(home)).text
    refused = post(f"{of(home)}/remove")
    assert refused.status_code == 409
    assert "so it stays what it is" in refused.text
    assert "Remove this domain" in client.get(of(other)).text
    assert post(f"{of(other)}/remove", proved=True).status_code == 303
    assert client.get(of(other)).status_code == 404
    assert "other.test" not in client.get(PATH).text
    assert [kind for kind, _actor in events()] == ["domain.removed"]
    assert as_owner(lambda: domain_health.latest()) == {}
