"""DKIM signatures that dkimpy makes, and what is done to them afterwards."""

import base64
import hashlib
import time

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from inbound.authentication import dkim, keys, tags
from inbound.authentication.dns import NXDOMAIN, TEMPORARY, Answer, Asker, Status
from inbound.authentication.message import Mail

MESSAGE = (
    b"From: Ann <ann@example.org>\r\nTo: ben@example.net\r\nSubject:  Two   blanks\r\n and a fold\r\n"
    b"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\nHello  \r\n\tBen\r\n\r\n\r\n"
)
NOW = 1_800_000_000.0


def pair(bits):
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return pem, base64.b64encode(public).decode()


@pytest.fixture(scope="module")
def key():
    return pair(2048)


def sign(pem, message=MESSAGE, **options):
    options = {"include_headers": [b"from", b"to", b"subject", b"date"], **options}
    return dkimpy.DKIM(message).sign(b"sel", b"example.org", pem, **options) + message


def check(raw, record, now=NOW):
    """The results for every signature; `record` is a key record, or an answer."""
    answer = record if isinstance(record, Answer) else Answer(Status.FOUND, (record,))
    mail, ask = Mail(raw), Asker(lambda name, kind, seconds: answer)
    return [dkim.verify(mail, field, ask, now) for field in dkim.signatures(mail)]


def one(raw, record, now=NOW):
    (found,) = check(raw, record, now)
    return found.result, found.reason


@pytest.mark.parametrize("header", [b"simple", b"relaxed"])
@pytest.mark.parametrize("body", [b"simple", b"relaxed"])
@pytest.mark.parametrize("content", [b"", b"\r\n", b"x", b"x \t y  \r\n\r\n", b" \r\n\t\r\n"])
def test_a_good_signature_passes(key, header, body, content):
    pem, public = key
    raw = sign(pem, MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + content, canonicalize=(header, body))
    (found,) = check(raw, f"v=DKIM1; p={public}")
    assert (found.result, found.domain, found.selector, found.identity) == (
        "pass", "example.org", "sel", "@example.org",
    )  # fmt: skip
    assert found.start == raw.partition(b" b=")[2][:16].decode()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"\tBen", b"\tBob", "body has changed"),
        (b"Ann", b"Eve", "bad signature"),
        (b"Subject: ", b"Subject: Re:", "bad signature"),
        (b"From: Ann", b"From: eve@example.net\r\nFrom: Ann", "bad signature"),
        (b"From: Ann", b"From : Ann", ""),
        (b"To: ben", b"X-New: 1\r\nTo: ben", ""),
    ],
)
def test_what_breaks_a_signature(key, old, new, reason):
    pem, public = key
    signed = sign(pem, canonicalize=(b"relaxed", b"relaxed"))
    head, _, rest = signed.partition(b"From: Ann")
    raw = head + (b"From: Ann" + rest).replace(old, new, 1)
    assert one(raw, f"p={public}") == ("fail" if reason else "pass", reason)


@pytest.mark.parametrize(
    ("record", "result", "reason"),
    [
        (NXDOMAIN, "permerror", "no key"),
        (TEMPORARY, "temperror", "key unavailable"),
        ("v=DKIM1; p=", "permerror", "key revoked"),
        ("v=DKIM2; p={key}", "permerror", "bad key"),
        ("v=DKIM1", "permerror", "bad key"),
        ("v=DKIM1; p=AAAA", "permerror", "bad key"),
        ("v=DKIM1; p=%%%", "permerror", "bad key"),
        ("k=dsa; p={key}", "permerror", "unknown type of key"),
        ("k=ed25519; p={key}", "permerror", "key for another algorithm"),
        ("h=sha1; p={key}", "permerror", "key for another hash"),
        ("s=tlsrpt; p={key}", "permerror", "key for another service"),
        ("s=other : email; t=y; n=a note; p={key}", "pass", ""),
        ("t=s; p={key}", "pass", ""),
    ],
)
def test_key_records(key, record, result, reason):
    pem, public = key
    if isinstance(record, str):
        record = record.replace("{key}", public)
    assert one(sign(pem), record) == (result, reason)


