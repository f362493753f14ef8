"""The ARC chain of a message (RFC 8617 section 5.2)."""

from dataclasses import dataclass, replace

from inbound.authentication import dkim, keys, tags
from inbound.authentication.dns import Asker
from inbound.authentication.limits import MAX_SETS, MAX_SIGNATURE
from inbound.authentication.message import Field, Mail, unsigned
from inbound.authentication.results import Arc

_NAMES = (b"arc-authentication-results", b"arc-message-signature", b"arc-seal")
_UNSIGNABLE = frozenset((b"arc-seal", b"authentication-results"))


class _Broken(Exception):
    """Why the chain fails, in our words."""


@dataclass(frozen=True, slots=True)
class _Set:
    """One hop: its three fields, in the order in which they are sealed, and the tags of two of them."""

    fields: tuple[Field, Field, Field]
    message: dict[str, str]
    seal: dict[str, str]


def verify(mail: Mail, ask: Asker) -> Arc:
    """What the chain proves. A key that cannot be had fails it: ARC knows no other word."""
    groups = [mail.get_all(name) for name in _NAMES]
    if not any(groups):
        return Arc()
    found = Arc("fail")
    try:
        sets = _sets(mail, groups)
        found = replace(found, sealer=tags.domain(sets[-1].seal.get("d", "")))
        # Unlike the rest, a chain that says itself that it failed earlier is not looked into (step 2).
        if sets[-1].seal.get("cv") == "fail":
            raise _Broken("failed before")
        _statuses(sets)
        _message(mail, sets[-1], ask)
        for number in range(len(sets), 0, -1):
            _seal(sets[:number], ask)
    except (_Broken, dkim.Rejected, keys.Unusable, tags.Malformed) as error:
        return replace(found, reason=str(error))
    return replace(found, result="pass", oldest_pass=_oldest_pass(mail, sets, ask))


def _sets(mail: Mail, groups: list[list[Field]]) -> list[_Set]:
    """The sets by instance. Raises _Broken, Malformed."""
    if mail.problem:
        raise _Broken(mail.problem)
    counts = {len(group) for group in groups}
    if len(counts) > 1 or max(counts) > MAX_SETS:
        raise _Broken("incomplete or too long")
    by_instance: list[dict[int, tuple[Field, dict[str, str]]]] = []
    for name, group in zip(_NAMES, groups, strict=True):
        numbered = {}
        for field in group:
            values = _results_tags(field) if name == _NAMES[0] else tags.parse(field.value)
            numbered[_instance(values)] = field, values
        by_instance.append(numbered)
    wanted = range(1, max(counts) + 1)
    if any(set(numbered) != set(wanted) for numbered in by_instance):
        raise _Broken("instances are not in order")
    results, messages, seals = by_instance
    return [
        _Set((results[i][0], messages[i][0], seals[i][0]), messages[i][1], seals[i][1])
        for i in wanted
    ]  # fmt: skip


def _results_tags(field: Field) -> dict[str, str]:
    """Of ARC-Authentication-Results only the i= at its beginning is a tag."""
    if len(field.raw) > MAX_SIGNATURE:
        raise _Broken("field too long")
    first, semicolon, _ = field.value.partition(b";")
    if not semicolon:
        raise _Broken("no instance")
    return tags.parse(first)


def _instance(values: dict[str, str]) -> int:
    tags.require(values, "i")
    number = tags.number(values["i"])
    if not 1 <= number <= MAX_SETS:
        raise _Broken("no such instance")
    return number


def _statuses(sets: list[_Set]) -> None:
    for one in sets:
        first = one is sets[0]
        if one.seal.get("cv") != ("none" if first else "pass"):
            raise _Broken("wrong cv=")
        if "h" in one.seal:
            raise _Broken("h= in a seal")


def _message(mail: Mail, one: _Set, ask: Asker) -> None:
    """Check an ARC-Message-Signature. Raises what is wrong."""
    found = dkim.claim(one.message, "relaxed/relaxed")
    if _UNSIGNABLE.intersection(found.names):
        raise _Broken("signs what it may not")
    if found.algorithm != "rsa-sha256":
        raise _Broken("unsupported algorithm")
    if "t" in one.message:
        tags.number(one.message["t"])
    key = keys.fetch(ask, found.domain, found.selector)
    if not dkim.check(mail, one.fields[1], found, found.names, key):
        raise _Broken("l= covers only the beginning")


def _seal(sets: list[_Set], ask: Asker) -> None:
    """Check the seal of the last of these sets, over all of them. Raises what is wrong."""
    values = sets[-1].seal
    tags.require(values, "a", "b", "d", "s")
    if values["a"] != "rsa-sha256":
        raise _Broken("unsupported algorithm")
    key = keys.fetch(ask, tags.domain(values["d"]), tags.selector(values["s"]))
    if key.kind != "rsa":
        raise _Broken("key for another algorithm")
    sealed = [field.relaxed for one in sets for field in one.fields]
    sealed[-1] = unsigned(sets[-1].fields[2], relaxed=True)
    if not keys.verify(key, b"".join(sealed), tags.binary(values["b"])):
        raise _Broken("bad seal")


def _oldest_pass(mail: Mail, sets: list[_Set], ask: Asker) -> int:
    """The first instance from which on all message signatures hold; 0 where they all do (RFC 8617 section 5.2, step 5)."""
    for number in range(len(sets) - 1, 0, -1):
        try:
            _message(mail, sets[number - 1], ask)
        except (_Broken, dkim.Rejected, keys.Unusable, tags.Malformed):
            return number + 1
    return 0
