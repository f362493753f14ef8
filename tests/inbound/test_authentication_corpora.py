"""Authentication held to what other people expect of it: the SPF, ARC, DKIM, DMARC and spoofing sets, with their own zones."""

import base64
import hashlib
import json
import re
from datetime import UTC, datetime

import pytest

from inbound.authentication import arc, author, dkim, dmarc, spf
from inbound.authentication.dns import NXDOMAIN, TEMPORARY, Answer, Asker, Status
from inbound.authentication.judge import Judge
from inbound.authentication.message import Mail
from inbound.authentication.results import Signature, Spf
from inbound.ports import Delivery
from webmail.mail.authentication import read
from webmail.mail.mime import parse

pytestmark = pytest.mark.corpora


def crlf(raw):
    return raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def rows(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def texts(records):
    """A resolver that knows TXT records and nothing else."""
    return lambda name, kind, _: (
        Answer(Status.FOUND, (records[name],)) if kind == "TXT" and name in records else NXDOMAIN
    )


# --- SPF -----------------------------------------------------------------------------------------------------------------


def zone_of(data):
    """A resolver over a zone of the openspf suites: SPF stands for TXT unless there is a TXT too; TIMEOUT and NONE as they say."""
    known = {}
    for name, items in data.items():
        kinds = {kind for item in items if isinstance(item, dict) for kind in item}
        pairs = known[name.lower()] = []
        for item in items:
            for kind, value in item.items() if isinstance(item, dict) else [("", item)]:
                pairs.append((kind, value))
                if kind == "SPF" and "TXT" not in kinds:
                    pairs.append(("TXT", value))

    def ask(name, kind, seconds, links=0):
        if name not in known or links > 10:
            return TEMPORARY if name.startswith("error.") else NXDOMAIN
        found = []
        for one, value in known[name]:
            if value == "TIMEOUT" and (one == kind or (not one and not found)):
                return TEMPORARY
            if one == "CNAME":
                return ask(value.lower().removesuffix("."), kind, seconds, links + 1)
            if one == kind and value not in ("TIMEOUT", "NONE"):
                found.append(value)
        if kind == "TXT":
            found = ["".join(value) for value in found]
        if kind == "MX":
            found = [host.removesuffix(".") for _, host in sorted(map(tuple, found))]
        return Answer(Status.FOUND, tuple(found))

    return ask


SPF_DEVIATIONS = {
    "pyspf/doc3/default-modifier": "default= is pyspf's own, of before RFC 4408; RFC 7208 section 6 ignores modifiers it does not know",
}


@pytest.mark.parametrize("suite", ["rfc7208", "rfc4408", "pyspf"])
def test_spf_suites(corpora, suite):
    zones = json.loads((corpora / "spf-suite" / f"zones-{suite}.json").read_text("utf-8"))
    wrong, count = set(), 0
    for row in rows(corpora / "spf-suite" / "rows.jsonl"):
        if row["suite"] == suite:
            count += 1
            ask = Asker(zone_of(zones[row["scenario"]]), queries=200)
            found = spf.check(ask, row["host"], row["helo"], row["mailfrom"], "receiver.example")
            if found.result not in row["result"]:
                wrong.add(row["id"])
    assert count > 10
    assert wrong == {name for name in SPF_DEVIATIONS if name.startswith(f"{suite}/")}


STALWART_DEVIATIONS = {
    (
        "stalwart_exists",
        "sender@ip6.test.org",
    ): "only AAAA there, and exists: asks for A, whatever the peer's family (RFC 7208, 5.7)",
    ("stalwart_macro", "strong-bad@email.example.com"): "the same",
}


def stalwart_cases(text):
    """Their format is a YAML in which keys repeat: (zone, state of the case) at each `expect`."""
    for document in text.split("\n---"):
        zone, case = {}, {}
        for line in document.splitlines():
            key, _, value = line.strip().removeprefix("- ").partition(":")
            key, value = key.strip(), value.strip()
            if key in ("a", "aaaa", "mx", "txt", "ptr", "spf") and value:
                name, _, content = value.partition(" ")
                if key in ("spf", "txt"):
                    zone[name, "TXT"] = (content,)
                else:
                    zone[name, key.upper()] = tuple(one.strip() for one in content.split(","))
            elif key in ("domain", "sender", "ip", "helo"):
                case[key] = value
            elif key == "expect":
                yield zone, case, value


def stalwart_resolver(zone):
    names = {name for name, _ in zone}

    def ask(name, kind, _):
        if name.startswith("_dns_error."):
            return TEMPORARY
        reverse = re.fullmatch(r"([\d.]+)\.in-addr\.arpa", name)
        plain = ".".join(reversed(reverse[1].split("."))) if reverse else name
        if kind == "A" and re.fullmatch(r"[\d.]+", plain):
            return Answer(Status.FOUND, (plain,))  # their MX records hold addresses
        if plain not in names:
            return NXDOMAIN
        return Answer(Status.FOUND, zone.get((plain, kind), ()))

    return ask


def test_spf_of_stalwart(corpora):
    wrong, count = [], 0
    for path in sorted((corpora / "spf").glob("*.yml")):
        for zone, case, expected in stalwart_cases(path.read_text("utf-8")):
            count += 1
            sender = case.get("sender") or f"postmaster@{case['domain']}"
            ask = Asker(stalwart_resolver(zone), queries=200)
            found = spf.check(
                ask, case["ip"], case.get("helo", case["domain"]), sender, "receiver.example"
            ).result
            if found != expected:
                wrong.append((path.stem, case["ip"], sender, expected, found))
    assert count == 105
    assert len(wrong) == len(STALWART_DEVIATIONS)
    assert {(one[0], one[2]) for one in wrong} == set(STALWART_DEVIATIONS)


# --- ARC -----------------------------------------------------------------------------------------------------------------


def test_arc_suite(corpora):
    """All that validates or does not; a chain that says itself that it failed ("" there) is a failed one (RFC 8617 section 5.2)."""
    wrong, count = [], 0
    for row in rows(corpora / "arc-suite" / "rows.jsonl"):
        if row["kind"] == "validate":
            count += 1
            keys = json.loads((corpora / "arc-suite" / f"keys-{row['_zone']}.json").read_text("utf-8"))
            found = arc.verify(Mail(crlf(row["message"].encode())), Asker(texts(keys["txt-records"])))
            if found.result != (row["cv"].lower() or "fail"):
                wrong.append((row["id"], found))
    assert count == 104
    assert wrong == []


# --- DKIM ----------------------------------------------------------------------------------------------------------------

FOOTBALL = {
    "brisbane._domainkey.football.example.com": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "test._domainkey.football.example.com": "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
}
"""The public keys of RFC 8463 appendix A.2."""


def results(raw, records):
    mail, ask = Mail(crlf(raw)), Asker(texts(records))
    return [dkim.verify(mail, field, ask, 1_700_000_000.0) for field in dkim.signatures(mail)]


@pytest.mark.parametrize("name", ["dkimpy_rfc6376.signed.msg", "mailauth_dkim__ec__fixtures__signed.eml"])
def test_dkim_with_both_algorithms(corpora, name):
    found = results((corpora / "dkim" / name).read_bytes(), FOOTBALL)
    assert [(one.result, one.algorithm) for one in found] == [
        ("pass", "ed25519-sha256"),
        ("pass", "rsa-sha256"),
    ]


def test_dkim_broken_ed25519(corpora):
    found = results((corpora / "dkim" / "rspamd_ed25519-broken.eml").read_bytes(), FOOTBALL)
    assert found[0].result == "fail"


@pytest.mark.parametrize("number", ["001", "003"])
def test_dkim_of_stalwart(corpora, number):
    lines, _, message = (corpora / "dkim" / f"stalwart_{number}.txt").read_bytes().partition(b"\n\n")
    records = dict(line.decode().split(" ", 1) for line in lines.splitlines() if line.strip())
    assert {one.result for one in results(message, records)} == {"pass"}


@pytest.mark.parametrize("name", ["mimekit_gmail.msg", "mimekit_multipart-no-end-boundary.msg"])
def test_dkim_of_gmail(corpora, name):
    pem = (corpora / "dkim" / "mimekit_gmail.pub").read_text("ascii")
    key = "".join(line for line in pem.splitlines() if "-" not in line)
    found = results(
        (corpora / "dkim" / name).read_bytes(), {"20120113._domainkey.gmail.com": f"k=rsa; p={key}"}
    )
    assert [one.result for one in found] == ["pass"]


def test_every_mail_of_the_set_is_bounded(corpora):
    """Huge lists of names, many signatures, unusable keys: a result each, and never more than ten."""
    for path in sorted((corpora / "dkim").iterdir()):
        raw = path.read_bytes()
        for record in (FOOTBALL["test._domainkey.football.example.com"], "v=DKIM1; p=", "p=!!", "p=MAA="):
            mail = Mail(crlf(raw))
            asked = []

            def ask(name, kind, seconds, record=record, asked=asked):
                asked.append(name)
                return Answer(Status.FOUND, (record,))

            found = [dkim.verify(mail, field, Asker(ask), 0.0) for field in dkim.signatures(mail)]
            assert len(asked) <= len(found) <= 10
            assert {one.result for one in found} <= {"pass", "fail", "policy", "neutral", "permerror"}


FLANKER_DEVIATIONS = {
    "24": "nothing but blanks, the last line without an end: blanks and empty lines at the end are no content (RFC 6376, 3.4.4)",
}


def flanker_pairs(folder, form):
    for path in sorted(folder.glob(f"flanker_{form}.expected.*")):
        source = folder / f"flanker_email.{path.suffix[1:]}"
        if source.exists() and path.suffix[1:] not in FLANKER_DEVIATIONS:
            yield source.read_bytes(), path.read_bytes()


@pytest.mark.parametrize("form", ["simple", "relaxed"])
def test_canonical_bodies(corpora, form):
    """Their expected files hold headers and body in canonical form; the hash of the body is what is compared."""
    count = 0
    for source, expected in flanker_pairs(corpora / "dkim", form):
        _, blank, body = crlf(expected).partition(b"\r\n\r\n")
        if not blank or not source.isascii():
            continue
        digest, whole = Mail(crlf(source)).body_digest(form == "relaxed", None)
        if Mail(crlf(source)).problem:
            continue
        count += 1
        assert whole
        assert digest == hashlib.sha256(body).digest(), source[:60]
    assert count > 5


# --- DMARC ---------------------------------------------------------------------------------------------------------------

NOT_OURS = {
    "pct": "nothing of ours is named pct",
    "underSized": "a signature over a part of the body (l=) is no pass with us, and never aligned",
    "rr": "reports are not sent from here",
    "strict": "follows from the result",
}


def dmarc_value(found, path):
    return {
        "status.result": found.result,
        "policy": found.policy,
        "domain": found.organization,
        "status.header.from": found.author,
        "status.header.d": found.by_dkim or found.organization,
        # They name the organization that is shared, we the domain that passed.
        "alignment.spf.result": found.by_spf and found.organization,
        "alignment.dkim.result": found.by_dkim and found.organization,
    }[path]


def test_dmarc_policies(corpora):
    checked = 0
    for row in rows(corpora / "dmarc-policy" / "rows.jsonl"):
        given = row["given"]
        zone = given["zone"]

        def ask(name, kind, _, zone=zone):
            if name not in zone:
                return NXDOMAIN
            found = zone[name].get(kind, [])
            return Answer(
                Status.FOUND, tuple("".join(one) if isinstance(one, list) else str(one) for one in found)
            )

        signatures = [Signature("pass", domain=one["domain"]) for one in given["dkim"]]
        sender = Spf("pass", domain=given["spf"][0]["domain"]) if given["spf"] else Spf()
        found = dmarc.evaluate(given["headerFrom"].partition("@")[2], sender, signatures, Asker(ask))
        for path, how, *value in row["expected"]:
            if path.rpartition(".")[2] in NOT_OURS or how == "not property":
                continue
            checked += 1
            actual = dmarc_value(found, path)
            if how == "equal":
                assert actual == value[0], row["id"]
            else:
                assert how in ("not ok", "undefined")
                assert not actual, row["id"]
    assert checked > 20


@pytest.mark.parametrize("path", ["multi-from-reject", "multi-from-malformed"])
def test_several_authors_of_opendmarc(corpora, path):
    script = (corpora / "dmarc" / f"opendmarc_t-verify-{path}.lua").read_text("utf-8")
    value = re.search(r'mt\.header\(conn, "From", "(.*)"\)', script)[1].replace('\\"', '"')
    assert author.read(f"From: {value}\r\n\r\n".encode()).problem


@pytest.mark.parametrize(
    ("name", "record", "result", "policy"),
    [
        ("rspamd_fail_none", "v=DMARC1; p=none", "fail", "none"),
        ("rspamd_fail_quarantine", "v=DMARC1; p=quarantine", "fail", "quarantine"),
        ("rspamd_fail_reject", "v=DMARC1; p=reject", "fail", "reject"),
        ("rspamd_subdomain_fail_reject", "v=DMARC1; p=none; sp=reject", "fail", "reject"),
    ],
)
def test_dmarc_of_rspamd(corpora, name, record, result, policy):
    raw = crlf((corpora / "dmarc" / f"{name}.eml").read_bytes())
    shown = author.read(raw)
    top = shown.domains[0].partition(".")[2] if "subdomain" in name else shown.domains[0]
    found = dmarc.evaluate(shown.domains[0], Spf("fail"), [], Asker(texts({f"_dmarc.{top}": record})))
    assert (found.result, found.policy) == (result, policy)


# --- spoofing ------------------------------------------------------------------------------------------------------------


def attackers(name, kind, _):
    """All that the attacker may publish says yes; the bank asks for rejection."""
    if name == "_dmarc.bank.example" and kind == "TXT":
        return Answer(Status.FOUND, ("v=DMARC1; p=reject",))
    if name.endswith("attacker.example") and kind == "TXT" and not name.startswith("_dmarc"):
        key = FOOTBALL["test._domainkey.football.example.com"]
        return Answer(Status.FOUND, (key if "_domainkey" in name else "v=spf1 +all",))
    return NXDOMAIN


def test_nobody_passes_for_the_bank(corpora):
    head = b"Return-Path: <>\r\nReceived: from x ([198.51.100.9])\r\n\tby mx.example.org with ESMTP id 1\r\n\t; now\r\n"
    judge = Judge("mx.example.org", lambda: attackers)
    count = 0
    for row in rows(corpora / "auth-spoofing" / "rows.jsonl"):
        raw = crlf(base64.b64decode(row["data_b64"]))
        if row["dkim"]:
            d, s = row["dkim"]["d"].encode(), row["dkim"]["s"].encode()
            raw = b"DKIM-Signature: v=1; a=rsa-sha256; d=%s; s=%s; h=from; bh=AAAA; b=AAAA\r\n%s" % (
                d,
                s,
                raw,
            )
        sender = row["mailfrom"].strip("<>")
        delivery = Delivery(
            "1", sender, (), head + raw, len(head + raw), False, "198.51.100.9", row["helo"], True,
            datetime.now(UTC), len(head),
        )  # fmt: skip
        message = parse(judge(delivery).raw)
        found = read(message.headers)
        count += 1
        assert found.verdict == "failed", row["id"]
        assert found.from_domain in ("bank.example", "attacker.example", "example.org"), row["id"]
    assert count == 13
