"""Signatures of what leaves, held to two verifiers: inbound's, and dkimpy's, which shares nothing with the signer."""

import base64
import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from types import SimpleNamespace

import dkim as dkimpy
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import text

from inbound.authentication import dkim as verifier
from inbound.authentication.dns import NXDOMAIN, Answer, Asker, Status
from inbound.authentication.message import Mail
from webmail.db import transaction
from webmail.errors import Tampered
from webmail.mail import messages
from webmail.mail.addresses import Address
from webmail.mail.folders import Kind
from webmail.sending import dkim, drafts, submitting
from webmail.sending.composing import Attachment, Composition, build
from webmail.sending.relay.content import MAX_LINE, refuse_unclean
from webmail.settings import dkim_keys, dkim_records, domains

DOMAIN = "mtumail.test"
NOW = 1_795_000_000
ANN = Address("ann", DOMAIN, "Ann Whitfield")
LETTER = Composition(
    sender=ANN,
    subject="The pump – it runs again, and with it everything that hangs on it",
    body="Hello Ben,\n\nit runs.  Twice   as  well.\n\nAnn\n",
    message_id=f"<0123456789abcdef@{DOMAIN}>",
    date=datetime(2026, 11, 23, 10, tzinfo=UTC),
    to=(Address("ben", "example.net", "Ben Okello"),),
    cc=(Address("zoe", "example.org", "Zoë Ñandú"),),
    bcc=(Address("secret", "example.com", ""),),
    in_reply_to="<earlier@example.net>",
    references=("<first@example.net>", "<earlier@example.net>"),
)


@pytest.fixture(scope="module")
def made():
    """A key pair of each algorithm."""
    return {algorithm: dkim_records.generate(algorithm) for algorithm in dkim_records.ALGORITHMS}


@pytest.fixture(scope="module")
def signers(made):
    names = {"rsa": "m202611a", "ed25519": "m202611b"}
    return [dkim_records.load(names[one], one, pair.private) for one, pair in made.items()]


@pytest.fixture(scope="module")
def zone(made, signers):
    return {
        f"{key.selector}._domainkey.{DOMAIN}": dkim_records.record(key.algorithm, made[key.algorithm].public)
        for key in signers
    }


@pytest.fixture(scope="module")
def checked(zone):
    """What both verifiers say of each signature, from the top: (algorithm, result, result of dkimpy)."""

    def ask(name, kind, seconds):
        return Answer(Status.FOUND, (zone[name],)) if name in zone else NXDOMAIN

    def dnsfunc(name, timeout=5):
        return zone.get(name.decode().removesuffix("."), "").encode() or None

    def check(raw):
        mail, asker = Mail(raw), Asker(ask)
        found = [verifier.verify(mail, field, asker, NOW) for field in verifier.signatures(mail)]
        theirs = [_dkimpy(raw, number, dnsfunc) for number in range(len(found))]
        return [(one.algorithm, one.result, word) for one, word in zip(found, theirs, strict=True)]

    return check


def _dkimpy(raw, number, dnsfunc):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dkimpy, "nacl", NACL, raising=False)
        try:
            return "pass" if dkimpy.DKIM(raw).verify(number, dnsfunc=dnsfunc) else "fail"
        except dkimpy.DKIMException:
            return "fail"


class VerifyKey:
    """The one class of PyNaCl's that dkimpy needs for Ed25519, over the library that is there."""

    def __init__(self, key, encoder):
        self._key = Ed25519PublicKey.from_public_bytes(base64.b64decode(key))

    def verify(self, data, signature):
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            raise NACL.exceptions.BadSignatureError from None


NACL = SimpleNamespace(
    signing=SimpleNamespace(VerifyKey=VerifyKey),
    encoding=SimpleNamespace(Base64Encoder=None),
    exceptions=SimpleNamespace(
        BadSignatureError=type("BadSignatureError", (Exception,), {}),
        ValueError=type("ValueError", (Exception,), {}),
    ),
)


BOTH = [("rsa-sha256", "pass", "pass"), ("ed25519-sha256", "pass", "pass")]


@pytest.mark.parametrize(
    "letter",
    [
        LETTER,
        replace(LETTER, cc=(), in_reply_to=None, references=()),
        replace(LETTER, to=(), cc=(), body=""),
        replace(LETTER, body="Grüße\n\n  \n\t\n\n\n", attachments=(Attachment("a.bin", "x/y", bytes(range(256)) * 99),)),
        replace(LETTER, body=".\n..\nFrom here\n" + "word " * 999),
        replace(LETTER, to=tuple(Address(f"reader{n}", "example.net", f"Reader {n}") for n in range(90))),
        replace(LETTER, sender=Address("ann", DOMAIN, "Änn"), to=(Address("jürgen", "bücher.example", "Jürgen"),)),
    ],
    ids=["usual", "short", "empty", "file", "dots", "many", "utf8"],
)  # fmt: skip
def test_both_signatures_hold(signers, checked, letter):
    raw = build(letter)
    signed = dkim.sign(raw, DOMAIN, signers, NOW)
    assert signed.endswith(raw)
    assert checked(signed) == BOTH
    refuse_unclean(signed)
    ours = signed.removesuffix(raw).decode("ascii")
    assert max(map(len, ours.split("\r\n"))) <= 78 < MAX_LINE
    assert dkim.sign(raw, DOMAIN, signers, NOW) == signed


