"""One word and the reasons for it: loud where something is wrong, silent where nothing is."""

import time
from dataclasses import dataclass, replace

import pytest

from webmail.mail.trust import Acquaintance, Facts, Trust, assess


@dataclass(frozen=True)
class Told:
    """A result of authentication."""

    dmarc: str = "pass"
    dmarc_policy: str = "reject"
    arc: str = "none"
    verdict: str = "verified"


@dataclass(frozen=True)
class Link:
    """A link as the cleaner finds it."""

    url: str
    text: str = ""
    mismatch: bool = False

    @property
    def host(self) -> str:
        return self.url.split("/")[2]


@dataclass(frozen=True)
class File:
    """An attachment."""

    name: str
    content_type: str = "application/octet-stream"
    turned: bool = False


PROVEN = Told()
FAILED = Told("fail", verdict="failed")
UNSAID = Told("none", "", verdict="unknown")
BASE = Facts(
    sender=("Grace Mwangi", "grace@example.net"),
    authentication=PROVEN,
    own_addresses=("ann@mtumail-home.org",),
    own_names=("Ann Whitfield",),
    hosted_domains=("mtumail-home.org",),
)


def judge(**facts: object) -> Trust:
    return assess(replace(BASE, **facts))


def told(**facts: object) -> list[tuple[str, str]]:
    return [(one.code, one.level) for one in judge(**facts).warnings]


# --- calm ----------------------------------------------------------------------------------------------------------------


def test_a_proven_sender_gets_a_word_and_nothing_else():
    assert judge() == Trust("verified")


def test_a_newsletter_with_answers_to_its_own_house_is_quiet():
    trust = judge(
        sender=("The Example Weekly", "news@mailing.example.co.uk"),
        reply_to=[("", "editor@example.co.uk")],
        is_bulk=True,
        links=[
            Link("https://click.sender.test/1", "example.co.uk/today", True),
            Link("https://www.example.co.uk/a", "Read"),
        ],
        known=Acquaintance(),
        return_path="bounce-17@sender.test",
    )
    assert trust == Trust("verified")


def test_only_a_list_that_the_reader_writes_to_is_excused_for_what_it_changed():
    facts = {"authentication": replace(FAILED, arc="pass"), "list_id": "talk.lists.example.com"}
    assert told(by_known_list=True, **facts) == [("list-changed", "note")]
    assert judge(by_known_list=True, known=Acquaintance(3), **facts).word == "unknown"
    for known in (Acquaintance(), Acquaintance(3, 5)):  # whom the reader knows is whom it pays to forge
        assert told(known=known, **facts) == [("list-changed", "warn")]


def test_a_failure_that_its_domain_asks_nothing_for_is_quiet():
    assert told(authentication=replace(FAILED, dmarc_policy="none")) == []
    assert (
        judge(authentication=replace(FAILED, dmarc_policy="none"), known=Acquaintance(5, 5)).word == "unknown"
    )


@pytest.mark.parametrize("authentication", [None, UNSAID, Told("temperror", verdict="unknown")])
def test_without_a_result_nobody_is_accused(authentication):
    assert judge(authentication=authentication) == Trust("unknown")
    assert judge(authentication=authentication, known=Acquaintance(1)) == Trust("known")
    assert judge(authentication=authentication, known=Acquaintance(0, 1)) == Trust("known")


def test_a_return_path_elsewhere_is_no_warning():
    assert told(return_path="bounce@elsewhere.test") == []


def test_ones_own_mail_is_ones_own():
    assert judge(incoming=False, files=[File("a.exe")], authentication=None) == Trust("self")
    assert judge(sender=("Ann Whitfield", "ann@mtumail-home.org")) == Trust("self")


# --- proof ---------------------------------------------------------------------------------------------------------------


