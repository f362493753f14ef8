"""Addresses: the strict readings that decide, the lenient one that shows."""

import json
import os
import time
from pathlib import Path

import pytest

from webmail.mail.address_lists import AddressList, parse_list
from webmail.mail.addresses import Address, AddressError, base_local, fold, parse_path, parse_recipients
from webmail.mail.idn import to_ascii, to_display

CORPUS = (
    Path(os.environ.get("MTUMAIL_CORPORA") or Path(__file__).resolve().parents[3] / "shared/corpora")
    / "addresses/rows.jsonl"
)


def shown(value: str) -> list[tuple[str, str]]:
    return [(one.name, one.email) for one in parse_list(value)]


# --- envelope paths


@pytest.mark.parametrize(
    ("path", "local", "domain"),
    [
        ("<Ann@EXAMPLE.org>", "Ann", "example.org"),
        ("ann@example.org", "ann", "example.org"),
        ("ann+tag@example.org", "ann+tag", "example.org"),
        ("ann@example.org.", "ann", "example.org"),
        ('"ann b"@example.org', "ann b", "example.org"),
        ('"a\\"b"@example.org', 'a"b', "example.org"),
        ('"ann"@example.org', "ann", "example.org"),
        ('""@example.org', "", "example.org"),
        ("user%other.example@example.org", "user%other.example", "example.org"),
        ("other.example!user@example.org", "other.example!user", "example.org"),
        ("ann@[192.0.2.1]", "ann", "[192.0.2.1]"),
        ("ann@[IPv6:2001:db8::1]", "ann", "[IPv6:2001:db8::1]"),
        ("ann@bücher.example", "ann", "xn--bcher-kva.example"),
        ("用户@例子.广告", "用户", "xn--fsqu00a.xn--4rr70v"),
        ("n\u0303o@example.org", "ño", "example.org"),
        ("<PostMaster>", "PostMaster", ""),
    ],
)
def test_paths(path, local, domain):
    address = parse_path(path)
    assert (address.local, address.domain) == (local, domain)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "empty"),
        ("<>", "empty"),
        ("<ann@example.org", "brackets"),
        ("ann@example.org>", "brackets"),
        ("Ann <ann@example.org>", "brackets"),
        ("ann", "no-domain"),
        ("ann@", "no-domain"),
        ("@example.org", "bad-local"),
        ("<@relay.example:ann@example.org>", "source-route"),
        ("<@a.example,@b.example:ann@example.org>", "source-route"),
        ("a\0b@example.org", "control"),
        ("ann@exam\0ple.org", "control"),
        ("ann@example.org\r\nRCPT TO:<eve@evil.example>", "control"),
        ("ann\n@example.org", "control"),
        ('"a\r\nb"@example.org', "control"),
        ("ann b@example.org", "bad-local"),
        (" ann@example.org", "bad-local"),
        ("ann@example.org ", "bad-domain"),
        ("ann@exam ple.org", "bad-domain"),
        ("ann\u2028@example.org", "control"),
        ("\u202eann@example.org", "control"),
        ("a\udc80b@example.org", "control"),
        ("a@b@example.org", "bad-domain"),
        (".ann@example.org", "bad-local"),
        ("ann..b@example.org", "bad-local"),
        ("ann(x)@example.org", "bad-local"),
        ("ann@example..org", "bad-domain"),
        ("ann@-example.org", "bad-domain"),
        ("ann@exa_mple.org", "bad-domain"),
        ("ann@[300.0.2.1]", "bad-domain"),
        ("ann@[IPv6:fe80::1%eth0]", "bad-domain"),
        ("ann@[example.org]", "bad-domain"),
        ("ann\u037eb@example.org", "bad-local"),
        ("x@y> SIZE=1\r\nRCPT TO:<e@x", "control"),
    ],
)
def test_paths_refused(path, reason):
    with pytest.raises(AddressError) as caught:
        parse_path(path)
    assert caught.value.reason == reason


def test_length_limits_of_a_path():
    assert parse_path("a" * 64 + "@example.org")
    with pytest.raises(AddressError, match="local-too-long"):
        parse_path("a" * 65 + "@example.org")
    with pytest.raises(AddressError, match="local-too-long"):
        parse_path("ü" * 33 + "@example.org")
    with pytest.raises(AddressError, match="local-too-long"):
        parse_path('"' + "a" * 63 + '"@example.org')
    label = "b" * 63
    assert parse_path(f"a@{label}.org")
    with pytest.raises(AddressError, match="bad-domain"):
        parse_path(f"a@{label}b.org")
    assert parse_path("a@" + ".".join([label] * 3 + ["c" * 60]))  # 254 octets
    with pytest.raises(AddressError, match="too-long"):
        parse_path("ab@" + ".".join([label] * 3 + ["c" * 60]))


