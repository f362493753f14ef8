"""SPF (RFC 7208): pyspf reads the records, our resolver asks."""

import warnings
from typing import Any

from inbound.authentication.dns import Asker, Kind, Status
from inbound.authentication.limits import MAX_SPF
from inbound.authentication.results import Spf
from webmail.mail.idn import to_ascii

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a docstring in pyspf has an escape that compilers complain about
    import spf

_RESULTS = frozenset(("pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"))
_VOID_LOOKUPS = 2


def check(ask: Asker, ip: str, helo: str, sender: str, host: str) -> Spf:
    """Whether `ip` may send for the domain of `sender`, or of the HELO name for the null sender. `host` is who asks, for %{r}."""
    local, _, domain = sender.rpartition("@")
    identity = "mailfrom" if sender else "helo"
    name = to_ascii(domain if sender else helo)
    if name is None or "." not in name:
        return Spf("none", identity)
    try:
        query = _Query(ask, ip, f"{local or 'postmaster'}@{name}", to_ascii(helo) or "unknown", host)
        result = query.check()[0]
    except Exception:  # what pyspf has not foreseen in a record is that record's fault
        result = "permerror"
    return Spf(result if result in _RESULTS else "permerror", identity, name)


class _Query(spf.query):  # type: ignore[misc]
    """pyspf's evaluation without its DNS: no global lookup function, no cache of its own, and no time but ours."""

    def __init__(self, ask: Asker, ip: str, sender: str, helo: str, host: str) -> None:
        super().__init__(ip, sender, helo, receiver=host)
        self._ask = ask

    def dns(self, name: object, qtype: Kind, cnames: object = None, ignore_void: bool = False) -> list[Any]:
        """Records as pyspf wants them. Raises its TempError and PermError."""
        text = str(name).lower().removesuffix(".")
        if not all(0 < len(label) < 64 for label in text.split(".")) or not text.isascii():
            return []
        answer = self._ask(text, qtype)
        if answer.status is Status.TEMPORARY:
            raise spf.TempError("DNS")
        if not answer.records and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > _VOID_LOOKUPS:
                raise spf.PermError("void lookups")
        if qtype == "TXT":
            return [(record.encode("latin-1"),) for record in answer.records if len(record) <= MAX_SPF]
        if qtype == "MX":
            return list(enumerate(answer.records))
        return list(answer.records)
