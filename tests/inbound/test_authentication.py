"""What inbound records about a message's sender, and that this never refuses, loses or delays mail."""

import base64
import subprocess
import sys
import threading
import time
from dataclasses import fields
from datetime import UTC, datetime

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from inbound.authentication import author
from inbound.authentication.dns import NXDOMAIN, TEMPORARY, Answer, Status
from inbound.authentication.judge import Judge
from inbound.authentication.results import Arc, Dmarc, Judgement, Signature, Spf
from inbound.ports import Delivery
from inbound.trace import Peer, head
from webmail.mail import authentication as reader
from webmail.mail.authentication import Authentication, read
from webmail.mail.mime import parse

HOST = "mx.mtumail.test"
PEER = "198.51.100.9"
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
MAIL = b"From: Ann <ann@example.org>\r\nTo: ben@mtumail.test\r\nSubject: Hello\r\n\r\nHello Ben\r\n"


@pytest.fixture(scope="module")
def key():
    secret = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = secret.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = secret.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return pem, base64.b64encode(public).decode()


@pytest.fixture
def zone(key):
    """TXT records by name; a value that is an Answer is the answer. `asked` collects the questions."""
    return {
        "example.org": "v=spf1 ip4:198.51.100.9 -all",
        "_dmarc.example.org": "v=DMARC1; p=reject",
        "sel._domainkey.example.org": f"v=DKIM1; p={key[1]}",
    }


@pytest.fixture
def judge(zone):
    asked = []

    def resolve(name, kind, seconds):
        asked.append((name, kind))
        found = zone.get(name, NXDOMAIN) if kind == "TXT" else NXDOMAIN
        return found if isinstance(found, Answer) else Answer(Status.FOUND, (found,), 300)

    one = Judge(HOST, lambda: resolve)
    one.asked = asked
    return one


def delivery(mail=MAIL, sender="ann@example.org", ip=PEER, helo="mail.example.org"):
    fields = head(Peer(ip, helo, True), host=HOST, sender=sender, smtputf8=False, delivery_id="1-1", now=NOW)
    raw = fields + mail
    return Delivery("1-1", sender, (), raw, len(raw), False, ip, helo, False, NOW, len(fields))


def sign(pem, mail=MAIL, domain=b"example.org", selector=b"sel"):
    return dkimpy.DKIM(mail).sign(selector, domain, pem, include_headers=[b"from", b"to", b"subject"]) + mail


def result(judge, **options):
    return read(parse(judge(delivery(**options)).raw).headers)


# --- the field -----------------------------------------------------------------------------------------------------------


def test_the_field_stands_between_return_path_and_received(judge, key):
    before = delivery(sign(key[0]))
    after = judge(before)
    lines = after.raw.split(b"\r\n")
    assert lines[0] == b"Return-Path: <ann@example.org>"
    assert lines[1] == b"Authentication-Results: mx.mtumail.test;"
    assert next(line for line in lines[2:] if line[:1] not in b"\t ").startswith(
        b"Received: from mail.example.org "
    )
    field = after.raw[len(lines[0]) + 2 : after.raw.index(b"Received: ")]
    assert after.raw == before.raw.replace(b"Received: ", field + b"Received: ", 1)
    assert after.size == len(after.raw)
    assert after.raw[after.head :] == before.raw[before.head :]
    assert max(map(len, field.split(b"\r\n"))) < 400


def test_all_that_a_reader_wants_to_know_is_written(judge, monkeypatch):
    """The writer and the reader of the field are two modules: this holds them to one grammar."""
    judgement = Judgement(
        Spf("softfail", "helo", "mail.example.org"),
        (
            Signature(
                "fail", "body has changed", "example.org", "sel", "ann@example.org", "rsa-sha256", "aB+/="
            ),
        ),
        Dmarc(
            "fail",
            "several From fields",
            "example.org",
            "reject",
            by_dkim="a.example.org",
            by_spf="b.example.org",
        ),
        Arc("pass", sealer="list.example"),
    )
    monkeypatch.setattr(judge, "judge", lambda delivery, mail: judgement)
    found = result(judge)
    assert found == Authentication(
        spf="softfail",
        spf_domain="mail.example.org",
        dkim=(
            reader.Signature("fail", "example.org", "sel", "ann@example.org", "aB+/=", "body has changed"),
        ),
        dmarc="fail",
        dmarc_policy="reject",
        from_domain="example.org",
        by_dkim="a.example.org",
        by_spf="b.example.org",
        arc="pass",
        arc_sealer="list.example",
        reason="several From fields",
    )
    for one, empty in ((found, Authentication()), (found.dkim[0], reader.Signature(""))):
        assert [
            item.name for item in fields(one) if getattr(one, item.name) == getattr(empty, item.name)
        ] == []


