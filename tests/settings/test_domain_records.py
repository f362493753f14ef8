"""Records that a domain has to have, and what counts as having them: pure."""

import re

import pytest

from webmail.settings import dkim_records
from webmail.settings.domain_records import Facts, Record, look, sts_id, sts_policy, wanted, zone_line

KEY = ("m202611a._domainkey.example.org", "v=DKIM1; k=rsa; t=s; p=" + "A" * 392)
FACTS = Facts(
    name="example.org", token="t" * 32, host="mx.example.net", web="mail.example.net", spf="include:spf.relay.example",
    reports="postmaster@example.org", sts_mode="testing", keys=(KEY,),
)  # fmt: skip


@pytest.fixture
def records():
    return {record.purpose: record for record in wanted(FACTS)}


def asking(*answers, kind="TXT"):
    """DNS that knows these records of any name, or does not answer for None."""
    return lambda _name, asked: None if answers == (None,) else answers if asked == kind else ()


def see(record, ask, told=None):
    """Look, where the host of a policy serves what it should, or what is told of it."""
    return look(record, ask, lambda url: told or (record.policy, ""))


def test_every_record_says_where_it_stands_and_what_it_is(records):
    assert {one.owner: (one.kind, one.value) for one in records.values()} == {
        "_mtumail.example.org": ("TXT", "mtumail-verification=" + "t" * 32),
        "example.org": ("TXT", "v=spf1 include:spf.relay.example ~all"),
        "m202611a._domainkey.example.org": ("TXT", KEY[1]),
        "_dmarc.example.org": ("TXT", "v=DMARC1; p=quarantine"),
        "_smtp._tls.example.org": ("TXT", "v=TLSRPTv1; rua=mailto:postmaster@example.org"),
        "_mta-sts.example.org": ("TXT", f"v=STSv1; id={sts_id('mx.example.net', 'testing')};"),
        "mta-sts.example.org": ("CNAME", "mail.example.net."),
    }
    assert records["mx"] == Record("mx", "example.org", "MX", "10 mx.example.net.")
    assert records["sts-host"].policy == sts_policy("mx.example.net", "testing")


def test_mta_sts_is_asked_for_where_it_is_on_alone():
    off = Facts("example.org", "t" * 32, "mx.example.net", "mail.example.net", "", "p@example.org", "none")
    assert [one.code for one in wanted(off)] == ["ownership", "mx", "spf", "dmarc", "tls"]
    assert {one.purpose: one.value for one in wanted(off)}["spf"] == "v=spf1 mx ~all"


def test_what_is_published_as_it_is_shown_is_good(records):
    for record in records.values():
        if record.kind == "TXT":
            assert see(record, asking(record.value)).state == "good", record
    assert see(records["mx"], asking("MX.example.NET", kind="MX")).state == "good"
    assert see(records["sts-host"], asking("192.0.2.1", kind="A")).state == "good"
    assert see(records["sts-host"], asking("2001:db8::1", kind="AAAA")).state == "good"


@pytest.mark.parametrize("code", ["ownership", "mx", "spf", "dkim", "dmarc", "tls", "sts", "sts-host"])
def test_nothing_is_missing_and_silence_is_no_answer(records, code):
    assert see(records[code], asking()).state == "missing"
    assert see(records[code], asking(None)).state == "unknown"


