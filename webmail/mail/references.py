"""What ties messages into conversations: bounded keys for the database, and a model of RFC 5256's REFERENCES to check it by.

A message joins a conversation by naming its messages, never by its subject alone: a stranger could write any subject.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Final

MAX_KEYS: Final = 100


def thread_keys(message_id: str, in_reply_to: str, references: Sequence[str]) -> tuple[str, ...]:
    """The ids a message is filed by: its ancestors, the eldest first, and its own id last.

    At most 100 ancestors (the last ones named), each once, never the message itself. In-Reply-To stands in front of no
    reference: it is the parent only where References do not say (RFC 5256 section 3).
    """
    ancestors = [one for one in references if one and one != message_id]
    if in_reply_to and in_reply_to != message_id and in_reply_to not in ancestors:
        ancestors = [in_reply_to, *ancestors] if ancestors else [in_reply_to]
    latest = tuple(dict.fromkeys(reversed(ancestors)))[
        :MAX_KEYS
    ]  # of a doubled id the place nearest to the message stands
    return (*reversed(latest), message_id) if message_id else tuple(reversed(latest))


@dataclass(frozen=True, slots=True)
class Item:
    """One message to be threaded. `key` is the caller's own; `sent` orders siblings."""

    key: int
    message_id: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    subject: str = ""
    sent: datetime | None = None


