"""Numbers the links of one message and says what people must know of each: the real host."""

from __future__ import annotations

import re

from webmail.mail.sanitize import urls
from webmail.mail.sanitize.model import Link, words

MAX_TEXT = 200
_LOOKS_LIKE_URL = re.compile(
    r"(?:(?:https?:)?//|www\.)?(?:[\w.+-]+@)?((?:[\w-]{1,63}\.)+[^\W\d_]{2,24})\.?(?::\d+)?(?:[/?#]\S*)?",
    re.IGNORECASE,
)
_FILE_ENDINGS = words(
    "pdf doc docx xls xlsx ppt pptx odt ods txt csv jpg jpeg png gif html htm js py md zip json xml"
)
_SHORTENERS = words(
    "bit.ly bitly.com j.mp tinyurl.com t.co goo.gl ow.ly is.gd v.gd buff.ly rebrand.ly cutt.ly rb.gy tiny.cc shorturl.at t.ly "
    "lnkd.in fb.me s.id qr.ae adf.ly bl.ink short.io soo.gd clck.ru u.to vk.cc dlvr.it trib.al "
    "tiny.one urlz.fr x.gd amzn.to spr.ly po.st snip.ly kutt.it shrtco.de 1url.com dub.sh"
)


class Target:
    """One distinct address while its message is being read."""

    __slots__ = ("address", "noted", "number", "text")

    def __init__(self, number: int, address: urls.Address) -> None:
        self.number = number
        self.address = address
        self.text = ""
        self.noted = False

    def add_text(self, text: str) -> None:
        if len(self.text) < MAX_TEXT:
            self.text += text[:MAX_TEXT]

    @property
    def shown(self) -> bool:
        """Whether the words already show where the link leads."""
        return shows(self.text, self.address.host) and not self.address.odd


class Links:
    """The links of one message. `prefix` makes short addresses of our own (`l/12`); None prints full ones."""

    def __init__(self, prefix: str | None) -> None:
        self.prefix = prefix
        self.refused: set[str] = set()
        self._by_url: dict[str, Target] = {}

    def find(self, href: str) -> Target | None:
        """The target of an href as found in the message; None where it may not be followed."""
        address = urls.canonical(href)
        if address is None:
            scheme = urls.scheme_of(href)
            if scheme and scheme not in ("http", "https", "mailto"):
                self.refused.add(scheme + ":")
            return None
        target = self._by_url.get(address.url)
        if target is None:
            target = self._by_url[address.url] = Target(len(self._by_url) + 1, address)
        return target

    def __len__(self) -> int:
        return len(self._by_url)

    def href(self, target: Target) -> str:
        return target.address.url if self.prefix is None else f"{self.prefix}{target.number}"

    def finish(self) -> tuple[Link, ...]:
        return tuple(map(_told, self._by_url.values()))


def _told(target: Target) -> Link:
    address, words = target.address, " ".join(target.text.split())[:MAX_TEXT]
    elsewhere = names_another(words, address)
    short = address.host.lower().removeprefix("www.") in _SHORTENERS
    warning = address.note if address.note in ("userinfo", "lookalike") else ""
    warning = warning or ("text" if elsewhere else "") or address.note or ("short" if short else "")
    return Link(target.number, address.url, address.host, words, elsewhere or address.odd, warning)


def shows(text: str, host: str) -> bool:
    """Whether `text` begins with this very host (or address), give or take a scheme and `www.`."""
    text = text.strip().lower()
    for lead in ("https://", "http://", "mailto:"):
        text = text.removeprefix(lead)
    host = host.lower()
    for form in (host, host.removeprefix("www.")):
        if form and text.removeprefix("www.").startswith(form.removeprefix("www.")):
            after = text.removeprefix("www.")[len(form.removeprefix("www.")) :][:1]
            return after in ("", "/", "?", "#", ":", " ")
    return False


def names_another(text: str, address: urls.Address) -> bool:
    """Whether the words name one host and the link leads to another."""
    for word in text.split()[:20]:
        found = _LOOKS_LIKE_URL.fullmatch(word.strip("<>()[]{}\"'.,;!"))
        if found is None or (found[1].rpartition(".")[2].lower() in _FILE_ENDINGS and "/" not in word):
            continue
        claimed = found[1].lower().removeprefix("www.")
        hosts = [host.rpartition("@")[2].lower().removeprefix("www.") for host in address.host.split(", ")]
        if not any(host == claimed or host.endswith("." + claimed) for host in hosts):
            return True
    return False
