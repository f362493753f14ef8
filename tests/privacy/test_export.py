"""Exports: whole, in parts, sealed, told with checksums, and what an owner may know and no more."""

import hashlib
import io
import json
import mailbox
import re
import zipfile
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from webmail import audit
from webmail.db import show_id, transaction
from webmail.errors import NotFound, Refused
from webmail.governance import reports
from webmail.governance.access.asking import Gag
from webmail.governance.actions import acting
from webmail.keys import open_mailbox
from webmail.mail import contacts, correspondents, identities, messages, vacation
from webmail.mail.addresses import parse_recipients
from webmail.mail.folders import Kind
from webmail.mail.mailboxes import WorkerJob
from webmail.privacy.erasure import asking as erasing
from webmail.privacy.export import asking, draft_file, making, mbox, parts
from webmail.privacy.requests import asking as requesting
from webmail.privacy.restricting import stopping
from webmail.sending import answers_kept, drafts


@pytest.fixture
def export(opened, worker, master, monkeypatch):
    """Ask for an export as somebody and have it made by a worker; its id."""
    monkeypatch.setattr("workers.exporting.core", lambda: worker)
    from workers import exporting

    def make(person, wish=asking.Wish()):
        export_id = opened(person, lambda keys: asking.ask(keys, person.account_id, wish))
        exporting.drain_exports()
        return export_id

    return make


@pytest.fixture
def fetch(opened):
    """Every part of an export, name to bytes, as its owner gets them."""

    def get(person, export_id):
        def read(keys):
            of = asking.opened(keys, person.account_id, export_id)
            found = parts.listed(keys.mailbox_id, export_id)
            return {part.name: (part, b"".join(parts.pieces(of, part.number))) for part in found}

        return opened(person, read)

    return get


HARD = (
    b"From: a@example.org\r\nSubject: quoted\r\n\r\nFrom here\r\n>From there\r\nend\r\n",
    b"From: a@example.org\nSubject: bare\n\nno end of line",
    b"From: a@example.org\r\nSubject: mixed\r\n\r\none\ntwo\r\nthree\rfour\r\n\r\n\r\n",
    b"Status: RO\r\nX-Mtumail: 1; folder=trash\r\nFrom: a@example.org\r\n\r\nbody\r\n",
    b"no header at all\r\nFrom me\r\n",
    b"\r\n\r\n",
    b"From: a@example.org\r\n\r\n" + bytes(range(256)) * 9,
)


def test_P23_an_export_holds_the_exact_bytes_of_every_message(export, fetch, deliver, ann, opened):
    ids = [deliver(ann, raw) for raw in HARD]
    opened(ann, lambda keys: messages.act(keys.mailbox_id, ids[:2], "archive"))
    opened(ann, lambda keys: messages.act(keys.mailbox_id, ids[:1], "star"))
    files = fetch(ann, export(ann))
    listed = [json.loads(line) for line in files["messages.jsonl"][1].splitlines()]
    assert sorted(one["sha256"] for one in listed) == sorted(hashlib.sha256(raw).hexdigest() for raw in HARD)
    assert {one["folder"] for one in listed} == {"inbox", "archive"}
    assert [one["flags"] for one in listed if one["folder"] == "archive"].count("F") == 1
    for part, content in files.values():
        assert hashlib.sha256(content).digest() == part.sha256
        assert len(content) == part.size_bytes


def test_P23_other_programs_read_the_mbox(export, fetch, deliver, ann, tmp_path):
    for raw in HARD[:3]:
        deliver(ann, raw)
    files = fetch(ann, export(ann))
    [name] = [name for name in files if name.startswith("inbox-")]
    (tmp_path / "in.mbox").write_bytes(files[name][1])
    box = mailbox.mbox(tmp_path / "in.mbox")
    try:
        assert [one["Subject"] for one in box] == ["quoted", "bare", "mixed"]
        assert all("R" not in one.get_flags() for one in box)
    finally:
        box.close()


def test_P23_a_zip_holds_a_file_a_message(export, fetch, deliver, ann):
    for raw in HARD:
        deliver(ann, raw)
    files = fetch(ann, export(ann, asking.Wish(form="zip")))
    [name] = [name for name in files if name.startswith("inbox-")]
    with zipfile.ZipFile(io.BytesIO(files[name][1])) as archive:
        assert archive.testzip() is None
        assert sorted(archive.read(one) for one in archive.namelist()) == sorted(HARD)
        assert all(one.comment.startswith(b"1; folder=inbox; ") for one in archive.infolist())