def test_an_address_survives_being_written_and_read_again():
    for path in ('"a b\\\\c\\""@example.org', "ann+t@example.org", '""@example.org', "ñ@bücher.example"):
        address = parse_path(path)
        assert parse_path(address.email) == address


def test_the_mailbox_behind_a_local_part():
    assert base_local("Ann+Shop+x") == "ann"
    assert base_local("ANN") == base_local("ann")
    assert base_local("+tag") == "+tag"
    assert base_local("n\u0303") == base_local("Ñ")
    assert base_local("аnn") != "ann"  # a Cyrillic letter is another name
    assert base_local("x%other") == "x%other"


# --- what a person types


def test_typed_recipients():
    typed = 'Ann <ann@example.org>, bob@example.org; "Smith, Eve" <eve@example.org>\n<dan@example.org>,\r\n ,; Ünal Ö. <u@bücher.example>'
    found = parse_recipients(typed)
    assert [(one.name, one.email) for one in found] == [
        ("Ann", "ann@example.org"),
        ("", "bob@example.org"),
        ("Smith, Eve", "eve@example.org"),
        ("", "dan@example.org"),
        ("Ünal Ö.", "u@xn--bcher-kva.example"),
    ]


def test_typed_twice_is_one_recipient():
    assert len(parse_recipients("ann@example.org, Ann <ann@EXAMPLE.org>")) == 1
    assert parse_recipients("  ") == ()


@pytest.mark.parametrize(
    "bad",
    [
        "ann", "ann@localhost", "ann@[127.0.0.1]", "ann@10.0.0.1", "Ann ann@example.org", "<ann@example.org", "ann@example.org>",
        "Ann <ann@example.org> x", "a@b@c.example", "Ann <ann@example.org", '"Ann <ann@example.org>', "ann@example.org\0",
        "Ann\0 <ann@example.org>", "Bcc: eve@evil.example", '"a\\\nb" <ann@example.org>', "Team: ann@example.org",
        "ann@exa\u2028mple.org", "A\u2028B <ann@example.org>", "=?utf-8?q?a=0d=0aBcc=3a?= x@y.example", "mailto:ann@example.org",
    ],
)  # fmt: skip
def test_a_bad_piece_is_refused_and_named(bad):
    with pytest.raises(AddressError) as caught:
        parse_recipients(f"ok@example.org, {bad}")
    assert caught.value.piece
    assert caught.value.piece.strip("\0") in bad


def test_a_line_break_parts_addresses_and_never_ends_up_in_one():
    with pytest.raises(AddressError) as caught:
        parse_recipients("alice@example.org\r\nBcc: x@evil.example")
    assert caught.value.piece == "Bcc: x@evil.example"
    for found in parse_recipients("a@example.org\nb@example.org\rc@example.org"):
        assert not set("\r\n\0") & set(found.email + found.name)


def test_at_most_100_recipients():
    hundred = ", ".join(f"u{n}@example.org" for n in range(100))
    assert len(parse_recipients(hundred)) == 100
    with pytest.raises(AddressError, match="too-many"):
        parse_recipients(hundred + ", one@example.org")


def test_names_lose_overrides_but_keep_words():
    (found,) = parse_recipients("A\u202en\u200bn <ann@example.org>")
    assert found.name == "Ann"


@pytest.mark.parametrize(
    "text",
    ["<" * 90_000, '"' * 90_001, "a," * 45_000, '"\\' * 45_000, "a@b.c " * 15_000, " " * 99_000 + "<a@b.c>"],
)
def test_typing_is_bounded(text):
    begun = time.process_time()
    with pytest.raises(AddressError):
        parse_recipients(text + "!")
    assert time.process_time() - begun < 3, "what grows with the square takes minutes"


