"""What comes back of our own export beside messages: contacts, names, texts, rules, absence, settings. Twice is once.

A file of records may have been written by anybody: whatever is not as an export writes it is left out and counted, each verb checks
what it is given, and nothing is sent.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from itertools import islice
from typing import Any, Final
from zoneinfo import ZoneInfo

from webmail.db import db
from webmail.errors import MtumailError
from webmail.identity import accounts
from webmail.keys import MailboxKeys
from webmail.mail import contacts, correspondents, identities, vacation, vcard
from webmail.mail.addresses import AddressError, fold, parse_recipients
from webmail.mail.contacts import store
from webmail.privacy import retention
from webmail.privacy.taking_in.reading import NoMail
from webmail.sending import answers_kept

MOST_BYTES: Final = 32 << 20
"""Of a file of records, cards or rules: it is read whole, and takes ten times that in memory."""
_MOST: Final = 20_000
"""Of each kind."""


def records(keys: MailboxKeys, account_id: int, content: bytes) -> Counter[str]:
    """Take in `records.json`; how much of what, by code. Raises NoMail("damaged")."""
    try:
        told = json.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        raise NoMail("damaged") from None
    if not isinstance(told, dict) or told.get("version") != 1:
        raise NoMail("damaged")
    counts: Counter[str] = Counter()
    with _left_out(counts):
        _contacts(keys, told, counts)
    for name, take in _KINDS.items():
        with _left_out(counts):
            take(keys, told.get(name), counts)
    with _left_out(counts):
        _settings(account_id, told.get("account"), counts)
    return counts


@contextmanager
def _left_out(counts: Counter[str]) -> Iterator[None]:
    """What is not as an export writes it is left out, with all that was done of it here."""
    before = Counter(counts)
    try:
        with db.session.begin_nested():
            yield
    except (MtumailError, LookupError, TypeError, ValueError, AttributeError):
        counts.clear()
        counts.update(before)
        counts["left-out"] += 1


def _list(told: Any) -> list[Mapping[str, Any]]:
    if not isinstance(told, list):
        raise TypeError
    return told[:_MOST]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


# --- people --------------------------------------------------------------------------------------------------------------


def cards(keys: MailboxKeys, content: bytes) -> Counter[str]:
    """Take in a file of vCards; how many were new, known, or had no place."""
    taken = contacts.take_in(keys, content)
    counts = Counter({
        "contacts": taken.new,
        "contacts-merged": taken.merged,
        "contacts-known": taken.unchanged,
        "groups": taken.groups,
        "left-out": sum(taken.left_out.values()),
    })  # fmt: skip
    return +counts


def _contacts(keys: MailboxKeys, told: Mapping[str, Any], counts: Counter[str]) -> None:
    """People and groups together: a group's members are known by the people of the same file."""
    people: list[vcard.Card] = []
    silent: list[str] = []
    for one in _list(told["contacts"]):
        addresses = tuple(map(_text, one["addresses"]))
        name, organisation, notes = (_text(one[field]) for field in ("name", "organisation", "notes"))
        people.append(vcard.Card(name, addresses, tuple(map(_text, one["phones"])), organisation, notes))
        silent += [] if one["is_suggested"] else addresses
    groups = [
        vcard.GroupCard(_text(one["name"]), tuple(map(_text, one["members"])))
        for one in _list(told["contact_groups"])
    ]
    if people or groups:
        counts += cards(keys, vcard.write(people, groups))
    tokens = [store.address_token(keys, address) for address in map(store.address_in, silent) if address]
    for owner in {owner for owner, _state, is_gone in store.owners(keys, tokens).values() if not is_gone}:
        contacts.never_suggest(keys, owner, True)


def _learned(keys: MailboxKeys, told: Any, counts: Counter[str]) -> None:
    """Who is unknown is learned again, as if written to once."""
    found = {}
    for one in _list(told)[:1000]:
        for address in map(_text, one["addresses"]):
            try:
                [person] = parse_recipients(address)
            except (AddressError, ValueError):
                counts["left-out"] += 1
                continue
            found[store.address_token(keys, person.email)] = (_text(one["name"]), person)
    known = store.owners(keys, list(found))
    new = [(name, person) for token, (name, person) in found.items() if token not in known]
    contacts.learn(keys, [replace(person, name=name) for name, person in reversed(new)])
    counts["learned"] += len(new)


# --- the mailbox ---------------------------------------------------------------------------------------------------------


def _names(keys: MailboxKeys, told: Any, counts: Counter[str]) -> None:
    there = identities.of(keys)
    met = {(one.name, one.address, one.signature, one.reply_to) for one in there}
    preferred = None
    for one in _list(told)[: identities.MAX_IDENTITIES]:
        is_own = one["is_own"] is True
        number = identities.OWN if is_own else identities.NEW
        address = there[0].address if is_own else _text(one["address"])
        made = identities.Identity(
            number, _text(one["name"]), address, _text(one["signature"]), _text(one["reply_to"])
        )
        if (made.name, made.address, made.signature, made.reply_to) in met:
            counts["names-known"] += 1
            continue
        try:
            kept = identities.keep(keys, made)
        except identities.IdentityError:
            counts["names-left-out"] += 1
            continue
        counts["names"] += 1
        preferred = kept if one["is_default"] is True else preferred
    if preferred is not None:
        identities.prefer(keys, preferred)


