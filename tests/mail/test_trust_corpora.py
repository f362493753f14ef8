"""Other people's mail: where a person would see a fraud there is a warning, and ordinary mail is left in peace."""

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from webmail.mail import mime, sanitize, unsubscribe
from webmail.mail.address_lists import parse_list
from webmail.mail.trust import Facts, Trust, assess

pytestmark = pytest.mark.corpora

OURS = {
    "hosted_domains": ("mtumail.test",),
    "own_addresses": ("ann@mtumail.test",),
    "own_names": ("Ann Whitfield",),
}
HAM = (
    "mime-notmuch",
    "threading",
    "mime-stalwart",
    "mime-james",
    "mime-mailrb",
    "mime-python",
    "dkim",
)
NOT_MAIL = (
    ".json",
    ".jsonl",
    ".md",
    ".xml",
    ".out",
    ".csv",
    ".yml",
    ".py",
    ".pub",
    ".key",
    ".pem",
    ".ics",
    ".html",
)
MOST_FALSE_ALARMS = 0.02
"""Of ordinary mail that says who sent it, without any result of authentication: the worst case for whoever warns."""


class File:
    """An attachment, as the view keeps it."""

    def __init__(self, part: mime.Part) -> None:
        self.name, self.content_type, self.turned = part.download_name, part.content_type, part.turned


def facts(raw: bytes) -> Facts:
    """What a page would know of a message that came without any result."""
    message = mime.parse(raw)
    cleaned = sanitize.safely("reading", message.html, link_prefix="l/") if message.html else None
    offer = unsubscribe.offer([(header.name, header.value) for header in message.headers])
    return Facts(
        sender=(message.sender.name, message.sender.email) if message.sender else ("", ""),
        authors=len(message.from_) or 1,
        reply_to=[(one.name, one.email) for one in message.reply_to],
        links=cleaned.links if isinstance(cleaned, sanitize.Reading) else (),
        files=[File(part) for part in message.attachments],
        problems=message.problems,
        list_id=offer.list_id,
        is_bulk=bool(offer),
        **OURS,
    )


def mails(folder: Path, pattern: str = "*") -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.glob(pattern)):
        if path.is_file() and path.suffix not in NOT_MAIL:
            yield path.name, re.sub(rb"\r\n|\r|\n", b"\r\n", path.read_bytes())


def alarms(trust: Trust) -> set[str]:
    return {one.code for one in trust.warnings if one.level != "note"}


# --- frauds --------------------------------------------------------------------------------------------------------------

SEEN = {
    "spam__005": "reply-elsewhere",
    "spam__008": "several-froms",
    "spam__013": "name-shows-address",
    "spam__freemail1": "reply-elsewhere",
    "spam__freemail2": "reply-elsewhere",
    "spam__fromnamespoof__spoof1": "name-shows-address",
    "spam__hashbl": "file-macros",
    "spam__olevbmacro__malicemacro.eml": "file-macros",
    "spam__unicode2": "reply-to-freemail",
    "spam__utf16.eml": "reply-elsewhere",
}
"""What can be seen from outside. The rest of that spam is honest about who sends it, or shows itself in its text alone."""


def test_a_fraud_that_a_person_would_see_is_told(corpora):
    found = {name: alarms(assess(facts(raw))) for name, raw in mails(corpora / "spam-phish", "spam__*")}
    assert {name: code for name, code in SEEN.items() if code not in found[name]} == {}


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


RSPAMD = {
    "exe_attm.eml": "file-runs",
    "numeric_urls.eml": "link-to-number",
    "phish_sender.eml": "several-froms",
    "replyto.eml": "reply-elsewhere",
    "spam_message.eml": "reply-elsewhere",
    "url_suspect_long_user.eml": "link-hides",
    "url_suspect_numeric_ip.eml": "link-to-number",
    "url_suspect_numeric_ip_user.eml": "link-hides",
    "url_suspect_very_long_user.eml": "link-hides",
}


def test_what_a_spam_filter_is_tested_with_is_told(corpora):
    found = {name: alarms(assess(facts(raw))) for name, raw in mails(corpora / "mime-rspamd")}
    assert {name: code for name, code in RSPAMD.items() if code not in found[name]} == {}


