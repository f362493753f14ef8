"""What a hosted domain's DNS has to say so that its mail comes, and is believed: the records, and what is found of them. Pure.

Ownership, MX (RFC 5321 section 5), SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 7489), MTA-STS (RFC 8461), TLS-RPT (RFC 8460).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

from webmail.settings import dkim_records

Kind = Literal["A", "AAAA", "MX", "TXT"]
State = Literal["good", "missing", "wrong", "unknown"]
"""As it should be; nothing there; something else there; nobody answered."""
Ask = Callable[[str, Kind], Sequence[str] | None]
"""The records of a name; None where nobody answered. MX: the hosts, by preference."""
Fetch = Callable[[str], tuple[str | None, str]]
"""The text at an https address, or None and a code of why not (`tls`, `status-404`, `connect`)."""

STS_PATH: Final = "/.well-known/mta-sts.txt"

STS_SECONDS: Final = {"testing": 86_400, "enforce": 1_209_600}
"""How long others believe a policy; a long one can be left only slowly (RFC 8461 section 8.3)."""
MOST_FOUND, MOST_SHOWN = 5, 600
NEEDED: Final = ("mx", "spf", "dkim", "dmarc")
"""Purposes without which mail, or what is believed of it, suffers."""
_ALONE = ("spf", "dmarc", "sts")
"""Of these there may be one; several count as none."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the records are made of. `host`: where mail comes in; `web`: the host of the pages; `spf`: who else sends, as
    mechanisms; `reports`: the address that gets reports about TLS; `keys`: name and text of each DKIM record."""

    name: str
    token: str
    host: str
    web: str
    spf: str
    reports: str
    sts_mode: str
    keys: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A record to publish. `code` says what it is for, of a DKIM key with its name; `kind`: TXT, MX or CNAME.

    `policy`: what is to be found at `STS_PATH` of a host that it names.
    """

    code: str
    owner: str
    kind: str
    value: str
    policy: str = ""

    @property
    def is_needed(self) -> bool:
        """Whether mail, or what is believed of it, suffers without."""
        return self.purpose in NEEDED

    @property
    def purpose(self) -> str:
        """The code without the key's name."""
        return self.code.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Finding:
    """What DNS says of a record. `found`: what there is, where that is something else."""

    code: str
    state: State
    found: str = ""


def wanted(facts: Facts) -> list[Record]:
    """The records of a domain, those that matter most first."""
    name = facts.name
    records = [
        Record("ownership", f"_mtumail.{name}", "TXT", f"mtumail-verification={facts.token}"),
        Record("mx", name, "MX", f"10 {facts.host}."),
        Record("spf", name, "TXT", f"v=spf1 {facts.spf or 'mx'} ~all"),
        *(Record(f"dkim:{owner.partition('.')[0]}", owner, "TXT", text) for owner, text in facts.keys),
        Record("dmarc", f"_dmarc.{name}", "TXT", "v=DMARC1; p=quarantine"),
        Record("tls", f"_smtp._tls.{name}", "TXT", f"v=TLSRPTv1; rua=mailto:{facts.reports}"),
    ]
    if facts.sts_mode != "none":
        records += [
            Record("sts", f"_mta-sts.{name}", "TXT", f"v=STSv1; id={sts_id(facts.host, facts.sts_mode)};"),
            Record(
                "sts-host",
                f"mta-sts.{name}",
                "CNAME",
                f"{facts.web}.",
                sts_policy(facts.host, facts.sts_mode),
            ),
        ]
    return records


def zone_line(record: Record) -> str:
    """A record as one line of a zone file; texts in strings of at most 255 octets, which are read as one."""
    if record.kind == "TXT":
        return dkim_records.zone_line(record.owner, record.value)
    return f"{record.owner}. IN {record.kind} {record.value}"


def sts_policy(host: str, mode: str) -> str:
    """The file at https://mta-sts.<domain>/.well-known/mta-sts.txt (RFC 8461 section 3.2)."""
    lines = ("version: STSv1", f"mode: {mode}", f"mx: {host}", f"max_age: {STS_SECONDS[mode]}")
    return "".join(f"{line}\r\n" for line in lines)