def fits(value, rule, whole, where=""):
    """What the schema's words mean (those that it uses); raises for what does not fit."""
    if "$ref" in rule:
        return fits(value, whole["$defs"][rule["$ref"].rpartition("/")[2]], whole, where)
    known = {
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "const",
        "anyOf",
        "pattern",
        "format",
    }
    assert set(rule) - known <= {"$schema", "title", "$defs"}, rule
    if "anyOf" in rule:
        return any(_fits(value, one, whole) for one in rule["anyOf"]) or pytest.fail(where)
    if "const" in rule:
        assert value == rule["const"], where
    if "type" in rule:
        types = {
            "string": str,
            "integer": int,
            "boolean": bool,
            "object": dict,
            "array": list,
            "null": type(None),
        }
        named = [rule["type"]] if isinstance(rule["type"], str) else rule["type"]
        assert type(value) in [types[one] for one in named], (where, value)
    if "pattern" in rule:
        assert re.search(rule["pattern"], value), (where, value)
    if isinstance(value, dict) and "properties" in rule:
        assert set(value) == set(rule["required"]) == set(rule["properties"]), where
        assert rule["additionalProperties"] is False
        for name, one in value.items():
            fits(one, rule["properties"][name], whole, f"{where}.{name}")
    if isinstance(value, list):
        for one in value:
            fits(one, rule["items"], whole, f"{where}[]")
    return True


def _fits(value, rule, whole):
    try:
        return fits(value, rule, whole)
    except AssertionError:
        return False


@pytest.fixture
def rich(ann, opened, deliver, letter, superuser):
    """Ann, with something of each kind."""
    message = deliver(ann, letter())

    def fill(keys):
        audit.record("case.opened", "system:tests", about=ann.account_id, case=5)
        identities.keep(keys, identities.Identity(identities.NEW, "A. W.", ann.address, "-- me"))
        vacation.set_to(
            keys, vacation.Vacation(True, date(2026, 1, 2), None, "Europe/Berlin", "Away", "I am away")
        )
        answers_kept.add(keys, "thanks", "Thank you!")
        correspondents.block(keys, 'bad"one@example.org'.replace('"', ""))
        correspondents.allow_pictures(keys, "good@example.org", True)
        contacts.add(keys, contacts.Details("Zoë", ("zoe@example.org",), ("+1",), "Org", "a note"))
        draft = drafts.create(
            keys, (ann.name, ann.address), drafts.Fields(to="x@example.org", subject="S", body="B")
        )
        drafts.attach(
            keys, draft.message_id, [drafts.Upload("../é.txt", "text/plain", b"file of a draft")], 10**6
        )

    opened(ann, fill)
    for statement in (
        "INSERT INTO sign_in (sign_in_id, account_id, session_id, device, network) VALUES (1, :a, 'sess_x', 'Firefox on Linux', '192.0.2.0/24')",
        "INSERT INTO submission (mailbox_id, submission_id, message_id, account_id, envelope_from) VALUES (:m, 5, :i, :a, 'ann@x')",
        "INSERT INTO delivery (mailbox_id, submission_id, number, recipient, state) VALUES (:m, 5, 1, 'ben@example.org', 'sent')",
        "INSERT INTO delivery_event (mailbox_id, submission_id, number, event_id, kind, fingerprint) VALUES (:m, 5, 1, 9, 'handed', decode(repeat('00', 16), 'hex'))",
        "INSERT INTO invitation_answer (mailbox_id, message_id, answer) VALUES (:m, :i, 'accepted')",
        "INSERT INTO unsubscription (mailbox_id, message_id, way) VALUES (:m, :i, 'post')",
    ):
        values = {"a": ann.account_id, "m": ann.mailbox_id, "i": message}
        superuser.execute(
            text(statement), {name: one for name, one in values.items() if f":{name}" in statement}
        )
    return ann


def test_P23_records_hold_everything_and_follow_their_schema(export, fetch, rich):
    files = fetch(rich, export(rich))
    schema, records = (json.loads(files[name][1]) for name in ("schema.json", "records.json"))
    fits(records, schema, schema)
    assert not _fits(records | {"format": "other"}, schema, schema), "the check can fail"
    assert not _fits({**records, "account": {}}, schema, schema)
    assert records["account"]["name"] == rich.name
    assert records["mailbox"]["addresses"] == [rich.address]
    empty_ = [name for name, one in records.items() if one in ([], {})]
    nothing = {
        "contact_groups",
        "learned_contacts",
        "reports",
        "cases",
        "staff_notices",
        "requests",
        "staff_notes",
        "restrictions",
    }
    nothing |= {"objections", "deletions", "clerk_events", "sending_days", "activity", "access_log"}
    assert set(empty_) <= nothing
    assert records["audit_log"][0]["kind"] == "case.opened"
    assert records["rules"] == {"blocked": ["badone@example.org"], "pictures_shown": ["good@example.org"]}
    assert records["deliveries"][0]["events"][0]["kind"] == "handed"
    assert b'fileinto "Junk"' in files["rules.sieve"][1]
    assert b"badone@example.org" in files["rules.sieve"][1]
    assert "FN:Zoë" in files["contacts.vcf"][1].decode()
    with zipfile.ZipFile(io.BytesIO(files["drafts.zip"][1])) as archive:
        head, name = archive.namelist()
        assert archive.read(name) == b"file of a draft"
        assert ".." not in name
        told = draft_file.read(archive.read(head))
        assert (told.fields.to, told.fields.body, told.files[0][1]) == ("x@example.org", "B", "é.txt")
    assert files["readme.txt"][1].decode().count("  inbox-") == 1