class Failed:
    """What a DMARC check of bank.example, which asks to refuse what is not its own, says of a forgery."""

    dmarc, dmarc_policy, arc, verdict = "fail", "reject", "none", "failed"


def test_evasions_of_authentication_end_in_a_warning_or_show_who_sent_it(corpora):
    """Whatever name is read out of an ambiguous From: if it is the bank's there is a warning; if not, it is shown as it is."""
    calm = {}
    for row in rows(corpora / "auth-spoofing/rows.jsonl"):
        raw = base64.b64decode(str(row["data_b64"]))
        known = facts(raw)
        if known.sender[1].endswith("@bank.example"):
            known = replace(known, authentication=Failed())
        if not alarms(assess(known)):
            calm[str(row["id"])] = known.sender[1]
    assert not any("bank.example" in address for address in calm.values()), calm
    assert set(calm.values()) <= {"second@attacker.example", "any@attacker.example"}


def test_forged_mail_of_our_own_domain_is_loud(corpora):
    forged = 0
    for row in rows(corpora / "auth-spoofing/rows.jsonl"):
        raw = base64.b64decode(str(row["data_b64"])).replace(b"bank.example", b"mtumail.test")
        known = facts(raw)
        if known.sender[1].endswith("@mtumail.test"):
            trust = assess(replace(known, authentication=Failed()))
            assert (trust.word, trust.warnings[0].level) == ("danger", "bad"), row["id"]
            assert "own-service-failed" in alarms(trust)
            forged += 1
    assert forged


@pytest.mark.parametrize(
    ("row", "code"),
    [("mtumail/3", "name-shows-address"), ("mtumail/19", "mixed-address"), ("mtumail/20", "mixed-domain")],
)
def test_addresses_made_to_deceive(corpora, row, code):
    [written] = [str(one["input"]) for one in rows(corpora / "addresses/rows.jsonl") if one["id"] == row]
    [address] = parse_list(written)
    assert code in alarms(assess(Facts(sender=(address.name, address.email), **OURS)))


def test_no_address_of_the_corpus_is_too_much(corpora):
    for row in rows(corpora / "addresses/rows.jsonl"):
        for one in parse_list(str(row["input"])):
            assess(Facts(sender=(one.name, one.email), reply_to=[(one.name, one.email)], **OURS))


# --- ordinary mail -------------------------------------------------------------------------------------------------------


def test_ham_of_the_spam_corpus_is_calm(corpora):
    found = {name: alarms(assess(facts(raw))) for name, raw in mails(corpora / "spam-phish", "nice__*")}
    assert len(found) > 20
    # Two are what they are warned of: answers to another company's list, and a From that is no address.
    assert {name for name, codes in found.items() if codes} <= {"nice__cjk__iso-2022-jp.2", "nice__unicode2"}


def test_ordinary_mail_is_left_in_peace(corpora):
    """False alarms, counted over mail that names a sender; nothing in it is proven, which is when warnings come easiest."""
    count, codes, names = 0, Counter[str](), []
    for folder in HAM:
        for name, raw in mails(corpora / folder):
            known = facts(raw)
            if not known.sender[1] or "@" not in known.sender[1]:
                continue
            count += 1
            if found := alarms(assess(known)):
                codes.update(found)
                names.append(f"{folder}/{name}")
    assert count > 250
    assert len(names) / count <= MOST_FALSE_ALARMS, (len(names), count, codes, names)


def test_newsletters_that_are_proven_are_calm(corpora):
    """Benign HTML with all its links, sent by a proven house in its own name."""

    class Proven:
        dmarc, dmarc_policy, arc, verdict = "pass", "reject", "none", "verified"

    count, loud = 0, {}
    for path in sorted((corpora / "html-benign").rglob("*.htm*"))[::3]:
        cleaned = sanitize.safely("reading", path.read_text("utf-8", "replace")[:300_000], link_prefix="l/")
        if not isinstance(cleaned, sanitize.Reading):
            continue
        count += 1
        trust = assess(
            Facts(
                sender=("The Weekly", "news@weekly.example"),
                authentication=Proven(),
                links=cleaned.links,
                is_bulk=True,
                **OURS,
            )
        )
        if alarms(trust):
            loud[path.name] = [(one.code, one.subject, one.other) for one in trust.warnings]
    assert count > 10
    assert len(loud) / count <= 0.1, loud
