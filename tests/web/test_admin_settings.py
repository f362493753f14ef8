"""Settings of the service in the admin's pages: seen, previewed, changed, remembered, returned; and by nobody else."""

import re
from datetime import UTC, datetime
from html import unescape
from types import SimpleNamespace as Made

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from webmail.cli import cli
from webmail.db import transaction
from webmail.errors import Refused
from webmail.governance.notices import mailing
from webmail.identity import accounts, names, stepup
from webmail.mail import filing
from webmail.sending import limits
from webmail.settings import declared, domains, kept, kinds
from webmail.web import setting_words
from webmail.web.views import admin_settings

GROUPS = sorted({one.group for one in declared.SETTINGS.values()})
PAGES = ("/admin/settings", "/admin/settings/history", *(f"/admin/settings/{group}" for group in GROUPS))


@pytest.fixture
def ada(make_person):
    return make_person("ada", "Ada", role="admin")


@pytest.fixture
def client(browser_of, ada):
    return browser_of(ada)


@pytest.fixture
def post(client, csrf):
    def send(path, **fields):
        return client.post(
            path, data={"csrf_token": csrf(client)} | {k.replace("__", "."): v for k, v in fields.items()}
        )

    return send


def hidden(page):
    return {
        name: unescape(value)
        for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
    }


def value(web_app, name):
    with web_app.app_context(), transaction():
        return kept.value(name)


def test_every_setting_has_words_and_every_word_a_setting():
    assert set(setting_words.WORDS) == set(declared.SETTINGS)
    assert set(GROUPS) <= set(setting_words.GROUP_WORDS) == set(declared.GROUPS)
    for one in declared.SETTINGS.values():
        if isinstance(one.kind, kinds.Choice):
            assert set(setting_words.CHOICES[one.name]) == set(one.kind.codes)


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_for_admins_alone(client, browser_of, ann, make_person, path):
    assert client.get(path).status_code == 200
    for other in (ann, make_person("sue", role="support_lead"), make_person("amy", role="auditor")):
        assert browser_of(other).get(path).status_code == 403


def test_a_group_that_does_not_exist_is_not_found(client):
    assert client.get("/admin/settings/nothing").status_code == 404
    assert client.get("/admin/settings/history?name=no.such").status_code == 404
    assert client.get("/admin/settings/history?c=x").status_code == 404


def test_a_change_is_shown_first_then_made_then_remembered_then_returned(client, post, web_app):
    first = post("/admin/settings/limits", limits__send_hour="50", limits__send_day="0")
    assert first.status_code == 200
    assert "50 recipients" in first.text
    assert "nothing is lost" in first.text
    assert value(web_app, "limits.send_hour") == 0
    done = client.post("/admin/settings/limits", data=hidden(first) | {"reason": "a storm"})
    assert (done.status_code, done.headers["Location"]) == (303, "/admin/settings/limits")
    assert value(web_app, "limits.send_hour") == 50
    page = client.get("/admin/settings/limits").text
    assert "Settings saved." in page
    assert 'name="limits.send_hour" aria-describedby' in page
    past = client.get("/admin/settings/history").text
    assert "a storm" in past
    assert "<bdi>Ada</bdi>" in past
    change = re.search(r'name="change" value="(\d+)"', past)[1]
    assert post("/admin/settings/history", change=change).status_code == 303
    assert value(web_app, "limits.send_hour") == 0


def test_a_wrong_value_is_refused_at_its_field_and_what_was_typed_stays(post, web_app):
    page = post("/admin/settings/limits", limits__undo="31", limits__send_hour="9")
    assert page.status_code == 422
    assert "It can be from 0 seconds to 30 seconds." in page.text
    assert 'value="31"' in page.text
    assert 'value="9"' in page.text
    assert value(web_app, "limits.send_hour") == 0


def test_two_admins_at_once_do_not_overwrite_each_other(client, post, web_app):
    mine = hidden(post("/admin/settings/limits", limits__send_hour="50"))
    theirs = hidden(post("/admin/settings/limits", limits__send_hour="60"))
    client.post("/admin/settings/limits", data=theirs)
    answer = client.post("/admin/settings/limits", data=mine)
    assert answer.status_code == 409
    assert "Somebody else changed this meanwhile" in answer.text
    assert value(web_app, "limits.send_hour") == 60