def test_all_is_well(judge, key):
    found = result(judge, mail=sign(key[0]))
    assert (found.spf, found.spf_domain, found.dmarc, found.dmarc_policy) == (
        "pass",
        "example.org",
        "pass",
        "reject",
    )
    assert [(one.result, one.domain, one.selector) for one in found.dkim] == [("pass", "example.org", "sel")]
    assert (found.from_domain, found.by_dkim, found.arc) == ("example.org", "example.org", "none")
    assert found.verdict == "verified"


def test_a_bounce_is_judged_by_its_helo(judge, zone):
    zone["mail.example.org"] = "v=spf1 ip4:198.51.100.9 -all"
    found = result(judge, sender="")
    assert (found.spf, found.spf_domain, found.dmarc) == ("pass", "mail.example.org", "pass")


@pytest.mark.parametrize(
    ("change", "dmarc", "verdict"),
    [
        ({"example.org": "v=spf1 -all"}, "fail", "failed"),
        ({"example.org": "v=spf1 -all", "_dmarc.example.org": "v=DMARC1; p=none"}, "fail", "failed"),
        ({"example.org": "v=spf1 -all", "_dmarc.example.org": NXDOMAIN}, "none", "unknown"),
        ({"_dmarc.example.org": NXDOMAIN}, "none", "verified"),
        ({"example.org": TEMPORARY}, "temperror", "unknown"),
        ({"_dmarc.example.org": TEMPORARY}, "temperror", "verified"),
        ({"example.org": NXDOMAIN, "_dmarc.example.org": TEMPORARY}, "temperror", "unknown"),
    ],
)
def test_what_dns_says_decides(judge, zone, change, dmarc, verdict):
    zone.update(change)
    found = result(judge)
    assert (found.dmarc, found.verdict) == (dmarc, verdict)


def test_only_the_domain_that_is_shown_counts(judge, zone, key):
    zone["evil.example"] = "v=spf1 +all"
    zone["sel._domainkey.evil.example"] = f"p={key[1]}"
    found = result(judge, mail=sign(key[0], domain=b"evil.example"), sender="x@evil.example")
    assert (found.spf, found.dkim[0].result) == ("pass", "pass")
    assert (found.dmarc, found.verdict) == ("fail", "failed")


def test_a_strangers_dead_name_server_makes_no_doubt_of_a_failure(judge, zone, key):
    """Spoofers choose their own domains for the envelope and for signatures: silence there is no excuse."""
    zone.update({"evil.example": TEMPORARY, "sel._domainkey.evil.example": TEMPORARY})
    found = result(judge, mail=sign(key[0], domain=b"evil.example"), sender="x@evil.example")
    assert (found.spf, found.dkim[0].result, found.dmarc) == ("temperror", "temperror", "fail")


def test_what_decides_is_asked_before_time_is_up(zone, key):
    """Ten signatures of slow domains above the one that counts."""

    def resolve(name, kind, seconds):
        if "evil" in name:
            time.sleep(0.1)
            return TEMPORARY
        found = zone.get(name) if kind == "TXT" else None
        return Answer(Status.FOUND, (found,)) if found else NXDOMAIN

    mail = sign(key[0])
    for number in range(9):
        mail = (
            b"DKIM-Signature: v=1; a=rsa-sha256; d=e%d.evil.example; s=s; h=from; bh=AAAA; b=AAAA\r\n%s"
            % (number, mail)
        )
    found = result(Judge(HOST, lambda: resolve, seconds=0.3), mail=mail, sender="x@evil.example")
    assert found.dmarc == "pass"
    assert [one.result for one in found.dkim] == ["temperror"] * 9 + ["pass"]


