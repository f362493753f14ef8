"""What a message carries that can do harm: links that lead elsewhere, files that run."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from webmail.mail.sanitize import urls
from webmail.mail.sanitize.links import MAX_WORDS, named_host
from webmail.mail.trust.domains import (
    domain_of,
    is_deceptive_name,
    likeness,
    organisation,
    same_organisation,
)
from webmail.mail.trust.model import Facts, Finding, Level, LinkFact, words
from webmail.mail.trust.sender import is_hosted

MAX_LINKS: Final = 1000
MAX_FILES: Final = 1000

RUNS: Final = words(
    "ace app appimage application appref-ms apk bat cab chm cmd com cpl deb desktop diagcab dll dmg exe gadget hlp hta htc img"
    " inf ins iso isp jar jnlp js jse ksh library-ms lnk mde msc msh msi msix msixbundle msp mst msu one onepkg pif pkg ps1"
    " ps1xml ps2 psc1 psm1 pyw reg rpm run scf scr sct search-ms settingcontent-ms sys theme url vb vbe vbs vhd vhdx"
    " vmdk vsix website wim wsb wsc wsf wsh xbap xll xpi"
)
"""What opens by running, or is a disk or archive that others hide it in. Not here: .py, .sh and .pl, which people mail to be
read."""
MACROS: Final = words("docm dotm xlsm xltm xlam xlsb pptm potm ppam ppsm sldm slk iqy")
PAGES: Final = words("html htm shtml xhtml xht svg svgz mht mhtml")
_RUNNING_TYPES: Final = frozenset((
    "application/x-msdownload", "application/x-msdos-program", "application/x-dosexec", "application/x-executable",
    "application/vnd.microsoft.portable-executable", "application/x-ms-shortcut", "application/hta", "application/x-msi",
    "application/java-archive", "application/x-bat", "application/x-iso9660-image", "application/x-apple-diskimage",
))  # fmt: skip
_HARMLESS_LOOK: Final = words(
    "pdf doc docx xls xlsx ppt pptx odt ods txt rtf csv jpg jpeg png gif bmp tif tiff mp3 mp4 avi zip htm html eml msg"
)
_BEFORE_AT: Final = re.compile(
    r"https?://((?:[\w-]{1,63}\.){1,10}[^\W\d_]{2,24})(?::[^@/?#\s]{0,100})?@", re.IGNORECASE
)
"""A name that is written where a host is looked for, and is none."""


def findings(facts: Facts) -> Iterator[Finding]:
    """What to tell of links and files; one finding a kind, with how many there are."""
    yield from _once(_links(facts))
    yield from _once(_files(facts))


def _once(found: Iterator[Finding]) -> Iterator[Finding]:
    first: dict[tuple[str, Level], Finding] = {}
    counts: dict[tuple[str, Level], int] = {}
    for finding in found:
        key = (finding.code, finding.level)
        first.setdefault(key, finding)
        counts[key] = counts.get(key, 0) + 1
    for key, finding in first.items():
        yield Finding(finding.code, finding.level, finding.subject, finding.other, counts[key])


def _links(facts: Facts) -> Iterator[Finding]:
    verified = facts.authentication is not None and facts.authentication.verdict == "verified"
    home = domain_of(facts.sender[1])
    for link in list(facts.links)[:MAX_LINKS]:
        host = _host(link)
        if not host or (verified and same_organisation(host, home) and not urls.is_number(host)):
            continue
        if urls.is_number(host):
            yield Finding("link-to-number", "warn", host)
        elif alike := likeness(host, facts.hosted_domains):
            level: Level = "bad" if alike.kind in ("same-look", "inside") else "warn"
            yield Finding("link-lookalike", level, host, alike.target)
        elif is_deceptive_name(host):
            yield Finding("link-coded", "warn", host)
        if link.mismatch:
            yield from _mismatch(facts, link, host, home, verified)


def _host(link: LinkFact) -> str:
    """The host that a link leads to, in ASCII; "" for mail."""
    scheme, mark, rest = link.url.partition("://")
    if not mark or scheme not in ("http", "https"):
        return ""
    host = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


def _mismatch(facts: Facts, link: LinkFact, host: str, home: str, verified: bool) -> Iterator[Finding]:
    """Words that name one host over a link to another. A proven sender's own name over the counter of its mailing house is
    how newsletters are made, and is not told."""
    claims = _claimed(link.text)
    others = [claim for claim in claims if not _begins_with(claim, organisation(host))]
    if not claims:
        yield Finding("link-hides", "warn", host)
    for claim in others[:1]:
        ours = any(same_organisation(claim, hosted) for hosted in facts.hosted_domains)
        if ours and not is_hosted(facts, f"@{host}"):
            yield Finding("link-differs", "bad", host, claim)
        elif not (verified and same_organisation(claim, home)):
            yield Finding("link-differs", "warn", host, claim)


def _claimed(text: str) -> list[str]:
    """The hosts that a link's words name."""
    found = (_before_at(word) or named_host(word) for word in text.split()[:MAX_WORDS])
    return [domain_of(host) for host in found if host]


def _before_at(word: str) -> str:
    found = _BEFORE_AT.match(word.lstrip("<([{\"'"))
    return found[1].lower().removeprefix("www.") if found else ""


def _begins_with(claim: str, name: str) -> bool:
    """A host of that name, or one whose words ran into the next ones, as they do when markup between them goes."""
    return same_organisation(claim, name) or (claim.startswith(name) and claim[len(name)] != ".")


def _files(facts: Facts) -> Iterator[Finding]:
    for file in list(facts.files)[:MAX_FILES]:
        shown, ending, before = _endings(file.name)
        if file.turned:
            yield Finding("file-turned", "bad", shown, ending)
        elif ending in RUNS and before in _HARMLESS_LOOK:
            yield Finding("file-disguised", "bad", shown, ending)
        elif ending in RUNS or file.content_type.lower() in _RUNNING_TYPES:
            yield Finding("file-runs", "bad", shown, ending)
        elif ending in MACROS:
            yield Finding("file-macros", "warn", shown, ending)
        elif ending in PAGES or file.content_type.lower() in (
            "text/html",
            "image/svg+xml",
            "application/xhtml+xml",
        ):
            yield Finding("file-page", "warn", shown, ending or "html")


def _endings(name: str) -> tuple[str, str, str]:
    """(name without what turns or hides it, last ending, the one before): as Windows reads them, which drops dots and spaces
    at the end."""
    plain = "".join(
        c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) not in ("Cf", "Cc")
    )
    pieces = [piece.strip() for piece in plain.rstrip(" .").lower().split(".")]
    before = pieces[-2] if len(pieces) > 2 else ""
    return plain[:200], pieces[-1] if len(pieces) > 1 else "", before
