"""What a judgement found. Every string in it is one of our words, or a name that was checked to be one."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Spf:
    """RFC 7208. `identity` is "mailfrom", or "helo" for the null sender; `domain` is "" where it was not one."""

    result: str = "none"
    identity: str = "mailfrom"
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """One DKIM signature (RFC 6376). `start` is the beginning of its b= value, to tell it from others (RFC 6008)."""

    result: str
    reason: str = ""
    domain: str = ""
    selector: str = ""
    identity: str = ""
    algorithm: str = ""
    start: str = ""


@dataclass(frozen=True, slots=True)
class Arc:
    """RFC 8617. `sealer` is the domain of the newest seal; `oldest_pass` the first instance that still verifies, 0 if all do."""

    result: str = "none"
    reason: str = ""
    sealer: str = ""
    oldest_pass: int = 0


@dataclass(frozen=True, slots=True)
class Dmarc:
    """RFC 9989. `policy` is the one to apply: none, quarantine, reject, or "" where nothing is published.

    `author` is the domain of the address that is shown, `organization` its organizational domain. `by_dkim` and `by_spf` are the
    aligned domains that passed.
    """

    result: str = "none"
    reason: str = ""
    author: str = ""
    policy: str = ""
    organization: str = ""
    by_dkim: str = ""
    by_spf: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """All of it. None: was not looked at."""

    spf: Spf | None = None
    dkim: tuple[Signature, ...] = ()
    dmarc: Dmarc | None = None
    arc: Arc = field(default_factory=Arc)
