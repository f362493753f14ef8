"""Answers: who gets one, what its subject is, and how the original is quoted."""

import re
from collections.abc import Iterable, Sequence

from webmail.mail.addresses import AddressError, parse_spec
from webmail.mail.reading import Person, View
from webmail.mail.text import quote

_PREFIX = re.compile(
    r"\s*(?:re|aw|sv|vs|antw|odp|rép|ré|rif|res|ynt|回复|答复|回覆|fwd?|wg|tr|rv|enc|i|转发|轉寄)(?:\[\d+\])?\s*[:：]\s*",
    re.IGNORECASE,
)
_LIMIT = 200_000


def subject(mark: str, original: str) -> str:
    """The original's subject after one "Re: " or "Fwd: ", whatever marks of whatever language it had."""
    rest = original
    while match := _PREFIX.match(rest):
        rest = rest[match.end() :]
    return f"{mark}: {rest.strip()}".rstrip()


def recipients(
    view: View, *, own: str, sent_by_me: bool, everybody: bool
) -> tuple[list[Person], list[Person]]:
    """Who an answer goes to, and who gets a copy: Reply-To before From (RFC 5322 section 3.6.2), never oneself unless alone.

    Answering one's own message goes on to those it went to.
    """
    if sent_by_me:
        return list(view.to), list(view.cc) if everybody else []
    to = list(view.reply_to or ((view.sender,) if view.sender[1] else ()))
    if not everybody:
        return to, []
    known = {person[1].lower() for person in to} | {own.lower()}
    cc = []
    for person in (*view.to, *view.cc):
        if person[1].lower() not in known:
            known.add(person[1].lower())
            cc.append(person)
    return to, cc


def written(people: Iterable[Person]) -> str:
    """People as one types them into a field: `Ann <ann@example.org>, ben@example.org`."""
    return ", ".join(_written(name, email) for name, email in people if email)


def _written(name: str, email: str) -> str:
    try:
        parse_spec(email)
    except AddressError:
        return email.replace(",", " ").replace(";", " ")
    if not name:
        return email
    if re.search(r'[()<>\[\]:;@\\,"]', name):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{email}>'
    return f"{name} <{email}>"


def quoted(said: str, text: str) -> str:
    """The original below a blank line to begin with, each line marked."""
    return f"\n\n{quote(text[:_LIMIT], said)}\n"


def forwarded(title: str, head: Sequence[tuple[str, str]], text: str) -> str:
    """The original as it is passed on: a line, its head, its text."""
    lines = [f"{name}: {value}" for name, value in head if value]
    return "\n\n---------- {} ----------\n{}\n\n{}\n".format(
        title, "\n".join(lines), text[:_LIMIT].strip("\n")
    )