def test_a_forged_sender_of_ones_own_service_is_loud_whatever_it_brings():
    for more in ({}, {"list_id": "l.example", "is_bulk": True, "known": Acquaintance(9, 9)}):
        trust = judge(
            sender=("", "it@mtumail-home.org"),
            authentication=replace(FAILED, arc="pass", dmarc_policy="none"),
            **more,
        )
        assert trust.word == "danger"
        assert trust.warnings[0].code == "own-service-failed"
        assert trust.warnings[0].level == "bad"


def test_ones_own_service_has_to_be_proven():
    assert told(sender=("", "it@mtumail-home.org"), authentication=UNSAID) == [
        ("own-service-unproven", "warn")
    ]
    assert told(sender=("", "x@below.mtumail-home.org"), authentication=UNSAID) == [
        ("own-service-unproven", "warn")
    ]
    assert told(sender=("", "it@mtumail-home.org"), authentication=None) == []


@pytest.mark.parametrize("policy", ["reject", "quarantine"])
def test_a_failure_with_a_policy_is_bad(policy):
    trust = judge(authentication=replace(FAILED, dmarc_policy=policy))
    assert (trust.word, [one.code for one in trust.warnings]) == ("danger", ["proof-failed"])


def test_a_list_id_alone_does_not_silence_a_failure():
    assert told(authentication=FAILED, list_id="l.example") == [("list-changed", "warn")]


def test_several_senders():
    assert told(problems=("duplicate-header:from",), authors=2) == [("several-froms", "bad")]
    assert told(authors=2) == [("several-authors", "warn")]
    assert told(problems=("duplicate-header:subject",)) == []


@pytest.mark.parametrize("sender", [("", ""), ("Somebody", ""), ("", "root"), ("", "root@")])
def test_no_sender(sender):
    assert told(sender=sender) == [("no-sender", "warn")]


# --- names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "address", "expected"),
    [
        ("alice@example.org", "bob@evil.example", [("name-shows-address", "warn")]),
        ("Alice <alice@example.org>", "bob@evil.example", [("name-shows-address", "warn")]),
        ("alice@example.org", "alice@example.org", []),
        ("Alice@Example.org", "alice@example.org", []),
        ("alice@example.org", "alice@lists.example.org", []),
        ("alice@gmail.com", "bob@gmail.com", [("name-shows-address", "warn")]),
        ("ann@mtumail-home.org", "x@evil.example", [("name-shows-ours", "bad")]),
        ("it@mtumail-home.org", "x@evil.example", [("name-shows-ours", "bad")]),
        ("mtumail-home.org mailbox", "x@evil.example", [("name-shows-ours", "bad")]),
        ("PayPal.com Support", "x@evil.example", [("name-shows-domain", "warn")]),
        ("Amazon.com", "news@amazon.com", []),
        ("Amazon.com", "news@mail.amazon.com", []),
        ("Node.js Weekly", "n@cooperpress.example", []),
        ("J. R. Smith", "jr@smith.example", []),
        ("Ann Whitfield", "ann.whitfield@gmail.com", [("own-name", "warn")]),
        ("ann whitfie1d", "x@evil.example", [("own-name", "warn")]),
        ("Аnn Whitfield", "x@evil.example", [("own-name", "warn")]),
        ("Postmaster", "x@evil.example", [("keeper-name", "warn")]),
        ("Postmaster", "postmaster@evil.example", [("keeper-name", "warn")]),
        ("Administrator", "x@evil.example", [("keeper-name", "warn")]),
        ("mtumail", "x@evil.example", [("keeper-name", "warn")]),
        ("MTUMAIL-HOME Support", "x@evil.example", [("keeper-name", "warn")]),
        ("Support", "x@evil.example", [("keeper-name", "warn")]),
        ("Support", "support@shop.example", []),
        ("Help Desk", "helpdesk@shop.example", []),
        ("Acme Support", "x@acme.example", []),
        ("ann@mtumail-home.org", "ann@mtumail-home.org", []),
    ],
)  # fmt: skip
def test_names(name, address, expected):
    assert told(sender=(name, address)) == expected