def test_P23_what_staff_and_service_have_about_me_is_in_it_and_of_others_nothing(
    export, fetch, ann, ben, sam, ada, opened, deliver, letter, superuser, web_app, master, desk
):
    reported = deliver(ann, letter("Buy now"))
    deliver(ben, letter("Buy now"))
    opened(ann, lambda keys: reports.report(keys, master, reported, account_id=ann.account_id, kind="spam", words="Not mine"))  # fmt: skip
    case = superuser.execute(text("SELECT case_id FROM case_item")).scalar()
    about = desk.case("phishing")
    secret_case, legal = desk.case("phishing"), desk.case("legal")
    superuser.execute(
        text("UPDATE case_file SET account_id = :a, state = 'closed', closed_at = now(), outcome = 'no_violation' WHERE case_id = :c"),
        [{"a": ann.account_id, "c": about}, {"a": ben.account_id, "c": secret_case}],
    )  # fmt: skip
    superuser.execute(text("UPDATE case_file SET account_id = :a WHERE case_id = :c"), {"a": ann.account_id, "c": legal})  # fmt: skip
    with web_app.app_context(), transaction():
        stopping.restrict(master, ann.account_id, "claims", ["staff"], "I need it in court.")
        stopping.object_to(master, ann.account_id, "abuse", "I object to it.")
        erasing.undo(ann.account_id, erasing.ask(ann.account_id))
        requesting.make(master, ben.account_id, "access", "This is Ben's.")
    opened(ann, lambda keys: contacts.learn(keys, parse_recipients("New <new@example.org>")))
    files = fetch(ann, export(ann))
    schema, records = (json.loads(files[name][1]) for name in ("schema.json", "records.json"))
    fits(records, schema, schema)
    [one] = records["reports"]
    assert (one["message"], one["kind"], one["outcome"]) == (show_id(reported), "spam", "")
    assert [(one["kind"], one["outcome"]) for one in records["cases"]] == [("phishing", "no_violation")], (
        "what is over, and nothing of what is open"
    )
    assert sorted(one["words"] for one in records["requests"]) == ["I need it in court.", "I object to it."]
    assert records["restrictions"][0]["stopped"] == ["staff"]
    assert records["objections"][0]["state"] == "weighed"
    assert records["deletions"][0]["state"] == "undone"
    assert records["learned_contacts"] == [], "an objection stops that, too"
    told = json.dumps(records)
    assert "Ben" not in told
    assert show_id(case) not in told


def test_P20_what_the_staff_did_and_what_was_answered_is_in_it(
    export, fetch, ann, sam, sue, opened, superuser, web_app, master, desk
):
    case = desk.case("spam")
    superuser.execute(text("UPDATE case_file SET account_id = :a WHERE case_id = :c"), {"a": ann.account_id, "c": case})  # fmt: skip
    with desk.staff():
        wish = acting.Act(case, "warn", ann.account_id, "spam", "You sent what nobody asked for.")
        assert acting.take(master, wish, by=sam.account_id)[1] == "done"
    records = json.loads(fetch(ann, export(ann))["records.json"][1])
    assert sue.name not in json.dumps(records)
    [one] = records["staff_notices"]
    assert (one["kind"], one["rule"], one["words"]) == ("warn", "spam", "You sent what nobody asked for.")
    assert sam.name not in json.dumps(records)


def test_parts_are_by_folder_month_and_size(export, fetch, deliver, ann, letter, superuser, monkeypatch):
    monkeypatch.setattr(making, "PART_BYTES", 300)
    ids = [deliver(ann, letter(f"m{n}")) for n in range(3)]
    superuser.execute(
        text("UPDATE message SET received_at = '2025-02-03 10:00+00' WHERE message_id = :m"), {"m": ids[0]}
    )
    names = [name for name in fetch(ann, export(ann)) if name.endswith(".mbox")]
    assert names[0] == "inbox-2025-02.mbox"
    assert names[2] == names[1].replace(".mbox", "-2.mbox")