def test_a_strangers_long_record_leaves_questions_for_the_policy(zone):
    """A name that does not exist (np=), after an SPF record that wants more questions than there are."""
    zone["_dmarc.example.org"] = "v=DMARC1; p=reject; sp=none; np=quarantine"
    zone["evil.example"] = (
        "v=spf1 " + " ".join(f"mx:m{number}.evil.example" for number in range(10)) + " -all"
    )

    def resolve(name, kind, seconds):
        if kind == "MX":
            return Answer(Status.FOUND, tuple(f"h{number}.{name}" for number in range(10)))
        if kind == "A" and name.endswith(".evil.example"):
            return Answer(Status.FOUND, ("203.0.113.1",))
        found = zone.get(name) if kind == "TXT" else None
        return Answer(Status.FOUND, (found,)) if found else NXDOMAIN

    judge = Judge(HOST, lambda: resolve)
    found = result(judge, mail=b"From: ann@gone.example.org\r\n\r\n", sender="x@evil.example")
    assert (found.spf, found.dmarc, found.dmarc_policy) == ("temperror", "fail", "quarantine")


# --- forged and odd ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "forged",
    [
        b"Authentication-Results: mx.mtumail.test; dmarc=pass\r\n",
        b"authentication-RESULTS : MX.mtumail.test; dmarc=pass\r\n",
        b"Authentication-Results:\r\n\tmx.mtumail.test 1;\r\n\tdmarc=pass\r\n",
        b"Authentication-Results: (a comment) mx.mtumail.test; dmarc=pass\r\n",
        b'Authentication-Results: "mx.mtum\\ail.test"; dmarc=pass\r\n',
        b"Authentication-Results: mx.mtumail.test\r\n",
        b"Authentication-Results: (a; b) mx.mtumail.test; dmarc=pass\r\n",
        b"Authentication-Results: mx.mtumail.test.; dmarc=pass\r\n",
    ],
)
def test_fields_in_our_name_are_taken_out(judge, forged):
    kept = (
        b"Authentication-Results: mx.other.example; dmarc=pass\r\n"
        b"Authentication-Results: mx.mtumail.test.example; dmarc=pass\r\n"
        b"X-Authentication-Results: mx.mtumail.test; dmarc=pass\r\n"
    )
    after = judge(delivery(forged + kept + forged + MAIL))
    assert after.raw[after.head :] == kept + MAIL
    assert after.size == len(after.raw)
    assert read(parse(after.raw).headers).spf == "pass"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (b"From: a@example.org\r\nFrom: b@example.org\r\n", "several From fields"),
        (b"From: a@example.org\r\nFrom : b@bank.example\r\n", "several From fields"),
        (b"From: a@example.org\r\nFrom\r\n : b@bank.example\r\n", "several From fields"),
        (b"From: a@example.org\r\nFrom\x00: b@bank.example\r\n", "several From fields"),
        (b" From: b@bank.example\r\nFrom: a@example.org\r\n", "several From fields"),
        (b"From: a@example.org, b@bank.example\r\n", "several From addresses"),
        (b"From: <a@example.org>b@bank.example\r\n", "several From addresses"),
        (b"From: Ann <a@example.org> (a@home)\r\n", ""),
        (b'From: "b@bank.example" <a@example.org>\r\n', ""),
        (b"Sender: b@bank.example\r\nFrom: a@example.org\r\nX-From: c@bank.example\r\n", ""),
        (b"From: nobody\r\n", "no From address"),
        (b"Subject: x\r\n", "no From address"),
        (b"X: y\r\n" * 1_000 + b"From: a@example.org\r\n", "header section too large"),
    ],
)
def test_one_clear_author_or_none(fields, problem):
    shown = author.read(fields + b"\r\nFrom: c@example.net\r\n")
    assert shown.problem == problem
    if not problem:
        assert shown.domains == ("example.org",)


def test_several_authors_fail_by_the_strictest_policy(judge, zone):
    zone["_dmarc.bank.example"] = "v=DMARC1; p=quarantine"
    zone["_dmarc.example.org"] = "v=DMARC1; p=none"
    found = result(judge, mail=b"From: ann@example.org\r\nFrom: b@bank.example\r\n\r\n")
    assert (found.dmarc, found.dmarc_policy, found.reason) == ("fail", "quarantine", "several From fields")