def test_a_bounce_comes_from_a_postmaster_by_right():
    assert told(sender=("Postmaster", "postmaster@far.example"), return_path="") == []


def test_a_list_that_rewrites_from_names_the_author_and_itself():
    facts = {
        "sender": ("ben@far.example via Talk", "talk@lists.example.com"),
        "list_id": "talk.lists.example.com",
    }
    assert told(**facts) == [("name-shows-address", "note")]
    assert told(**facts | {"list_id": ""}) == [("name-shows-address", "warn")]
    ours = facts | {"sender": ("ben@mtumail-home.org via Talk", "talk@lists.example.com")}
    assert told(**ours) == [("name-shows-ours", "warn")]


def test_a_known_name_at_another_address():
    book = [("Ben Okello", "ben@example.org"), ("Bo", "bo@example.org"), ("Cleo Marsh", "cleo@gmail.com")]
    assert told(sender=("Ben  0kello", "x@evil.example"), familiar=book) == [("known-name", "warn")]
    assert told(sender=("Ben Okello", "ben.okello@mail.example.org"), familiar=book) == []
    assert told(sender=("Ben Okello", "ben@example.org"), familiar=book) == []
    assert told(sender=("Bo", "bo@elsewhere.example"), familiar=book) == []
    assert told(sender=("Cleo Marsh", "cleo.marsh2@gmail.com"), familiar=book) == [("known-name", "warn")]


def test_who_was_written_to_may_carry_ones_name():
    facts = {"sender": ("Ann Whitfield", "ann@private.example"), "known": Acquaintance(0, 2)}
    assert told(**facts) == [("own-name", "note")]


# --- domains -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("mtumail-horne.org", [("lookalike", "bad")]),
        ("mtumai1-home.org", [("lookalike", "bad")]),
        ("mtumail-h0me.org", [("lookalike", "bad")]),
        ("mtumailhome.org", [("lookalike", "bad")]),
        ("mtumail-home.org.evil.example", [("lookalike", "bad")]),
        ("mtumial-home.org", [("lookalike", "warn")]),
        ("mtumail-homes.org", [("lookalike", "warn")]),
        ("mtumail-home.com", [("lookalike", "warn")]),
        ("paypa1.com", [("lookalike", "bad")]),
        ("xn--pypal-4ve.com", [("lookalike", "bad")]),
        ("rnicrosoft.com", [("lookalike", "bad")]),
        ("paypal.com.login.example", [("lookalike", "bad")]),
        ("gooogle.com", [("lookalike", "warn")]),
        ("microsoft.co", [("lookalike", "warn")]),
        ("paypal.de", []),
        ("amazon.com.au", []),
        ("mail.google.com", []),
        ("bell.example", []),
        ("xn--exmple-4nf.org", [("mixed-domain", "bad")]),
        ("xn--80ak6aa92e.com", [("coded-domain", "warn")]),
        ("xn--mnchen-3ya.example", []),
        ("xn--fsqu00a.xn--0zwm56d", []),
    ],
)
def test_look_alike_domains(domain, expected):
    assert told(sender=("", f"x@{domain}")) == expected


def test_domains_of_people_one_knows_are_looked_for_too():
    book = [("Ben", "ben@riverside.example"), ("Cleo", "cleo@gmail.com")]
    assert told(sender=("", "x@riversidе.example"), familiar=book) == [("lookalike", "bad")]
    assert told(sender=("", "x@riverslde.example"), familiar=book) == [("lookalike", "bad")]
    assert told(sender=("", "x@rivreside.example"), familiar=book) == [("lookalike", "warn")]
    assert told(sender=("", "x@rivreside.example"), familiar=book, known=Acquaintance(0, 1)) == []
    assert told(sender=("", "x@gmeil.com"), familiar=book) == []