def test_an_export_that_is_killed_at_any_step_loses_and_doubles_nothing(
    opened, fetch, deliver, ann, worker, master, monkeypatch
):
    monkeypatch.setattr(making, "STEP_BYTES", 1)
    raws = list(HARD)
    for raw in raws:
        deliver(ann, raw)
    export_id = opened(ann, lambda keys: asking.ask(keys, ann.account_id, asking.Wish()))

    class Killed(BaseException):
        pass

    def step(die):
        with worker.app_context(), transaction(ann.mailbox_id):
            keys = open_mailbox(master, ann.mailbox_id, WorkerJob("export", ann.mailbox_id))
            more = making.step(keys, export_id)
            if die:
                raise Killed
            return more

    more, steps = True, 0
    while more:
        with pytest.raises(Killed):
            step(die=True)
        more, steps = step(die=False), steps + 1
    assert steps > len(raws)
    listed = fetch(ann, export_id)["messages.jsonl"][1].splitlines()
    assert sorted(json.loads(one)["sha256"] for one in listed) == sorted(
        hashlib.sha256(raw).hexdigest() for raw in raws
    )


def test_P15_what_is_exported_is_sealed_and_seen_by_who_asked_alone(
    export, fetch, deliver, ann, ben, letter, superuser, opened
):
    deliver(ann, letter("a very secret word"))
    export_id = export(ann)
    assert (
        superuser.execute(text("SELECT count(*) FROM export_chunk WHERE sealed LIKE '%secret%'")).scalar()
        == 0
    )
    with pytest.raises(NotFound):
        opened(ben, lambda keys: asking.opened(keys, ben.account_id, export_id))
    with pytest.raises(NotFound):
        opened(ann, lambda keys: asking.opened(keys, ben.account_id, export_id))
    superuser.execute(text("UPDATE export SET made_at = now() - interval '8 days'"))
    with pytest.raises(NotFound):
        fetch(ann, export_id)


def test_one_export_at_a_time_and_few_kept(export, opened, ann):
    def ask(keys):
        return asking.ask(keys, ann.account_id, asking.Wish(folders=(Kind.INBOX,)))

    first = opened(ann, ask)
    with pytest.raises(Refused, match="busy"):
        opened(ann, ask)
    opened(ann, lambda keys: asking.drop(keys.mailbox_id, ann.account_id, first))
    for _ in range(asking.MOST_KEPT):
        export(ann)
    with pytest.raises(Refused, match="many"):
        opened(ann, ask)


def test_quoting_comes_back_exactly():
    for raw in HARD:
        assert mbox.unquoted(mbox.quoted(raw)) == raw


def test_what_is_moved_meanwhile_is_not_missed(
    opened, fetch, deliver, ann, worker, master, monkeypatch, letter
):
    monkeypatch.setattr(making, "STEP_BYTES", 1)
    ids = [deliver(ann, letter(f"m{n}")) for n in range(3)]
    opened(ann, lambda keys: messages.act(keys.mailbox_id, ids[2:], "archive"))
    export_id = opened(ann, lambda keys: asking.ask(keys, ann.account_id, asking.Wish()))

    def step():
        with worker.app_context(), transaction(ann.mailbox_id):
            keys = open_mailbox(master, ann.mailbox_id, WorkerJob("export", ann.mailbox_id))
            return making.step(keys, export_id)

    step(), step()
    opened(ann, lambda keys: messages.act(keys.mailbox_id, ids[2:], "inbox"))
    while step():
        pass
    listed = [json.loads(line) for line in fetch(ann, export_id)["messages.jsonl"][1].splitlines()]
    assert sorted(one["id"] for one in listed) == sorted(map(show_id, ids))
    assert {one["folder"] for one in listed} == {"inbox"}


def test_P17_an_access_that_is_kept_silent_is_in_no_export(
    export, fetch, desk, ann, sam, sue, make_person, deliver, letter
):
    message = deliver(ann, letter())
    gag = Gag("The order forbids it.", datetime.now(UTC) + timedelta(days=30))
    silent, refusal = desk.ask(sam, ann, [message], reason="legal", gag=gag)
    assert refusal == ""
    assert desk.gag(make_person("lea", role="support_lead"), silent, "approve") == ""
    assert desk.decide(sue, ann, silent) == ""
    desk.read(sam, silent, message)
    told = desk.granted(sam, sue, ann, [message])
    desk.read(sam, told, message)
    records = json.loads(fetch(ann, export(ann))["records.json"][1])
    assert [one["reason"] for one in records["access_log"]] == ["abuse"]
    assert records["access_log"][0]["opened"][0]["message"] == show_id(message)
    assert "legal" not in json.dumps(records["audit_log"])