def test_nothing_of_a_strangers_choice_gets_into_the_field(judge, key):
    for identity in (
        b"a;dmarc=pass@example.org",
        b'"a\\"b"@example.org',
        b"=?utf-8?q?=22=3B?=@example.org",
        b"a b@example.org",
    ):
        mail = (
            b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=sel; i=%s; h=from; bh=AAAA; b=AAAA\r\n%s"
            % (identity, MAIL)
        )
        raw = judge(delivery(mail, sender='"; dmarc=pass (@example.org', helo="x;dmarc=pass")).raw
        field = raw[raw.index(b"Authentication-Results:") : raw.index(b"Received:")]
        assert identity not in field
        assert field.count(b"\tdmarc=") == 1
        assert read(parse(raw).headers).dkim[0].result in ("neutral", "fail")


# --- never in the way ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ip", ["127.0.0.1", "10.1.2.3", "::1", "::ffff:192.168.1.1", "fd00::1"])
def test_our_own_hosts_cost_no_question(judge, ip):
    after = judge(delivery(ip=ip))
    assert b"Authentication-Results: mx.mtumail.test;\r\n\tnone\r\nReceived: " in after.raw
    assert judge.asked == []


def test_signed_mail_by_way_of_our_own_host_is_looked_at(judge, zone, key):
    """A relay in front of us: SPF cannot be known, so what is not signed is no failure."""
    assert result(judge, mail=sign(key[0]), ip="127.0.0.1").dmarc == "pass"
    broken = result(judge, mail=sign(key[0]).replace(b"Hello Ben", b"Pay Ben"), ip="127.0.0.1")
    assert (broken.spf, broken.dkim[0].result, broken.dmarc, broken.verdict) == (
        "none",
        "fail",
        "none",
        "unknown",
    )


@pytest.mark.parametrize(
    "mail", [b"", b"\r\n", b"x", b"\x00\xff", b"From\r\n", b":\r\n\r\n", b"From: \xff\xfe@\r\n\r\n\x00"]
)
@pytest.mark.parametrize(
    "sender", ["", "x", "a@b@c", "ä@bücher.example", '"@"@example.org', "a@[192.0.2.1]", "a@-.example"]
)
def test_odd_mail_is_recorded_and_kept(judge, mail, sender):
    before = delivery(mail, sender=sender, helo="[198.51.100.9]")
    after = judge(before)
    assert after.raw[after.head :] == mail
    assert read(parse(after.raw).headers) is not None


def test_our_own_mistake_loses_nothing(caplog):
    def broken():
        raise RuntimeError("secret content")

    after = Judge(HOST, broken)(delivery())
    assert read(parse(after.raw).headers).dmarc == "temperror"
    assert after.raw.endswith(MAIL)
    assert "secret" not in caplog.text + repr([record.__dict__ for record in caplog.records])


def test_it_is_written_by_the_server(memory, serve, zone, key):
    def resolve(name, kind, seconds):
        found = zone.get(name) if kind == "TXT" else None
        return Answer(Status.FOUND, (found,)) if found else NXDOMAIN

    memory.authenticate = Judge("mx.mtumail.test", lambda: resolve)
    client = serve().client()
    assert client.mail(sign(key[0])).startswith("250")
    assert client.mail(MAIL).startswith("250")
    signed, plain = (read(parse(one.raw).headers) for one in memory.deliveries)
    assert plain.verdict == "unknown"
    assert (signed.verdict, signed.spf) == ("verified", "none")


def test_a_storm_is_not_slowed_down_by_silence():
    """No DNS at all: what is asked gives up at once, and 1,000 messages pass."""
    judge = Judge(HOST, lambda: lambda name, kind, seconds: TEMPORARY)
    judge(delivery())
    began = time.process_time()

    def some():
        for _ in range(125):
            assert b"temperror" in judge(delivery()).raw

    threads = [threading.Thread(target=some) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert time.process_time() - began < 5


def test_inbound_starts_without_the_heavy_libraries():
    """Nothing of this is loaded before the first stranger's message: a start stays as quick as it was."""
    code = (
        "import sys, inbound.authentication.judge; "
        "print([name for name in ('dns', 'spf', 'cryptography', 'webmail.mail.mime') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == "[]"