def tags_of(signed):
    return [
        dict(re.sub(r"\s", "", spec).split("=", 1) for spec in value.split(";"))
        for value in message_from_bytes(signed).get_all("DKIM-Signature")
    ]


def test_what_a_signature_says(signers):
    for tags in tags_of(dkim.sign(build(LETTER), DOMAIN, signers, NOW)):
        assert set(tags) == {"v", "a", "c", "d", "s", "t", "bh", "h", "b"}, "no l=, no x=, and i= is nobody"
        assert (tags["c"], tags["d"], tags["t"]) == ("relaxed/relaxed", DOMAIN, str(NOW))
        names = tags["h"].lower().split(":")
        for name in ("from", "to", "cc", "subject", "date", "message-id", "content-type"):
            assert names.count(name) == 2, name
        assert names.count("reply-to") == 1, "named, though there is none: nobody can add one"
        for name in ("in-reply-to", "references", "mime-version", "content-transfer-encoding"):
            assert names.count(name) == 1, name
        assert not {"bcc", "received", "return-path", "dkim-signature"}.intersection(names)


def test_fields_of_lists_and_of_automatic_mail_are_signed(signers, checked):
    extra = b"List-Id: <pumps.mtumail.test>\r\nList-Unsubscribe:\r\n <https://mtumail.test/u>\r\nAuto-Submitted: auto-replied\r\n"
    signed = dkim.sign(extra + build(LETTER), DOMAIN, signers, NOW)
    assert checked(signed) == BOTH
    for tags in tags_of(signed):
        assert {"list-id", "list-unsubscribe", "auto-submitted"} <= set(tags["h"].lower().split(":"))
    broken = signed.replace(b"https://mtumail.test/u", b"https://mtumail.test/v")
    assert [found[1:] for found in checked(broken)] == [("fail", "fail")] * 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Subject: ", b"Subject: Re: "),
        (b"it runs.", b"it rusts."),
        (b"MIME-Version: 1.0\r\n", b"MIME-Version: 1.0\r\nReply-To: eve@example.com\r\n"),
        (b"Date: ", b"From: Eve <eve@example.com>\r\nDate: "),
        (b"Date: ", b"To: eve@example.com\r\nDate: "),
        (b"Date: ", b"Cc: eve@example.com\r\nDate: "),
        (b"Date: ", b"Subject: Another\r\nDate: "),
        (b"Date: ", b"Message-ID: <another@example.com>\r\nDate: "),
        (b"Date: ", b"Date: Mon, 23 Nov 2026 11:00:00 +0000\r\nDate: "),
        (b"Content-Type: ", b"Content-Type: text/html\r\nContent-Type: "),
    ],
    ids=lambda value: value.decode()[:24].strip(),
)
def test_nothing_a_reader_goes_by_can_be_changed_or_added(signers, checked, old, new):
    signed = dkim.sign(build(LETTER), DOMAIN, signers, NOW)
    head, _, rest = signed.partition(b"\r\nDate: ")
    rest = b"Date: " + rest
    assert old in rest
    changed = head + b"\r\n" + rest.replace(old, new, 1)
    assert [found[1:] for found in checked(changed)] == [("fail", "fail")] * 2


def test_what_servers_on_the_way_do_is_forgiven(signers, checked):
    signed = dkim.sign(build(LETTER), DOMAIN, signers, NOW)
    trace = (
        b"Return-Path: <ann@mtumail.test>\r\nReceived: from a by b;\r\n\tMon, 23 Nov 2026 10:00:00 +0000\r\n"
    )
    assert checked(trace + signed) == BOTH
    assert checked(signed.replace(b"Subject: ", b"SUBJECT:   ")) == BOTH
    assert checked(signed + b"\r\n\r\n") == BOTH


@pytest.mark.corpora
def test_whatever_is_signed_verifies(corpora, signers, zone, checked):
    """Messages as strangers write them, made CRLF: what our own composer never makes is signed right as well."""
    count = 0
    for path in sorted((corpora / "dkim").glob("*.[em][ms][lg]*")):
        raw = re.sub(rb"\r?\n|\r", b"\r\n", path.read_bytes())
        raw = re.sub(
            rb"(?im)^(DKIM-Signature|X-Google-DKIM-Signature|ARC-[a-z-]+):.*\r\n(?:[ \t].*\r\n)*", b"", raw
        )
        mail = Mail(raw)
        if mail.problem or len(mail.get_all(b"from")) != 1 or b"\r\n\r\n" not in raw:
            continue
        signed = dkim.sign(raw, DOMAIN, signers, NOW)
        assert [one[1] for one in checked(signed)] == ["pass", "pass"], path.name
        count += 1
    assert count > 20