def _texts(keys: MailboxKeys, told: Any, counts: Counter[str]) -> None:
    found = [answers_kept.load(keys, one.answer_id) for one in answers_kept.names(keys)]
    there = {(one.name, one.words) for one in found}
    for one in _list(told)[: answers_kept.MAX_ANSWERS]:
        made = answers_kept.checked(_text(one["name"]), _text(one["words"]))
        if made in there:
            counts["texts-known"] += 1
            continue
        answers_kept.add(keys, *made)
        there.add(made)
        counts["texts"] += 1


def _vacation(keys: MailboxKeys, told: Any, counts: Counter[str]) -> None:
    first, last = (told[name] and date.fromisoformat(told[name]) for name in ("first_day", "last_day"))
    made = vacation.Vacation(
        told["is_on"] is True, first, last, _text(told["zone"]), _text(told["subject"]), _text(told["text"])
    )
    if made not in (vacation.load(keys), vacation.Vacation()):
        vacation.set_to(keys, made)
        counts["absence"] += 1


def _rules(keys: MailboxKeys, told: Any, counts: Counter[str]) -> None:
    _block(keys, map(_text, told["blocked"]), counts)
    shown = {one.address for one in correspondents.with_pictures(keys)}
    for address in _addresses(map(_text, told["pictures_shown"]), counts):
        if address not in shown:
            correspondents.allow_pictures(keys, address, True)
            counts["rules"] += 1


def _block(keys: MailboxKeys, typed: Iterable[str], counts: Counter[str]) -> None:
    there = {one.address for one in correspondents.blocked(keys)}
    for address in _addresses(typed, counts):
        if address in there:
            counts["rules-known"] += 1
            continue
        correspondents.block(keys, address)
        counts["rules"] += 1


def _addresses(typed: Iterable[str], counts: Counter[str]) -> Iterator[str]:
    """Those that are addresses, as rules keep them."""
    for one in islice(typed, correspondents.MAX_RULES):
        try:
            [found] = parse_recipients(one)
        except (AddressError, ValueError):
            counts["left-out"] += 1
            continue
        yield fold(found.email)


_SIEVE: Final = re.compile(r'if address :all :is "from" \[(.*?)\n\]', re.DOTALL)
_STRING: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')


def rules(keys: MailboxKeys, content: bytes) -> Counter[str]:
    """Take in `rules.sieve` of our own export: whoever it blocks is blocked. Raises NoMail("rules") for any other script."""
    script = content.decode("utf-8", "replace")
    counts: Counter[str] = Counter()
    found = _SIEVE.search(script)
    if found is None and not script.startswith("# Nobody is blocked."):
        raise NoMail("rules")
    listed = _STRING.findall(found[1]) if found else []
    with _left_out(counts):
        _block(keys, (re.sub(r"\\(.)", r"\1", one) for one in listed), counts)
    return counts


def _folders(keys: MailboxKeys, told: Any, counts: Counter[str]) -> None:
    now = retention.keep_days(keys.mailbox_id)
    for one in _list(told["folders"]):
        kind, days = one["folder"], one["empties_after_days"]
        if kind not in now or now[kind] == days:
            continue
        if not (days is None or (type(days) is int and 1 <= days <= 3650)):
            raise ValueError
        retention.set_keep_days(keys.mailbox_id, kind, days)
        counts["folders"] += 1


_KINDS: Mapping[str, Callable[[MailboxKeys, Any, Counter[str]], None]] = {
    "learned_contacts": _learned,
    "identities": _names,
    "kept_answers": _texts,
    "vacation": _vacation,
    "rules": _rules,
    "mailbox": _folders,
}


# --- the person ----------------------------------------------------------------------------------------------------------

_KEY: Final = re.compile(r"[a-z][a-z_.-]{0,39}=\S{1,20}")
_CHOICES: Final = ("links", "conversations", "pictures", "reminders", "zone")


def _settings(account_id: int, told: Any, counts: Counter[str]) -> None:
    """How pages look and what keys do, as it was."""
    more = told["preferences"]
    choices = {name: _text(more[name]) for name in _CHOICES if name in more}
    if more.get("undo") is not None:
        choices["undo"] = str(int(more["undo"]))
    choices |= {name: str(told[name]) for name in ("rows", "density", "reading")}
    if choices.get("zone"):
        ZoneInfo(choices["zone"])
    pressed = more.get("keys")
    if pressed is not None and not all(_KEY.fullmatch(f"{act}={_text(key)}") for act, key in pressed.items()):
        raise ValueError
    accounts.prefer(account_id, choices, pressed)
    counts["settings"] += 1
