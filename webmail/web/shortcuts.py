"""Keyboard shortcuts: what there is, which keys they have at first, and which keys a person may give them.

A key is one printable character as the keyboard event names it (`j`, `U` for Shift and u, `#`), or `g` and one more (`gi`); never
Ctrl, Alt or Meta, which belong to the browser and to assistive technology. All are off until they are switched on, and each can be
changed or taken away (WCAG 2.2, 2.1.4). `static/keys.js` knows the same names.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l

FIRST = "g"
"""Begins every pair, and so is no key by itself."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a key does: it presses what the page shows under `words`."""

    name: str
    key: str
    words: Any
    """Lazily translated: what a page says about it."""


@dataclass(frozen=True, slots=True)
class Group:
    """Actions that a person looks for together."""

    words: Any
    actions: tuple[Action, ...]


GROUPS = (
    Group(
        _l("In a list and in a conversation"),
        (
            Action("next", "j", _l("Next message")),
            Action("previous", "k", _l("Previous message")),
            Action("open", "o", _l("Open the message that has focus")),
            Action("select", "x", _l("Select the message that has focus")),
            Action("older", "n", _l("Older messages: the next page")),
            Action("newer", "p", _l("Newer messages: the page before")),
            Action("back", "u", _l("From a message back to its list")),
        ),
    ),
    Group(
        _l("On the messages that are selected, or the one that has focus or is open"),
        (
            Action("archive", "e", _l("Archive")),
            Action("delete", "#", _l("Delete")),
            Action("junk", "!", _l("Move to Junk")),
            Action("star", "s", _l("Add or remove the star")),
            Action("unread", "U", _l("Mark as unread")),
            Action("undo", "z", _l("Undo what was just done")),
        ),
    ),
    Group(
        _l("On an open message"),
        (
            Action("reply", "r", _l("Reply")),
            Action("reply_all", "a", _l("Reply all")),
            Action("forward", "f", _l("Forward")),
            Action("view", "v", _l("Change between reading text and the sender’s layout")),
        ),
    ),
    Group(
        _l("Everywhere"),
        (
            Action("compose", "c", _l("Compose")),
            Action("search", "/", _l("Search mail")),
            Action("inbox", "gi", _l("Go to Inbox")),
            Action("sent", "gt", _l("Go to Sent")),
            Action("drafts", "gd", _l("Go to Drafts")),
            Action("archived", "ga", _l("Go to Archive")),
            Action("help", "?", _l("Help with the keyboard")),
        ),
    ),
)
ACTIONS = tuple(action for group in GROUPS for action in group.actions)
DEFAULTS: Mapping[str, str] = {action.name: action.key for action in ACTIONS}

_MODIFIER = re.compile(r"(?i)\b(ctrl|control|strg|alt|option|altgr|meta|cmd|command|super|win(?:dows)?)\b")
_NAMED = re.compile(
    r"(?i)enter|return|tab|esc(ape)?|space(bar)?|backspace|del(ete)?|insert|home|end|page ?(up|down)|up|down|left|right"
)
_SHIFTED = re.compile(r"(?i)shift\s*\+\s*(?=\S)")


class KeyRefused(ValueError):
    """Typed text is no key that a shortcut may have. `code`: `modifier`, `named`, `shifted`, `long`, `first` or `unprintable`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an action cannot have what was typed for it: a code of `KeyRefused`, or `taken` and an `other` action that has it."""

    code: str
    other: str = ""


def read(typed: str) -> str:
    """The key that a person wrote as `j`, `Shift+u`, `U`, `g i` or `gi`; "" for none. Raises KeyRefused."""
    text = unicodedata.normalize("NFC", typed).strip()
    if len(text) > 1:
        if _NAMED.fullmatch(text):
            raise KeyRefused("named")
        if _MODIFIER.search(text):
            raise KeyRefused("modifier")
    keys = list(_characters(text))
    if keys == [FIRST]:
        raise KeyRefused("first")
    if len(keys) > 2 or (len(keys) == 2 and keys[0] != FIRST):
        raise KeyRefused("long")
    if not all(map(_is_typable, keys)):
        raise KeyRefused("unprintable")
    return "".join(keys)


def _characters(text: str) -> Iterator[str]:
    """The keys in a written one, `Shift+u` among them as `U`."""
    at = 0
    while at < len(text):
        shift = _SHIFTED.match(text, at)
        at = shift.end() if shift else at
        character = text[at].upper() if shift else text[at]
        if shift and character == text[at].lower():
            raise KeyRefused("shifted")  # what Shift makes of it depends on the keyboard
        if not character.isspace():
            yield character
        at += 1


def _is_typable(character: str) -> bool:
    """Whether a keyboard event can say so in one UTF-16 unit: what `keys.js` compares."""
    return (
        len(character) == 1
        and ord(character) < 0x10000
        and character.isprintable()
        and not unicodedata.combining(character)
    )


def check(typed: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Problem]]:
    """What was typed for each action as (action to key, action to what is wrong with it).

    Actions without a key are left out. Both that were given the same key have a problem: which of them was meant is not known.
    """
    keys: dict[str, str] = {}
    problems: dict[str, Problem] = {}
    for action in ACTIONS:
        try:
            keys[action.name] = read(typed.get(action.name, ""))
        except KeyRefused as refusal:
            problems[action.name] = Problem(refusal.code)
    users: dict[str, list[str]] = {}
    for name, key in keys.items():
        if key:
            users.setdefault(key, []).append(name)
    for names in users.values():
        for name in names if len(names) > 1 else ():
            problems[name] = Problem("taken", next(other for other in names if other != name))
    return {name: key for name, key in keys.items() if key}, problems


def show(key: str) -> str:
    """A key as people write it, and as `read` takes it: `Shift+u`, `g i`."""
    return " ".join(f"Shift+{part.lower()}" if part.lower() != part else part for part in key)