def test_a_local_part_of_two_alphabets():
    assert told(sender=("", "аlice@example.org")) == [("mixed-address", "warn")]
    assert told(sender=("", "用户@例子.example")) == []


# --- answers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sender", "reply", "authentication", "expected"),
    [
        ("a@example.net", "b@example.net", None, []),
        ("a@example.net", "b@sub.example.net", None, []),
        ("a@example.net", "ann@mtumail-home.org", None, []),
        ("a@example.net", "b@other.example", None, [("reply-elsewhere", "warn")]),
        ("a@example.net", "b@other.example", PROVEN, [("reply-elsewhere", "note")]),
        ("a@example.net", "b@gmail.com", PROVEN, [("reply-to-freemail", "warn")]),
        ("a@gmail.com", "b@gmail.com", None, [("reply-elsewhere", "warn")]),
        ("a@gmail.com", "a@hotmail.com", None, []),
        ("a@one.co.uk", "a@two.co.uk", None, [("reply-elsewhere", "warn")]),
        ("a@one.github.io", "a@two.github.io", None, [("reply-elsewhere", "warn")]),
    ],
)
def test_where_a_reply_goes(sender, reply, authentication, expected):
    assert told(sender=("", sender), reply_to=[("", reply)], authentication=authentication) == expected


def test_the_worst_of_several_answers_is_told_once():
    replies = [("", "a@example.net"), ("", "b@other.example"), ("", "c@gmail.com"), ("", "d@gmail.com")]
    [finding] = judge(reply_to=replies).warnings
    assert (finding.code, finding.subject, finding.other) == (
        "reply-to-freemail",
        "c@gmail.com",
        "grace@example.net",
    )


def test_lists_and_people_one_writes_to_may_send_answers_elsewhere():
    reply = [("", "talk@lists.example.com")]
    assert told(authentication=None, reply_to=reply, list_id="talk.lists.example.com") == [
        ("reply-elsewhere", "note")
    ]
    assert told(authentication=None, reply_to=reply, known=Acquaintance(0, 1)) == [
        ("reply-elsewhere", "note")
    ]


# --- first time ----------------------------------------------------------------------------------------------------------


def test_a_first_message_is_noted_and_changes_no_word():
    assert told(known=Acquaintance()) == [("first-time", "note")]
    assert judge(known=Acquaintance()).word == "verified"
    assert told(known=None) == told(known=Acquaintance(1)) == told(known=Acquaintance(0, 1)) == []
    assert told(known=Acquaintance(), is_bulk=True) == told(known=Acquaintance(), list_id="l.example") == []
    assert told(known=Acquaintance(), sender=("", "ben@mtumail-home.org")) == []


# --- links ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "text", "mismatch", "expected"),
    [
        ("https://other.example/x", "Read more", False, []),
        ("https://other.example/x", "www.paypal.com", True, [("link-differs", "warn")]),
        ("https://example.net/x", "www.paypal.com", True, []),
        ("https://click.example/x", "example.net/news", True, []),
        ("https://other.example/x", "other.exampleand.more", True, []),
        ("https://other.example/x", "other.example.paypal.com", True, [("link-differs", "warn")]),
        ("https://sub.other.example/x", "www.other.example", True, []),
        ("https://other.example/x", "https://mtumail-home.org/mail", True, [("link-differs", "bad")]),
        ("https://other.example/x", "Click", True, [("link-hides", "warn")]),
        ("http://192.0.2.7/login", "Sign in", False, [("link-to-number", "warn")]),
        ("http://[2001:db8::1]:8080/login", "Sign in", False, [("link-to-number", "warn")]),
        ("https://mtumail-horne.org/", "Sign in", False, [("link-lookalike", "bad")]),
        ("https://mtumail-home.org.evil.example/", "Sign in", False, [("link-lookalike", "bad")]),
        ("https://xn--80ak6aa92e.com/", "Sign in", False, [("link-coded", "warn")]),
        ("mailto:x@paypa1.com", "Write", False, []),
    ],
)
def test_links(url, text, mismatch, expected):
    assert told(links=[Link(url, text, mismatch)]) == expected