def test_nothing_to_change_says_so(post):
    assert "everything is so already" in post("/admin/settings/limits", limits__send_hour="0").text


def test_what_an_admin_types_is_text_and_no_markup(client, post):
    bad = '"><script>alert(1)</script>'
    first = post("/admin/settings/service", service__operator=bad)
    assert "<script>alert" not in first.text
    client.post("/admin/settings/service", data=hidden(first) | {"reason": bad})
    for path in PAGES:
        assert "<script>alert" not in client.get(path).text


@pytest.mark.parametrize("path", ["/admin/settings/limits", "/admin/settings/history"])
def test_a_form_without_a_token_changes_nothing(client, web_app, path):
    assert client.post(path, data={"limits.send_hour": "5", "confirm": "1", "change": "1"}).status_code == 403
    assert value(web_app, "limits.send_hour") == 0


def test_the_history_pages_by_key(client, web_app):
    with web_app.app_context(), transaction(staff=True):
        for number in range(1, 61):
            kept.change("limits.send_hour", number, actor="account:1")
    first = client.get("/admin/settings/history").text
    assert first.count('name="change"') == 50
    older = unescape(re.search(r'href="([^"]+)">Older', first)[1])
    assert client.get(older).text.count('name="change"') == 10


def test_what_is_set_holds_at_once(browser_of, ann, web_app, csrf):
    """A banner, the wait after Send, and the limits: each is asked for anew, and a page that was kept shows it too."""
    client = browser_of(ann)
    etag = client.get("/mail/inbox").headers["ETag"]
    with web_app.app_context(), transaction(staff=True):
        kept.change("service.banner", "We move <on> Sunday.", actor="account:1")
        kept.change("limits.undo", 20, actor="account:1")
        kept.change("limits.send_hour", 7, actor="account:1")
    again = client.get("/mail/inbox", headers={"If-None-Match": etag})
    assert again.status_code == 200
    assert "We move &lt;on&gt; Sunday." in again.text
    assert '<option value="20" selected>' in client.get("/settings").text
    with web_app.app_context(), transaction():
        assert dict(limits.allowed())[limits.HOUR] == 7


# --- every setting -------------------------------------------------------------------------------------------------------


def another(one, now):
    """What a person could type for a setting that is not what it is now."""
    match one.kind:
        case kinds.Whole(low, high):
            return str(high if now == low else low)
        case kinds.Line(is_address=True):
            return "elsewhere@example.org"
        case kinds.Line(is_link=True):
            return "https://example.org/rules"
        case kinds.Choice(codes):
            return next(code for code in codes if code != now)
        case kinds.Entries():
            return "Example Ltd | keeps the backups | Ireland"
        case kinds.Names():
            return "ceo\nheadmaster"
        case _:
            return "Something else"


@pytest.mark.parametrize("group", GROUPS)
def test_the_walk_of_all_settings(client, post, web_app, group, superuser):
    """Each setting: seen with its words, changed after a look at what that does, remembered, and returned with one press."""
    walk = [one for one in declared.of_group(group) if not isinstance(one.kind, kinds.Secret)]
    if not walk:
        assert "See what this changes" not in client.get(f"/admin/settings/{group}").text, (
            "only secrets are here"
        )
        return
    before = {one.name: value(web_app, one.name) for one in walk}
    typed = {one.name: another(one, before[one.name]) for one in walk}
    page = unescape(client.get(f"/admin/settings/{group}").text)
    preview = post(f"/admin/settings/{group}", **typed)
    shown = unescape(preview.text)
    assert {one.name: value(web_app, one.name) for one in walk} == before
    done = client.post(f"/admin/settings/{group}", data=hidden(preview) | {"reason": "the walk"})
    assert done.status_code == 303
    for one in walk:
        with web_app.test_request_context():
            words = setting_words.WORDS[one.name]
            now = setting_words.value_words(one, value(web_app, one.name))
            told, effect = str(words.name), str(words.effect)
        assert f'name="{one.name}"' in page
        assert told in page
        assert effect in shown
        assert str(value(web_app, one.name)) == typed[one.name] != str(before[one.name])
        past = client.get(f"/admin/settings/history?name={one.name}").text
        assert "the walk" in past
        assert now in unescape(past)
        change = re.search(r'name="change" value="(\d+)"', past)[1]
        assert post("/admin/settings/history", change=change).status_code == 303
        assert value(web_app, one.name) == before[one.name]
    for query in ("setting_change", "audit_event WHERE kind = 'setting.changed'"):
        assert superuser.execute(text(f"SELECT count(*) FROM {query}")).scalar() == 2 * len(walk)