@dataclass(slots=True)
class _Container:
    item: Item | None = None
    parent: "_Container | None" = None
    children: list["_Container"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Thread:
    """A node of the forest: a message (`key` None where nobody has it) and the answers to it, by date."""

    key: int | None
    children: tuple["Thread", ...] = ()

    def members(self) -> Iterator[int]:
        """Every message in the thread, parents first."""
        pending = [self]
        while pending:
            node = pending.pop()
            if node.key is not None:
                yield node.key
            pending += reversed(node.children)


def thread(items: Iterable[Item], by_subject: bool = False) -> tuple[Thread, ...]:
    """RFC 5256 section 3, THREAD=REFERENCES: a forest of all messages. `by_subject` adds its step 5, which joins threads of one
    base subject; mail of strangers is never threaded so. Loop-safe and not recursive; a chain of n costs n squared steps."""
    table: dict[str, _Container] = {}
    order: list[_Container] = []
    for item in items:
        own = table.get(item.message_id) if item.message_id else None
        if (
            own is None or own.item is not None
        ):  # without an id, or with one that is taken: a container of its own
            own = _Container()
            if item.message_id and item.message_id not in table:
                table[item.message_id] = own
        own.item = item
        order.append(own)
        _adopt(own, _chain(item, table))
    roots = _roots(order)
    if by_subject:
        roots = _gathered(roots)
    return tuple(_frozen(root) for root in sorted(roots, key=_sent))


def _chain(item: Item, table: dict[str, _Container]) -> list[_Container]:
    """The containers of a message's ancestors, linked to one another where that makes no loop."""
    named = item.references[-MAX_KEYS:] or ((item.in_reply_to,) if item.in_reply_to else ())
    chain = [table.setdefault(one, _Container()) for one in named if one]
    for above, below in pairwise(chain):
        if below.parent is None and not _is_within(above, below):
            below.parent = above
            above.children.append(below)
    return chain


def _adopt(own: _Container, chain: list[_Container]) -> None:
    """Make the last ancestor the parent, whatever others said before."""
    if own.parent is not None:
        own.parent.children.remove(own)
        own.parent = None
    if chain and not _is_within(chain[-1], own):
        own.parent = chain[-1]
        own.parent.children.append(own)


def _is_within(node: _Container | None, of: _Container) -> bool:
    while node is not None:
        if node is of:
            return True
        node = node.parent
    return False


def _roots(order: list[_Container]) -> list[_Container]:
    """The tops of all threads, after empty containers are pruned (step 4): without children they go, with one, or below another,
    their children take their place."""
    tops: dict[int, _Container] = {}
    for node in order:
        top = node
        while top.parent is not None:
            top = top.parent
        tops[id(top)] = top
    roots: list[_Container] = []
    for top in tops.values():
        _prune(top)
        if top.item is None and len(top.children) == 1:
            top = top.children[0]
            top.parent = None
        roots.append(top)
    return roots


def _prune(top: _Container) -> None:
    pending = [top]
    order: list[_Container] = []
    while pending:
        node = pending.pop()
        order.append(node)
        pending += node.children
    for node in reversed(order):  # children before parents
        kept: list[_Container] = []
        for child in node.children:
            if child.item is not None:
                kept.append(child)
            else:
                kept += child.children
        for child in kept:
            child.parent = node
        node.children = sorted(kept, key=_sent)


def _sent(node: _Container) -> tuple[float, int]:
    first = node if node.item or not node.children else node.children[0]
    item = first.item
    if item is None:
        return (0.0, 0)
    return (item.sent.timestamp() if item.sent else 0.0, item.key)


_BLOB = re.compile(r"\[[^\[\]]{0,200}\]\s{0,50}")
_LEAD = re.compile(
    r"(?:re|fwd?|aw|wg|sv|vs|antw|rv|tr|ynt|odp|vb)\s{0,10}(?:\[[^\[\]]{0,200}\]\s{0,10})?:\s{0,50}",
    re.IGNORECASE,
)
_TRAIL = re.compile(r"\s{0,50}\(fwd\)\Z", re.IGNORECASE)


def base_subject(subject: str) -> str:
    """RFC 5256 section 2.1, with the marks of replies that other languages use; case folded, at most 500 characters."""
    text = " ".join(subject[:2000].split())[:500]
    before = None
    while before != text:
        before = text
        while trail := _TRAIL.search(text[-60:]):
            text = text[: len(text) - len(trail[0])]
        at = 0
        while blob := _BLOB.match(text, at):
            at = blob.end()
        if lead := _LEAD.match(text, at):
            text = text[lead.end() :]
        elif at and at < len(text):
            text = text[at:]
        if text.lower().startswith("[fwd:") and text.endswith("]"):
            text = text[5:-1].strip()
    return text.casefold()


def _gathered(roots: list[_Container]) -> list[_Container]:
    """Step 5: roots of one base subject become one thread."""
    table: dict[str, _Container] = {}
    for root in sorted(roots, key=_sent):
        subject, is_reply = _subject(root)
        held = table.get(subject)
        if subject and (
            held is None or (root.item is None and held.item) or (_subject(held)[1] and not is_reply)
        ):
            table[subject] = root
    out: list[_Container] = []
    for root in sorted(roots, key=_sent):
        subject, is_reply = _subject(root)
        held = table.get(subject) if subject else None
        if held is None or held is root:
            out.append(root)
        elif held.item is None and root.item is None:
            _move(root.children, held)
        elif held.item is None or (is_reply and not _subject(held)[1]):
            _move([root], held)
        else:
            both = _Container(children=[_Container(held.item, None, held.children), root])
            held.item, held.children = None, both.children
            for child in both.children:
                child.parent = held
    return out


def _subject(root: _Container) -> tuple[str, bool]:
    first = root if root.item or not root.children else root.children[0]
    if first.item is None:
        return "", False
    base = base_subject(first.item.subject)
    return base, base != " ".join(first.item.subject.split()).casefold()


def _move(children: list[_Container], to: _Container) -> None:
    for child in children:
        child.parent = to
    to.children = sorted([*to.children, *children], key=_sent)


def _frozen(root: _Container) -> Thread:
    """The same tree, immutable, made from the leaves up without recursion."""
    order: list[_Container] = []
    pending = [root]
    while pending:
        node = pending.pop()
        order.append(node)
        pending += node.children
    done: dict[int, Thread] = {}
    for node in reversed(order):
        children = tuple(done.pop(id(child)) for child in node.children)
        done[id(node)] = Thread(node.item.key if node.item else None, children)
    return done[id(root)]
