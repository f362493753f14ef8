"""Between a message as it is read and the composer's fields: what `composing` answers, and people as one types them."""

from collections.abc import Iterable

from webmail.mail.addresses import Address, AddressError, as_typed, parse_spec
from webmail.mail.reading import Person, View
from webmail.sending.composing import Original

_LIMIT = 200_000


def original(view: View) -> Original:
    """A message as `composing` answers it or passes it on; its text cut at 200,000 characters."""
    return Original(
        sender=people([view.sender]),
        to=people(view.to),
        cc=people(view.cc),
        reply_to=people(view.reply_to),
        subject=view.subject,
        text=view.text[:_LIMIT],
        message_id=_bracketed(view.message_id),
        references=tuple(map(_bracketed, view.references)),
    )


def written(people: Iterable[Address]) -> str:
    """People as one types them into a field: `Ann <ann@example.org>, ben@example.org`."""
    return ", ".join(as_typed(person.name, person.email) for person in people if person.domain)


def people(named: Iterable[Person]) -> tuple[Address, ...]:
    """As addresses. What cannot be written to keeps its name and loses its address."""
    found = []
    for name, email in named:
        try:
            spec = parse_spec(email)
        except AddressError:
            if name or email:
                found.append(Address("", "", name or email))
        else:
            found.append(Address(spec.local, spec.domain, name))
    return tuple(found)


def _bracketed(message_id: str) -> str:
    return f"<{message_id}>" if message_id else ""