ONE_OF_EACH = {
    type(one.kind): one for one in declared.SETTINGS.values() if not isinstance(one.kind, kinds.Secret)
}


@pytest.mark.parametrize("one", ONE_OF_EACH.values(), ids=lambda one: one.name)
def test_settings_of_every_kind_go_by_command_too(web_app, environment, database, empty, monkeypatch, one):
    for name, told in environment.items():
        monkeypatch.setenv(name, told)
    monkeypatch.setenv("DATABASE_URL", database.urls["owner"])
    before = value(web_app, one.name)
    typed = another(one, before)
    assert CliRunner().invoke(cli, ["setting", "set", one.name, typed, "--reason", "walk"]).exit_code == 0
    assert str(value(web_app, one.name)) == typed
    assert CliRunner().invoke(cli, ["setting", "unset", one.name, "--reason", "walk"]).exit_code == 0
    assert value(web_app, one.name) == before


def test_every_group_has_a_setting_or_says_where_it_is_set(client):
    page = client.get("/admin/settings").text
    for group in set(GROUPS):
        assert f'href="/admin/settings/{group}"' in page
    for href, _name in admin_settings.ELSEWHERE:
        assert f'href="{href}"' in page


# --- secrets -------------------------------------------------------------------------------------------------------------

HIDDEN = "alerts.webhook_secret"
SECRET = "whsec_canary-canary-canary-canary"


@pytest.fixture
def put(post):
    return lambda **fields: post("/admin/settings/alerts/secret", name=HIDDEN, **fields)


def kept_secret(web_app, master, worker):
    with worker.app_context(), transaction():
        return kept.secret(master, HIDDEN)


def test_P14_a_secret_goes_in_and_is_shown_to_nobody(client, put, web_app, master, worker, superuser):
    assert put(value=SECRET, reason="first").status_code == 303
    assert kept_secret(web_app, master, worker) == SECRET
    for path in PAGES:
        assert "canary" not in client.get(path).text
    assert "kept, and shown to nobody" in client.get("/admin/settings/alerts").text
    for table in ("setting", "setting_change", "setting_secret", "audit_event"):
        for row in superuser.execute(text(f"SELECT to_jsonb(t)::text FROM {table} t")).scalars():
            assert "canary" not in row
    [wrapped] = superuser.execute(text("SELECT wrapped FROM setting_secret")).scalars()
    assert b"canary" not in bytes(wrapped)


def test_P14_its_history_says_that_it_was_replaced_and_no_more(client, put, post, web_app, master, worker):
    put(value=SECRET)
    put(value=SECRET.replace("canary", "second"))
    page = client.get(f"/admin/settings/history?name={HIDDEN}").text
    assert page.count("<td>replaced") == 2
    assert "Return to before" not in page
    with web_app.app_context(), transaction(staff=True):
        [last, _first] = kept.history(HIDDEN)
    assert post("/admin/settings/history", change=str(last.change_id)).status_code == 404
    with web_app.app_context(), transaction(staff=True), pytest.raises(Refused):
        kept.go_back(last.change_id, actor="account:1")
    assert put(remove="1").status_code == 303
    assert kept_secret(web_app, master, worker) == ""
    assert "taken away" in client.get(f"/admin/settings/history?name={HIDDEN}").text


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Use 24 to 200"),
        ("short", "Use 24 to 200"),
        ("with a blank in the middle of it", "visible ASCII"),
    ],
)
def test_a_secret_that_is_none_is_refused_and_not_shown_again(put, superuser, typed, words):
    page = put(value=typed)
    assert page.status_code == 422
    assert words in page.text
    assert not typed or typed not in page.text
    assert superuser.execute(text("SELECT count(*) FROM setting_secret")).scalar() == 0


