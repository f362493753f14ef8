"""What is taken from a vCard. Strings are clean: one line each but the notes, no controls, no lone surrogates."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Card:
    """A person. `addresses` are as they were written, preferred ones first; nobody has looked whether mail can go to them."""

    name: str = ""
    addresses: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    organisation: str = ""
    notes: str = ""
    categories: tuple[str, ...] = ()
    uid: str = ""


@dataclass(frozen=True, slots=True)
class GroupCard:
    """A group of people; `members` are addresses, or `uid:` and the UID of another card."""

    name: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cards:
    """What a file held. `problems` are codes: "cut", "too-many", "no-cards", "unfinished"; `left_out` counts properties, by name,
    that have no place in an address book of mail."""

    people: tuple[Card, ...] = ()
    groups: tuple[GroupCard, ...] = ()
    problems: tuple[str, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)