def test_an_unproven_sender_is_not_excused_by_its_own_name():
    link = Link("https://click.example/x", "example.net/news", True)
    assert told(authentication=None, links=[link]) == [("link-differs", "warn")]


def test_links_of_a_kind_are_counted_and_told_once():
    links = [Link(f"https://evil{n}.example/", "www.paypal.com", True) for n in range(5)]
    [finding] = judge(links=links).warnings
    assert (finding.count, finding.subject, finding.other) == (5, "evil0.example", "paypal.com")


# --- files ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content_type", "expected"),
    [
        *[(f"x.{ending}", "", [("file-runs", "bad")]) for ending in
          ("exe", "scr", "com", "bat", "cmd", "ps1", "vbs", "js", "jse", "wsf", "hta", "msi", "jar", "lnk", "iso", "img", "vhd", "chm")],
        *[(f"x.{ending}", "", [("file-macros", "warn")]) for ending in ("docm", "xlsm", "PPTM")],
        *[(f"x.{ending}", "", [("file-page", "warn")]) for ending in ("html", "HTM", "shtml", "svg")],
        *[(f"x.{ending}", "", []) for ending in ("pdf", "docx", "xlsx", "zip", "txt", "jpg", "ics", "eml", "py", "patch", "7z")],
        ("invoice.pdf.exe", "application/pdf", [("file-disguised", "bad")]),
        ("invoice.pdf      .exe", "", [("file-disguised", "bad")]),
        ("invoice.exe.pdf", "", []),
        ("setup.exe. . ", "", [("file-runs", "bad")]),
        ("setup.ｅｘｅ", "", [("file-runs", "bad")]),
        ("setup.e\u200bxe", "", [("file-runs", "bad")]),
        ("שלום.pdf", "", []),
        ("photo.jpg", "application/x-msdownload", [("file-runs", "bad")]),
        ("part", "text/html", [("file-page", "warn")]),
        ("", "application/pdf", []),
        ("Makefile", "text/plain", []),
    ],
)  # fmt: skip
def test_files(name, content_type, expected):
    assert told(files=[File(name, content_type)]) == expected
    assert told(files=[File(name, content_type, turned=True)]) == [("file-turned", "bad")]


# --- all together --------------------------------------------------------------------------------------------------------


def test_the_most_serious_comes_first():
    trust = judge(
        known=Acquaintance(),
        reply_to=[("", "x@gmail.com")],
        files=[File("x.exe")],
        links=[Link("http://192.0.2.1/")],
    )
    assert [one.level for one in trust.warnings] == ["bad", "warn", "warn", "note"]
    assert trust.word == "danger"


def test_hostile_facts_are_linear_and_raise_nothing():
    wild = "a@" + "a." * 20_000 + "com" + "\u202e" * 1000 + "@" * 1000
    start = time.process_time()
    judge(
        sender=(wild * 3, wild),
        reply_to=[(wild, wild)] * 5000,
        own_names=("", wild),
        familiar=[(wild, wild)] * 20,
        links=[Link("https://" + "a." * 4000 + "com/", "www." + "b." * 4000 + "com " * 50, True)] * 3000,
        files=[File("." * 5000 + "exe")] * 3000,
        authentication=None,
        known=Acquaintance(),
        list_id=wild,
    )
    assert time.process_time() - start < 4


def test_it_costs_little():
    """A newsletter with 100 links to hosts that no other message had: 3 ms here, a page's budget is 4."""
    start = time.process_time()
    for turn in range(20):
        links = [Link(f"https://click{n}.of{turn}-{n % 5}.example/x", "Read") for n in range(100)]
        judge(links=links, reply_to=[("", "b@example.net")])
    assert (time.process_time() - start) / 20 < 0.03
