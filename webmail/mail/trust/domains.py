"""Which domains belong together, which look like another one."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from webmail.mail import idn
from webmail.mail.trust.confusables import skeleton
from webmail.mail.trust.model import words

MIN_LOOK, MIN_LABEL = 5, 6
"""Letters of a name that is compared by look, and by edits. Shorter names have honest neighbours: bell and dell, bbc and bbk."""

# Second labels under which two-letter country domains register names: co.uk, com.au, ac.jp, or.kr, gob.mx, gouv.fr.
_CATEGORIES: Final = words(
    "ac asn asso co com edu gen go gob gouv gov gv id ind info lg ltd me med mil ne net nhs nom or org plc pol"
    " re res sch school sci web wa nsw vic qld"
)
# Countries that register names directly below the country, where `com.de` or `co.de` is a name like any other.
_FLAT: Final = words("at be ch cz de dk ee eu fi fr ie is it li lt lu lv me nl no pt ro se si sk")
# Hosts whose customers have a name below theirs: two of those are two organisations.
_SHARED: Final = words(
    "appspot.com azurewebsites.net blogspot.com cloudfront.net firebaseapp.com github.io gitlab.io herokuapp.com"
    " netlify.app onmicrosoft.com pages.dev vercel.app web.app weebly.com wixsite.com wordpress.com workers.dev"
    " amazonaws.com sharepoint.com myshopify.com duckdns.org ddns.net no-ip.org"
)
FREEMAIL: Final = words(
    "gmail googlemail yahoo ymail rocketmail hotmail outlook live msn aol icloud me.com mac.com gmx web.de mail.ru"
    " bk.ru inbox.ru list.ru yandex proton protonmail proton.me pm.me tutanota tuta zoho mail.com email.com qq.com"
    " 163.com 126.com sina.com foxmail.com naver.com daum.net hanmail.net t-online.de freenet.de laposte.net"
    " orange.fr free.fr wanadoo.fr libero.it virgilio.it rediffmail.com uol.com.br bol.com.br terra.com.br"
    " seznam.cz wp.pl o2.pl onet.pl interia.pl rambler.ru ukr.net fastmail hushmail.com mailinator.com inbox.lv"
    " btinternet.com comcast.net verizon.net att.net sbcglobal.net cox.net bigpond.com netscape.net"
)
BRANDS: Final = (
    "paypal.com", "google.com", "microsoft.com", "outlook.com", "office365.com", "amazon.com", "facebook.com",
    "instagram.com", "linkedin.com", "netflix.com", "dropbox.com", "docusign.com", "adobe.com", "coinbase.com",
    "binance.com", "whatsapp.com", "github.com", "icloud.com", "wellsfargo.com", "barclays.co.uk", "postbank.de",
)  # fmt: skip
"""Names that strangers borrow most, for readers who have no correspondents yet."""


@lru_cache(maxsize=4096)
def organisation(domain: str) -> str:
    """The registered part of a domain, by rule instead of the Public Suffix List: the last two labels, three where the second
    is a category of a country (`co.uk`) or the last two are a host that lets names (`github.io`).

    It errs where a registry has suffixes of its own (`kawasaki.jp`, `k12.ca.us`, `parliament.uk`): two organisations below
    such a suffix then look like one, and a warning about one of them stays away. Nothing is allowed because of that.
    """
    labels = domain.lower().strip(".").split(".")
    if domain.startswith("[") or len(labels) <= 2:
        return ".".join(labels)
    last, second = labels[-1], labels[-2]
    is_category = len(last) == 2 and last not in _FLAT and second in _CATEGORIES
    return ".".join(labels[-3:] if is_category or f"{second}.{last}" in _SHARED else labels[-2:])


def same_organisation(one: str, other: str) -> bool:
    return bool(one) and organisation(one) == organisation(other)


def domain_of(address: str) -> str:
    """What follows the last "@" of an address or a host name, in lower-case ASCII where that can be."""
    domain = address.rpartition("@")[2].strip().lower().removesuffix(".")
    return idn.to_ascii(domain) or domain


def is_freemail(domain: str) -> bool:
    """A provider where anybody has an address: sharing its domain says nothing."""
    name = organisation(domain)
    return name in FREEMAIL or name.partition(".")[0] in FREEMAIL


class Likeness(NamedTuple):
    """How a domain resembles another: "same-look" (letters that read alike), "inside", "one-edit", "other-ending", "with-word"."""

    kind: str
    target: str


def likeness(domain: str, hosted: Iterable[str] = (), familiar: Iterable[str] = ()) -> Likeness | None:
    """What `domain` pretends to be, if anything: one of ours, one that the reader knows, or a well-known name."""
    return _likeness(organisation(domain), domain, tuple(hosted), tuple(familiar))


@lru_cache(maxsize=1024)  # the links of a message share few hosts, and each is compared with every name below
def _likeness(name: str, domain: str, ours: tuple[str, ...], known: tuple[str, ...]) -> Likeness | None:
    wanted, names = _targets(ours, known)
    if not name or name in names:
        return None
    label = name.partition(".")[0]
    look = skeleton(_unicode(label))
    below = f".{domain}" if domain != name else ""
    for target in wanted:
        kind = _kind(below, name, label, look, target)
        if kind:
            return Likeness(kind, target.given)
    return None


class _Target(NamedTuple):
    """A name that others may imitate, ready to be compared with."""

    given: str
    name: str
    dotted: str
    label: str
    look: str
    is_ours: bool


@lru_cache(maxsize=64)
def _targets(ours: tuple[str, ...], known: tuple[str, ...]) -> tuple[tuple[_Target, ...], frozenset[str]]:
    """What others may imitate, in the order of `likeness`; and their names, which imitate nobody."""
    names = [(given, organisation(given)) for given in (*ours, *known, *BRANDS)]
    labels = [name.partition(".")[0] for _, name in names]
    targets = tuple(
        _Target(given, name, f".{name}.", label, skeleton(label), number < len(ours))
        for number, ((given, name), label) in enumerate(zip(names, labels, strict=True))
    )
    return targets, frozenset(name for _, name in names)


def _kind(below: str, name: str, label: str, look: str, target: _Target) -> str:
    """`below` is the whole domain behind a dot; empty where it is no more than `name`."""
    wanted = target.label
    if label != wanted:
        if look == target.look and len(wanted) >= MIN_LOOK:
            return "same-look"
        if below and target.dotted in below:
            return "inside"
        if len(wanted) < MIN_LABEL:
            return ""
        if -2 < len(label) - len(wanted) < 2 and is_one_edit(label, wanted):
            return "one-edit"
        return "with-word" if target.is_ours and wanted in label.split("-") else ""
    if len(wanted) < MIN_LABEL:
        return ""
    if target.is_ours:
        return "other-ending"
    return "one-edit" if is_one_edit(name, target.name) else ""


def _unicode(label: str) -> str:
    try:
        return label[4:].encode("ascii").decode("punycode") if label.startswith("xn--") else label
    except (UnicodeError, ValueError):
        return label


def is_one_edit(one: str, other: str) -> bool:
    """One letter more, less or other, or two neighbours swapped. Linear."""
    if abs(len(one) - len(other)) > 1 or one == other:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    a, b = one[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def is_deceptive_name(domain: str) -> bool:
    """It mixes scripts within a label, or is made of letters that pass for Latin ones, or is no name at all when decoded."""
    return "xn--" in domain and "xn--" in idn.to_display(domain)


def is_mixed_name(domain: str) -> bool:
    """A label with letters of scripts that nobody writes together."""
    return any(idn.is_mixed(_unicode(label)) for label in domain.split("."))