# --- what a header says


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            '"Doug S." <doug@example.com>, =?utf-8?q?J=C3=BC?= <s@x.COM>',
            [("Doug S.", "doug@example.com"), ("Jü", "s@x.com")],
        ),
        ("a@b.example (Name)", [("Name", "a@b.example")]),
        (
            "MAILER-DAEMON@b.example (Mail Delivery System)",
            [("Mail Delivery System", "MAILER-DAEMON@b.example")],
        ),
        ("undisclosed-recipients:;", []),
        (
            'Friends: a@b.example, "C, D" <e@f.example>; g@h.example',
            [("", "a@b.example"), ("C, D", "e@f.example"), ("", "g@h.example")],
        ),
        ("a@b.example; c@d.example", [("", "a@b.example"), ("", "c@d.example")]),
        ("<a@b.example> <c@d.example>", [("", "a@b.example"), ("", "c@d.example")]),
        ("John Q. Public <j@x.example>", [("John Q. Public", "j@x.example")]),
        ("=?utf-8?Q?Foo,_Bar?= <a@b.example>", [("Foo, Bar", "a@b.example")]),
        ('"=?utf-8?q?J=C3=BC?=" <a@b.example>', [("Jü", "a@b.example")]),
        ("<@x.example,@y.example:a@b.example>", [("", "a@b.example")]),
        ("Foo <foo@bar.example", [("Foo", "foo@bar.example")]),
        ("a . b @ c . example", [("", "a.b@c.example")]),
        ('"a b" <"a b"@c.example>', [("a b", '"a b"@c.example')]),
        ("a@b.example <a@b.example>", [("", "a@b.example")]),
        ("MAILER-DAEMON", [("", "MAILER-DAEMON")]),
        ("Mr. Nobody", [("Mr. Nobody", "")]),
        ("", []),
        (",,;", []),
    ],
)
def test_header_lists(value, expected):
    assert shown(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "alice@example.org)bob@evil.example", "alice@example.org(bob@evil.example", "a@b@c.example", "a@b.example c@d.example",
        '"Foo <foo@bar.example>', "a(x)b@c.example", "ann@exa mple.org", "ann@exa!mple.org",
    ],
)  # fmt: skip
def test_what_is_not_plainly_one_address_is_only_a_name(value):
    (found,) = parse_list(value)
    assert found.domain == ""
    assert found.name


def test_decoded_names_hold_no_line_ends_controls_or_overrides():
    (found,) = parse_list("=?utf-8?q?a=0d=0aBcc=3a_x=00?= \u202e<a@b.example>")
    assert found.name.startswith("a Bcc: x")
    assert not set("\r\n\0\u202e") & set(found.name)


def test_an_encoded_word_never_makes_an_address():
    (found,) = parse_list("=?utf-8?q?eve=40evil.example?=")
    assert found.domain == ""


@pytest.mark.parametrize(("count", "more"), [(1000, 0), (1001, 1), (5000, 4000)])
def test_at_most_1000_addresses_and_the_rest_counted(count, more):
    found = parse_list(", ".join(f"u{n}@example.org" for n in range(count)))
    assert isinstance(found, AddressList)
    assert (len(found), found.more) == (1000, more)


@pytest.mark.parametrize(
    "value",
    [
        "(" * 32_768,
        "<" * 32_768,
        '"\\' * 16_384,
        "[a" * 16_000,
        "@" * 32_768,
        "a " * 16_000,
        "=?a?q?" * 5000,
        ":" * 32_768,
    ],
)
def test_hostile_lists_are_linear(value):
    begun = time.process_time()
    parse_list(value)
    assert time.process_time() - begun < 0.5


# --- domain names


def test_domains_compare_in_ascii_and_show_in_unicode():
    assert to_ascii("BÜCHER.Example.") == "xn--bcher-kva.example"
    assert to_display("xn--bcher-kva.example") == "bücher.example"
    assert Address("a", "xn--fiqq24b10vi0d.tw").display == "a@臺網中心.tw"


@pytest.mark.parametrize(
    "domain", ["xn--80ak6aa92e.com", "xn--exmple-4nf.org", "xn--" + "a" * 70, "xn--\udc80", "xn--99999999"]
)
def test_domains_that_could_pass_for_others_stay_punycode(domain):
    assert to_display(domain) == domain


@pytest.mark.parametrize(
    "domain",
    [
        "",
        ".",
        "a..b",
        "-a.b",
        "a-.b",
        "a_b.c",
        "a b.c",
        "ü" * 64 + ".de",
        "\u0301a.b",
        "a\u200b.b",
        "☃.net",
        "a" * 2000,
    ],
)
def test_what_is_no_domain(domain):
    assert to_ascii(domain) is None


# --- other people's cases