def test_the_size_of_keys(key):
    short, public = pair(1024)
    assert one(sign(short), f"p={public}")[0] == "pass"
    modulus = (1 << 767) + 1

    def der(tag, content):
        size = bytes([len(content)]) if len(content) < 128 else b"\x82" + len(content).to_bytes(2, "big")
        return bytes([tag]) + size + content

    def record(n, e):
        numbers = b"".join(der(2, v.to_bytes(v.bit_length() // 8 + 1, "big")) for v in (n, e))
        return "p=" + base64.b64encode(der(48, numbers)).decode()

    assert one(sign(short), record(modulus, 65537))[0] in ("policy", "permerror")
    assert one(sign(short), record((1 << 8191) + 1, 65537)) == ("policy", "key too long")
    began = time.process_time()
    assert one(sign(short), record((1 << 4095) + 1, (1 << 4094) + 1))[0] == "permerror"
    assert time.process_time() - began < 0.5


def test_ed25519():
    secret = ed25519.Ed25519PrivateKey.generate()
    raw = secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    record = keys.parse("k=ed25519; p=" + base64.b64encode(raw).decode())
    signature = secret.sign(hashlib.sha256(b"signed").digest())
    assert keys.verify(record, b"signed", signature)
    assert not keys.verify(record, b"signet", signature)
    assert not keys.verify(record, b"signed", b"short")
    with pytest.raises(keys.Unusable):
        keys.verify(keys.Key("ed25519", b"short"), b"signed", signature)


@pytest.mark.parametrize(
    ("change", "result", "reason"),
    [
        ((b"v=1", b"v=2"), "neutral", "not version 1"),
        ((b"a=rsa-sha256", b"a=rsa-sha1"), "policy", "unsupported algorithm"),
        ((b"a=rsa-sha256", b"a=rsa-md5"), "neutral", "unsupported algorithm"),
        ((b"d=example.org", b"d=example.org\x00.evil.example"), "neutral", "not a domain"),
        ((b"d=example.org", b"d=bank.example'a.example.org"), "neutral", "not a domain"),
        ((b"d=example.org", b"d=org"), "neutral", "not a domain"),
        ((b"d=example.org", b"d=mail.example.org"), "neutral", "i= is not of d="),
        ((b"s=sel", b"s=sel.\x00.any"), "neutral", "not a selector"),
        ((b"h=from", b"h=x-from"), "permerror", "From is not signed"),
        ((b"q=dns/txt", b"q=other"), "neutral", "unknown query method"),
        ((b"s=sel", b"s=sel; s=sel"), "neutral", "a tag twice"),
        ((b"s=sel", b"s=sel; x=1700000000"), "policy", "expired"),
        ((b"s=sel", b"s=sel; x=soon"), "neutral", "not a number"),
        ((b"s=sel", b"s=sel; l=99999999999999999999"), "fail", "bad signature"),
        ((b"bh=", b"bh=!"), "neutral", "not base64"),
        ((b"s=sel", b"s="), "neutral", "a tag is missing"),
        ((b"s=sel", b"s=sel; " + b"n=" + b"x" * 20_000), "neutral", "signature too long"),
    ],
)
def test_signatures_that_cannot_be(key, change, result, reason):
    pem, public = key
    raw = sign(pem).replace(*change, 1)
    if change[0] == b"d=example.org" and b"mail" not in change[1]:
        raw = raw.replace(b" i=@example.org;", b"", 1)
    assert one(raw, f"p={public}") == (result, reason)


def test_a_strict_key_wants_the_very_domain(key):
    pem, public = key
    raw = sign(pem, identity=b"ann@mail.example.org")
    assert one(raw, f"p={public}") == ("pass", "")
    assert one(raw, f"t=s; p={public}") == ("permerror", "i= of another domain")


def test_what_stands_behind_a_signed_length_is_nobodys(key):
    pem, public = key
    raw = sign(pem, length=True)
    assert one(raw, f"p={public}") == ("pass", "")
    assert one(raw + b"<h1>Pay here</h1>\r\n", f"p={public}") == ("policy", "l= covers only the beginning")


def test_no_more_than_ten_are_looked_at(key):
    pem, public = key
    signature = sign(pem)[: -len(MESSAGE)]
    assert len(check(signature * 50 + MESSAGE, f"p={public}")) == 10


@pytest.mark.parametrize(
    "raw",
    [
        b"DKIM-Signature: v=1; b=" + b" \r\n" * 80_000 + b"!\r\n" + MESSAGE,
        b"DKIM-Signature: v=1; a=rsa-sha256; d=a.org; s=s; bh=AAAA; b=AAAA; h="
        + b"from:" * 3_000
        + b"\r\n"
        + MESSAGE,
        b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=a.org; s=s; h=from; bh=AAAA; b=AAAA\r\nFrom: a@a.org\r\n\r\n"
        + b" " * 4_000_000,
        MESSAGE + b"\r\n" * 2_000_000 + b"\n" + b"\r\n" * 2_000_000,
        b"X: y\r\n" * 900 + b" \t" * 100_000 + b"\r\n\r\n",
    ],
    ids=["blanks in b=", "names", "blanks in the body", "line ends", "folds"],
)
def test_hostile_mail_costs_linear_time(raw, key):
    began = time.process_time()
    mail = Mail(raw)
    for relaxed in (False, True):
        mail.body_digest(relaxed, None)
    check(raw, f"p={key[1]}")
    assert time.process_time() - began < 2


def test_fields_are_read_as_the_reader_reads_them():
    mail = Mail(b"A: 1\r\n\r\nB: 2\r\n")
    assert [field.name for field in mail.fields] == [b"a"]
    mail = Mail(b"A: 1\r\nno field\r\nB: 2\r\n\r\nx")
    assert [field.name for field in mail.fields] == [b"a"]
    assert mail.problem
    assert Mail(b" folded\r\nA: 1\r\n\r\n").problem
    assert Mail(b"A: 1\r\n" * 1_001 + b"\r\n").problem
    assert not Mail(b"A: 1\r\n" * 1_000 + b"\r\n").problem
    assert Mail(b"A: 1\r\n" + b" x\r\n" * 90_000 + b"\r\n").problem
    assert Mail(b"").fields == []


@pytest.mark.parametrize("text", [";", "a=1;;b=2", "1a=2", "a", "a=1;b", "=1", "a=1; a=2", b"a=\xff"])
def test_not_a_tag_list(text):
    with pytest.raises(tags.Malformed):
        tags.parse(text)


def test_a_tag_list():
    assert tags.parse(b" a = 1 ;\r\n\tb=2=3; c= ; ") == {"a": "1", "b": "2=3", "c": ""}