def test_a_signature_costs_little(signers):
    raw = build(replace(LETTER, body="word " * 400))
    dkim.sign(raw, DOMAIN, signers, NOW)
    costs = []
    for _ in range(30):
        begun = time.process_time()
        dkim.sign(raw, DOMAIN, signers, NOW)
        costs.append(time.process_time() - begun)
    assert min(costs) < 0.004


# --- what leaves ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def hosted(owner_app, master, ann):
    """The domain of ann, with its keys."""
    with owner_app.app_context(), transaction():
        domain_id = domains.find(DOMAIN)
        dkim_keys.ensure(master, domain_id, "system:tests")
    return domain_id


@pytest.fixture
def send(opened, ann):
    """Submit a message of ann's; its bytes as they leave."""

    def submit():
        def call(keys):
            who = (ann.name, ann.address)
            draft = drafts.create(
                keys, who, drafts.Fields("a@example.org", "", "b@example.org", "Hi", "Text")
            )
            submitting.submit(keys, draft.message_id, 1, account_id=ann.account_id, author=who, limit=10**6)
            return messages.source(keys, draft.message_id), messages.source(keys, draft.message_id)

        first, again = opened(ann, call)
        assert first == again
        return first

    return submit


def table(owner_app):
    """Key records as inbound reads them."""

    def ask(name, kind, seconds):
        selector, _, domain = name.partition("._domainkey.")
        with owner_app.app_context():
            record = dkim_keys.published(selector, domain)
        return Answer(Status.FOUND, (record,)) if record else NXDOMAIN

    return ask


def test_what_is_submitted_leaves_signed_by_both_keys(hosted, send, owner_app, superuser):
    raw = send()
    mail, ask = Mail(raw), Asker(table(owner_app))
    found = [verifier.verify(mail, field, ask, time.time()) for field in verifier.signatures(mail)]
    assert [(one.algorithm, one.result, one.domain) for one in found] == [
        ("rsa-sha256", "pass", DOMAIN),
        ("ed25519-sha256", "pass", DOMAIN),
    ]
    assert b"b@example.org" not in raw
    assert superuser.execute(text("SELECT size_bytes FROM message")).scalar() == len(raw)


def test_what_nobody_drafted_leaves_signed_and_stands_in_sent(hosted, opened, ann, owner_app, superuser):
    def call(keys):
        message_id = submitting.keep_new(keys, ann.address, build(LETTER))
        return messages.source(keys, message_id), messages.line(keys, message_id)

    raw, line = opened(ann, call)
    mail, ask = Mail(raw), Asker(table(owner_app))
    found = [verifier.verify(mail, field, ask, time.time()).result for field in verifier.signatures(mail)]
    assert found == ["pass", "pass"]
    assert raw.endswith(build(LETTER))
    row = superuser.execute(text("SELECT state, direction, unread, size_bytes, folder_id FROM message")).one()
    assert tuple(row) == ("filed", "out", False, len(raw), int(Kind.SENT))
    used = superuser.execute(
        text("SELECT used_bytes FROM mailbox WHERE mailbox_id = :m"), {"m": ann.mailbox_id}
    )
    assert used.scalar() == len(raw)
    assert line.direction == "out"


def test_after_a_rotation_the_next_message_has_the_next_keys(hosted, send, owner_app, master):
    before = {tags["s"] for tags in tags_of(send())}
    with owner_app.app_context(), transaction():
        for algorithm in dkim_records.ALGORITHMS:
            dkim_keys.create(master, hosted, algorithm, "system:tests")
    assert {tags["s"] for tags in tags_of(send())} == before, "the next keys sign nothing yet"
    with owner_app.app_context(), transaction():
        dkim_keys.activate(hosted, "system:tests")
    assert not before.intersection(tags["s"] for tags in tags_of(send()))


def test_without_a_key_mail_leaves_unsigned_and_the_log_says_so(send, caplog):
    raw = send()
    assert b"DKIM-Signature" not in raw
    [record] = [item for item in caplog.records if item.getMessage() == "unsigned"]
    assert record.problem == "no-key"
    assert "example.org" not in str(vars(record))


def test_a_key_that_does_not_open_loses_no_mail(hosted, send, caplog, superuser):
    superuser.execute(text("UPDATE dkim_key SET wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1)"))
    assert b"DKIM-Signature" not in send()
    assert [item.problem for item in caplog.records if item.getMessage() == "unsigned"] == ["key-trouble"]


def test_a_key_opens_in_its_own_row_alone(hosted, web_app, master, superuser):
    superuser.execute(
        text("UPDATE dkim_key a SET wrapped = b.wrapped FROM dkim_key b WHERE a.selector <> b.selector")
    )
    with web_app.app_context(), transaction(), pytest.raises(Tampered):
        dkim_keys.signing(master, DOMAIN)


def test_the_record_in_dns_is_what_verifiers_read(made):
    from inbound.authentication import keys

    for algorithm, pair in made.items():
        key = keys.parse(dkim_records.record(algorithm, pair.public))
        assert (key.kind, key.data, key.strict) == (algorithm, pair.public, True)
        assert base64.b64encode(pair.public).decode() in dkim_records.record(algorithm, pair.public)