# Where a row's authors go beyond RFC 5321, or answer another question: our answer, and why.
DEVIATIONS = {
    "isemail/35": (True, "a last dot is normalised away, as resolvers do"),
    "isemail/71": (True, "'::' for one group is deprecated by RFC 5952 but valid by RFC 5321"),
    "email-validator/test_email_valid/173": (False, "a display name is no part of a path"),
    "email-validator/test_email_valid/174": (False, "a display name is no part of a path"),
    "email-validator/test_email_valid/175": (False, "a display name is no part of a path"),
    "email-validator/test_email_invalid_syntax/202": (
        True,
        "one label is a domain by RFC 5321; recipients typed by people need a dot",
    ),
    "email-validator/test_email_invalid_syntax/207": (True, "a last dot is normalised away"),
    "email-validator/test_email_invalid_syntax/251": (True, "its authors add a limit before normalisation"),
    "email-validator/test_email_invalid_syntax/261": (True, "an address literal is valid by RFC 5321"),
    "email-validator/test_email_invalid_syntax/268": (True, "brackets are part of a path"),
    "email-validator/test_email_invalid_reserved_domain/281": (True, "which names exist is not syntax"),
    "email-validator/test_email_invalid_reserved_domain/283": (True, "which names exist is not syntax"),
    "email-validator/test_email_invalid_reserved_domain/285": (True, "which names exist is not syntax"),
    "email-validator/test_email_invalid_character_smtputf8_off/298": (
        True,
        "SMTPUTF8 is asked through Address.is_ascii",
    ),
    "flanker/mailbox_valid/54": (False, "an underscore is no host name"),
    "flanker/mailbox_valid/66": (False, "a display name is no part of a path"),
    "flanker/mailbox_valid/67": (False, "a display name is no part of a path"),
    "flanker/mailbox_valid/69": (False, "a display name is no part of a path"),
    "flanker/mailbox_valid/199": (False, "comments are for headers, not for paths"),
    "flanker/mailbox_valid/200": (False, "comments are for headers, not for paths"),
    "flanker/mailbox_valid/202": (False, "comments are for headers, not for paths"),
    "flanker/mailbox_invalid/63": (True, "a last dot is normalised away"),
    "flanker/mailbox_invalid/100": (True, "an A-label is not decoded to route"),
}
VALID_CATEGORIES = ("ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321")
PATH_RULES = {
    "reject": False,
    "reject (64)": False,
    "reject (253/63)": False,
    "null sender only in MAIL FROM": False,
}


def expected(row: dict[str, object]) -> bool | None:
    expect = row["expect"]
    assert isinstance(expect, dict)
    if "valid" in expect:
        return bool(expect["valid"])
    if "category" in expect:
        return expect["category"] in VALID_CATEGORIES
    if "test" in expect:
        return "_valid" in expect["test"]
    return PATH_RULES.get(expect.get("rule", ""))


def is_path(text: str) -> bool:
    try:
        parse_path(text)
    except AddressError:
        return False
    return True


@pytest.mark.corpora
@pytest.mark.skipif(not CORPUS.is_file(), reason=f"no test material at {CORPUS}")
def test_paths_against_other_peoples_cases():
    rows = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
    wrong = {}
    for row in rows:
        text = row["input"] + ("@example.org" if "localpart" in row["id"] else "")
        answer = is_path(text)
        want = DEVIATIONS[row["id"]][0] if row["id"] in DEVIATIONS else expected(row)
        if want is not None and answer is not want:
            wrong[row["id"]] = (text[:80], answer)
        found = parse_list(text)
        assert all(not set("\r\n\0") & set(one.email + one.name + one.display) for one in found)
    assert not wrong
    assert set(DEVIATIONS) <= {row["id"] for row in rows}
    assert len(rows) > 300


# --- one form to know somebody by ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann@Example.ORG", "ann@example.org"),
        (" ann@example.org. ", "ann@example.org"),
        ("ann@münchen.example", "ANN@xn--mnchen-3ya.example"),
        ("Zoe\u0308@example.org", "zoë@example.org"),
        ("STRASSE@example.org", "straße@example.org"),
    ],
)
def test_spellings_of_one_address_fold_alike(one, other):
    assert fold(one) == fold(other)
    assert fold(fold(one)) == fold(one)


@pytest.mark.parametrize(
    "other", ["ann+x@example.org", "ann@example.com", "аnn@example.org", "a.nn@example.org", "ann"]
)
def test_different_addresses_stay_different(other):
    assert fold(other) != fold("ann@example.org")


@pytest.mark.parametrize(
    "odd", ["", "@", "a@", "@b", "a@b@c.example", "\ud800@\ud800", "\0", "a@" + "é" * 5000]
)
def test_anything_can_be_folded(odd):
    assert isinstance(fold(odd), str)


def test_a_domain_is_not_case_folded_into_another():
    assert fold("a@straße.example") != fold("a@strasse.example")