def test_only_secrets_go_by_that_road_and_secrets_by_no_other(client, post, put, superuser):
    assert post("/admin/settings/alerts/secret", name="alerts.mail", value="off").status_code == 404
    assert post("/admin/settings/service/secret", name=HIDDEN, value=SECRET).status_code == 404
    page = post("/admin/settings/alerts", **{HIDDEN.replace(".", "__"): SECRET})
    assert "everything is so already" in page.text
    assert "canary" not in page.text
    assert (
        client.post("/admin/settings/alerts/secret", data={"name": HIDDEN, "value": SECRET}).status_code
        == 403
    )
    assert superuser.execute(text("SELECT count(*) FROM setting_secret")).scalar() == 0


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("web", "SELECT * FROM setting_secret"),
        ("inbound", "SELECT * FROM setting_secret"),
        ("staff", "SELECT wrapped FROM setting_secret"),
        ("staff", "UPDATE setting_secret SET wrapped = repeat('x', 40)::bytea"),
        ("worker", "DELETE FROM setting_secret"),
    ],
)
def test_P14_only_workers_read_what_is_wrapped(put, database, role, statement):
    put(value=SECRET)
    engine = create_engine(database.urls["web" if role == "staff" else role], poolclass=NullPool)
    with engine.connect() as connection:
        if role == "staff":
            connection.execute(text("SET LOCAL ROLE mtumail_staff"))
        with pytest.raises(DBAPIError, match="permission denied"):
            connection.execute(text(statement))
    engine.dispose()


def test_a_secret_goes_by_command_from_standard_input(
    web_app, master, worker, environment, database, empty, monkeypatch
):
    for name, told in environment.items():
        monkeypatch.setenv(name, told)
    monkeypatch.setenv("DATABASE_URL", database.urls["owner"])
    done = CliRunner().invoke(cli, ["setting", "set", HIDDEN, "-", "--reason", "x"], input=f"{SECRET}\n")
    assert done.exit_code == 0, done.output
    assert "canary" not in done.output
    assert kept_secret(web_app, master, worker) == SECRET
    assert CliRunner().invoke(cli, ["setting", "set", HIDDEN, SECRET, "--reason", "x"]).exit_code != 0
    nothing = CliRunner().invoke(cli, ["setting", "set", HIDDEN, "-", "--reason", "x"], input="\n")
    assert nothing.exit_code == 2
    assert kept_secret(web_app, master, worker) == SECRET
    shown = CliRunner().invoke(cli, ["setting", "list", "alerts"])
    assert "canary" not in shown.output


# --- what they do --------------------------------------------------------------------------------------------------------


def set_(web_app, name, to):
    with web_app.app_context(), transaction(staff=True):
        kept.change(name, to, actor="account:1")


def test_a_reserved_name_cannot_be_taken_nor_what_looks_like_it(web_app, master, ann):
    set_(web_app, "names.reserved", "ceo\nhead.master")
    with web_app.app_context(), transaction():
        domain_id = domains.find("mtumail.test")
        for name in ("ceo", "c.e.o", "headmaster"):
            with pytest.raises(names.NameRefused, match="reserved"):
                names.look(master, name, domain_id)
        names.look(master, "tailor", domain_id)


def test_processors_are_beside_the_policy_and_in_the_record(client, stranger, web_app):
    set_(web_app, "processors.others", "Example <b> Ltd|keeps the backups|Ireland")
    assert "Example &lt;b&gt; Ltd: keeps the backups (Ireland)" in stranger.get("/privacy").text
    assert "Example &lt;b&gt; Ltd: keeps the backups (Ireland)" in client.get("/admin/records").text


def test_who_comes_new_begins_with_the_appearance_that_is_set_and_others_keep_theirs(web_app, ann, superuser):
    for name, to in (("rows", "20"), ("density", "compact"), ("reading", "formatted")):
        set_(web_app, f"appearance.{name}", to)
    with web_app.app_context(), transaction():
        accounts.meet("user_new00000000", "New")
    found = superuser.execute(
        text("SELECT name, rows_preference, density_preference, reading_preference FROM account WHERE account_id IN"
             " (SELECT account_id FROM account WHERE name IN ('New', 'Ann Whitfield')) ORDER BY name")
    ).all()  # fmt: skip
    assert found == [("Ann Whitfield", 50, "comfortable", "reading"), ("New", 20, "compact", "formatted")]


