"""Numbers the links of one message and says what people must know of each: the real host."""

from __future__ import annotations

import re

from webmail.mail.sanitize import urls
from webmail.mail.sanitize.model import Link, words

MAX_TEXT = 200
MAX_WORDS = 20
_LOOKS_LIKE_URL = re.compile(
    r"(?:(?:https?:)?//|www\.)?(?:[\w.+-]+@)?((?:[\w-]{1,63}\.)+[^\W\d_]{2,24})\.?(?::\d+)?(?:[/?#]\S*)?",
    re.IGNORECASE,
)
_FILE_ENDINGS = words(
    "pdf doc docx xls xlsx ppt pptx odt ods txt csv jpg jpeg png gif html htm js py md zip json xml"
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
    return Link(target.number, address.url, address.host, words, address.odd or names_another(words, address))


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
    hosts = [host.rpartition("@")[2].lower().removeprefix("www.") for host in address.host.split(", ")]
    return any(
        claimed and not any(host == claimed or host.endswith("." + claimed) for host in hosts)
        for claimed in map(named_host, text.split()[:MAX_WORDS])
    )


def named_host(word: str) -> str:
    """The host that a word names, lower case and without `www.`; "" where it names none, or a file."""
    found = _LOOKS_LIKE_URL.fullmatch(word.strip("<>()[]{}\"'.,;!"))
    if found is None or (found[1].rpartition(".")[2].lower() in _FILE_ENDINGS and "/" not in word):
        return ""
    return found[1].lower().removeprefix("www.")