def sts_id(host: str, mode: str) -> str:
    """What changes whenever the policy does."""
    return sha256(sts_policy(host, mode).encode("ascii")).hexdigest()[:20]


# --- looking ---------------------------------------------------------------------------------------------------------------


def look(record: Record, ask: Ask, fetch: Fetch) -> Finding:
    """What DNS says of a record now, and, of a host with a policy, what that host says."""
    if record.kind == "CNAME":
        return _leads_somewhere(record, ask, fetch)
    answers = ask(record.owner, "MX" if record.kind == "MX" else "TXT")
    if answers is None:
        return Finding(record.code, "unknown")
    there = [one for one in answers if _is_of(record, one)]
    if not there:
        return Finding(record.code, "missing")
    if record.purpose in _ALONE and len(there) > 1:
        return Finding(record.code, "wrong", _shown(there))
    if any(_is_good(record, one) for one in there):
        return Finding(record.code, "good")
    return Finding(record.code, "wrong", _shown(there))


def _leads_somewhere(record: Record, ask: Ask, fetch: Fetch) -> Finding:
    """An alias is followed by whoever answers: what counts is that the name has an address, and the policy is there."""
    answers = [ask(record.owner, kind) for kind in ("A", "AAAA")]
    if not any(answers):
        return Finding(record.code, "unknown" if None in answers else "missing")
    text, trouble = fetch(f"https://{record.owner}{STS_PATH}")
    if text is None:
        state: State = "wrong" if trouble.partition("-")[0] in _ITS_OWN else "unknown"
        return Finding(record.code, state, trouble)
    is_same = text.split() == record.policy.split()
    return (
        Finding(record.code, "good")
        if is_same
        else Finding(record.code, "wrong", _shown([" ".join(text.split())]))
    )


_ITS_OWN = ("tls", "status", "type", "redirects", "reply", "headers")
"""Troubles of the host itself; others may be of the way there."""

_BEGINS = {
    "spf": "v=spf1",
    "dmarc": "v=dmarc1",
    "sts": "v=stsv1",
    "tls": "v=tlsrptv1",
    "ownership": "mtumail-",
}


def _is_of(record: Record, answer: str) -> bool:
    """Whether a record that was found is meant for this at all: a name may have others beside it."""
    return answer.strip().lower().startswith(_BEGINS.get(record.purpose, ""))


def _is_good(record: Record, answer: str) -> bool:
    if record.purpose == "ownership":
        return answer.strip() == record.value
    if record.purpose == "mx":
        return answer.lower().rstrip(".") == record.value.split()[-1].rstrip(".").lower()
    if record.purpose == "spf":
        return _mechanisms(record.value) <= _mechanisms(answer)
    there, here = _tags(answer), _tags(record.value)
    if record.purpose == "dmarc":
        return there.get("p", "").lower() in ("quarantine", "reject")
    if record.purpose == "tls":
        return bool(there.get("rua"))
    if record.purpose == "dkim":
        return there.get("v", "DKIM1") == "DKIM1" and all(
            there.get(tag, default) == here[tag] for tag, default in (("k", "rsa"), ("p", ""))
        )
    return there.get("id") == here.get("id")


def _mechanisms(record: str) -> set[str]:
    """Who may send, by an SPF record, without what it says of all others."""
    said = (one.lower().removeprefix("+") for one in record.split()[1:])
    return {one for one in said if one.lstrip("-~?") != "all"}


def _tags(record: str) -> dict[str, str]:
    """Tags of a record (`k=v; k=v`), without blanks: long ones come in several strings."""
    pairs = (part.partition("=") for part in record.split(";"))
    return {name.strip().lower(): "".join(value.split()) for name, _, value in pairs if name.strip()}


def _shown(answers: Sequence[str]) -> str:
    """What strangers' servers said, as one short line without control characters."""
    line = " | ".join(answers[:MOST_FOUND])
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in line)[:MOST_SHOWN]