def test_dates_are_written_as_is_set_and_a_page_that_was_kept_shows_it(
    browser_of, ann, deliver, letter, web_app
):
    deliver(ann, letter())
    client = browser_of(ann)
    first = client.get("/mail/inbox")
    assert '<html lang="en-GB"' in first.text
    set_(web_app, "languages.standard", "en_US")
    again = client.get("/mail/inbox", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 200
    assert '<html lang="en-US"' in again.text


def test_new_accounts_have_the_share_that_is_set(web_app, ann, opened):
    set_(web_app, "limits.send_day", 100)
    set_(web_app, "spam.new_percent", 10)
    room = lambda wanted: opened(ann, lambda keys: limits.room_at(keys.mailbox_id, ann.account_id, wanted))  # noqa: E731
    with web_app.app_context(), transaction():
        assert limits._of_new(100) == 10
    assert room(5) is None
    set_(web_app, "spam.new_days", 0)
    assert room(50) is None


@pytest.mark.parametrize(("chosen", "folder"), [("junk", "junk"), ("inbox", "inbox")])
def test_mail_that_its_domain_disowns_goes_where_is_set(web_app, chosen, folder, monkeypatch, ann, opened):
    set_(web_app, "spam.disowned", chosen)
    told = Made(verdict="failed", reason="", dmarc_policy="reject")
    view = Made(authentication=told, sender=("", "x@example.org"))
    monkeypatch.setattr("webmail.mail.filing.passed_on.by_known_list", lambda *_args: False)
    with web_app.app_context(), transaction():
        assert filing._is_forged(None, view) == (folder == "junk")


def test_lines_of_notices_are_in_the_letter(web_app):
    set_(web_app, "notices.greeting", "Dear you,")
    set_(web_app, "notices.ending", "The people of Example")
    set_(web_app, "notices.rules", "https://example.org/rules")
    at = datetime(2026, 11, 23, tzinfo=UTC)
    with web_app.app_context(), transaction():
        body = mailing._body(
            "action", "warn", None, "spam", None, None, "You wrote to strangers.", at, "https://x.example"
        )
    assert body.startswith("Dear you,\n\nWe warn you")
    assert "All rules: https://example.org/rules" in body
    assert body.endswith("The people of Example\n\nhttps://x.example/notices\n")


def test_P17_a_confirmation_is_good_for_as_long_as_is_set(web_app, ada, superuser):
    viewer = Made(account_id=ada.account_id, session_id="sess_x", roles=frozenset({"admin"}), fva=(0, 0))
    superuser.execute(
        text(
            "INSERT INTO confirmation (confirmation_id, account_id, session_id, act, target, method, made_at, expires_at)"
            " VALUES (7, :a, 'sess_x', 'action.grave', :t, 'totp', now() - interval '3 minutes', now() + interval '7 minutes')"
        ),
        {"a": ada.account_id, "t": stepup.target_hash("action.grave", 1)},
    )
    require = lambda: stepup.require(viewer, act="action.grave", target=1)  # noqa: E731
    set_(web_app, "security.confirm_minutes", 2)
    with web_app.app_context(), pytest.raises(stepup.ConfirmationNeeded), transaction(staff=True):
        require()
    set_(web_app, "security.confirm_minutes", 5)
    set_(web_app, "security.confirm_level", "multi_factor")
    with web_app.app_context(), pytest.raises(stepup.ConfirmationNeeded) as needed, transaction(staff=True):
        require()
    assert needed.value.level == "multi_factor"
    set_(web_app, "security.confirm_level", "second_factor")
    with web_app.app_context(), transaction(staff=True):
        assert require() == 7


def test_what_a_shorter_schedule_would_remove_is_counted_before(post, superuser):
    superuser.execute(
        text(
            "INSERT INTO session_denial (subject, reason, until) SELECT 'sess_' || n, 'x', now() - interval '20 days' FROM generate_series(1, 3) n"
        )
    )
    assert "That is 3 rows now." in post("/admin/settings/retention", retention__denials="10").text
    assert "That is 0 rows now." in post("/admin/settings/retention", retention__denials="25").text