@pytest.mark.parametrize(
    ("code", "answers", "state"),
    [
        ("ownership", ["mtumail-verification=other"], "wrong"),
        ("ownership", ["google-site-verification=x"], "missing"),
        ("mx", ["mx.other.example"], "wrong"),
        ("mx", ["mx.other.example", "mx.example.net."], "good"),
        ("spf", ["v=spf1 include:spf.relay.example -all"], "good"),
        ("spf", ["v=spf1 +INCLUDE:spf.relay.example a mx ?all", "some-verification"], "good"),
        ("spf", ["v=spf1 mx -all"], "wrong"),
        ("spf", ["v=spf1 include:spf.relay.example ~all", "v=spf1 -all"], "wrong"),
        ("spf", ["other"], "missing"),
        ("dkim", [KEY[1].replace("t=s; ", "").replace("AAAA", "A A\tAA")], "good"),
        ("dkim", ["v=DKIM1; k=rsa; p=AAAA"], "wrong"),
        ("dkim", ["v=DKIM1; p="], "wrong"),
        ("dkim", ["v=DKIM2; k=rsa; p=" + "A" * 392], "wrong"),
        ("dmarc", ["v=DMARC1; p=reject; rua=mailto:x@example.org"], "good"),
        ("dmarc", ["v=DMARC1; p=none"], "wrong"),
        ("dmarc", ["v=DMARC1; p=reject", "v=DMARC1; p=none"], "wrong"),
        ("tls", ["v=TLSRPTv1; rua=https://reports.example/x"], "good"),
        ("tls", ["v=TLSRPTv1;"], "wrong"),
        ("sts", ["v=STSv1; id=20200101"], "wrong"),
    ],
)
def test_what_else_is_there_is_judged_by_what_it_means(records, code, answers, state):
    finding = see(records[code], asking(*answers, kind="MX" if code == "mx" else "TXT"))
    assert finding.state == state
    assert bool(finding.found) == (state == "wrong")


def test_what_strangers_publish_is_short_and_without_control_characters(records):
    found = see(records["mx"], asking("a\x1b[31m\u202e" + "x" * 5000, kind="MX")).found
    assert len(found) <= 600
    assert found.isprintable()


def test_half_an_answer_about_a_host_is_none(records):
    assert see(records["sts-host"], lambda _name, kind: () if kind == "A" else None).state == "unknown"


def test_a_policy_is_as_rfc_8461_has_it_and_its_id_changes_with_it():
    assert (
        sts_policy("mx.example.net", "enforce")
        == "version: STSv1\r\nmode: enforce\r\nmx: mx.example.net\r\nmax_age: 1209600\r\n"
    )
    ids = {
        sts_id(host, mode)
        for host in ("mx.example.net", "mx2.example.net")
        for mode in ("testing", "enforce")
    }
    assert len(ids) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9]{1,32}", one) for one in ids)


def test_a_zone_file_gets_strings_of_at_most_255_octets(records):
    line = zone_line(records["dkim"])
    parts = re.findall(r'"([^"]*)"', line)
    assert line.startswith("m202611a._domainkey.example.org. IN TXT (")
    assert "".join(parts) == KEY[1]
    assert max(map(len, parts)) <= dkim_records.MAX_STRING
    assert zone_line(records["mx"]) == "example.org. IN MX 10 mx.example.net."
    assert zone_line(records["sts-host"]) == "mta-sts.example.org. IN CNAME mail.example.net."


@pytest.mark.parametrize(
    ("told", "state", "found"),
    [
        ((sts_policy("mx.example.net", "testing").replace("\r", ""), ""), "good", ""),
        ((sts_policy("mx.example.net", "enforce"), ""), "wrong", "mode: enforce"),
        (("<html>\x1b", ""), "wrong", "<html>"),
        ((None, "tls"), "wrong", "tls"),
        ((None, "status-404"), "wrong", "status-404"),
        ((None, "connect"), "unknown", "connect"),
        ((None, "private"), "unknown", "private"),
    ],
)
def test_the_policy_itself_is_fetched_and_compared(records, told, state, found):
    seen = see(records["sts-host"], asking("192.0.2.1", kind="A"), told)
    assert seen.state == state
    assert found in seen.found
    assert seen.found.isprintable()


def test_nothing_is_fetched_from_a_host_without_an_address(records):
    def fetch(_url):
        raise AssertionError("asked")

    assert look(records["sts-host"], asking(), fetch).state == "missing"
