"""One message judged and its result written among our own fields. Nothing here refuses or loses mail."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING

from inbound import limits
from inbound.authentication import field
from inbound.authentication.limits import DEADLINE
from inbound.authentication.message import Mail
from inbound.authentication.results import Dmarc, Judgement, Signature, Spf
from inbound.logs import event
from inbound.ports import Delivery

if TYPE_CHECKING:
    from inbound.authentication.author import Author
    from inbound.authentication.dns import Asker, Resolver

LOCAL: tuple[limits.Network, ...] = tuple(
    ip_network(text)
    for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "::1/128",
                 "fc00::/7", "fe80::/10")
)  # fmt: skip
"""Peers of our own: a relay in front of us, or one that hands our mail back. SPF says nothing about them."""

_POLICIES = ("", "none", "quarantine", "reject")


class Judge:
    """The `Authenticate` port. Shared by threads. `resolver` is made at the first question: it is a tenth of a second of import."""

    def __init__(
        self,
        host: str,
        resolver: "Callable[[], Resolver]",
        *,
        seconds: float = DEADLINE,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._make = resolver
        self._resolver: Resolver | None = None
        self._lock = threading.Lock()
        self._seconds = seconds
        self._now = now

    def __call__(self, delivery: Delivery) -> Delivery:
        """The delivery with one field more, behind its Return-Path, and without fields that pretend to be it."""
        mail = Mail(delivery.raw, delivery.head)
        try:
            judgement = self.judge(delivery, mail)
        except Exception as error:
            event("authentication failed", delivery=delivery.id, error=type(error).__name__)
            judgement = Judgement(Spf("temperror"), dmarc=Dmarc("temperror"))
        return self._recorded(delivery, mail, judgement)

    def judge(self, delivery: Delivery, mail: Mail) -> Judgement:
        """Everything that can be found out. A local peer's mail without a signature costs no question."""
        local = limits.contains(LOCAL, delivery.peer_ip)
        signed = bool(mail.get_all(b"dkim-signature") or mail.get_all(b"arc-seal"))
        if local and not signed:
            return Judgement()
        # Loaded here: hundreds of modules that a process without strangers' mail never needs.
        from inbound.authentication import arc, author, dkim, dmarc, spf

        ask = self._asker()
        shown = author.read(delivery.raw, delivery.head)
        # What decides DMARC is asked first, so that a stranger's slow name servers or long records cannot use its time and its
        # questions up: policies here, signatures of the organization next, then SPF, and what only informs at the end.
        published = [dmarc.evaluate(domain, None, (), ask) for domain in shown.domains]
        organization = (published[0].organization or published[0].author) if published else ""
        now, found = self._now(), dict[int, Signature]()
        fields = dkim.signatures(mail)
        ours = {place for place, one in enumerate(fields) if organization and dkim.claims(one, organization)}
        for place in sorted(ours):
            found[place] = dkim.verify(mail, fields[place], ask, now)
        sender = None
        if not local:
            sender = spf.check(ask, delivery.peer_ip, delivery.helo, delivery.envelope_from, self._host)
        verdict = _dmarc(shown, sender, list(found.values()), ask)
        for place, one in enumerate(fields):
            if place not in ours:
                found[place] = dkim.verify(mail, one, ask, now)
        signatures = tuple(found[place] for place in range(len(fields)))
        return Judgement(sender, signatures, verdict, arc.verify(mail, ask))

    def _asker(self) -> "Asker":
        from inbound.authentication.dns import Asker

        with self._lock:
            if self._resolver is None:
                self._resolver = self._make()
        return Asker(self._resolver, self._seconds)

    def _recorded(self, delivery: Delivery, mail: Mail, judgement: Judgement) -> Delivery:
        raw = delivery.raw
        kept, at = [], raw.find(b"\r\n", 0, delivery.head) + 2 if delivery.head else 0
        kept += [raw[:at], field.write(self._host, judgement)]
        for one in mail.fields:
            if field.is_forged(one, self._host):
                kept.append(raw[at : one.at])
                at = one.at + len(one.raw)
        kept.append(raw[at:])
        whole = b"".join(kept)
        return replace(delivery, raw=whole, size=len(whole), head=delivery.head + len(kept[1]))


def _dmarc(shown: "Author", spf: Spf | None, dkim: list[Signature], ask: "Asker") -> Dmarc:
    """DMARC of the one author; of several the strictest policy, and nobody of them is vouched for."""
    from inbound.authentication import dmarc

    if not shown.domains:
        return Dmarc("permerror", shown.problem)
    results = [dmarc.evaluate(domain, spf, dkim, ask) for domain in shown.domains]
    if not shown.problem:
        return results[0]
    strictest = max(results, key=lambda one: _POLICIES.index(one.policy))
    return replace(strictest, result="fail", reason=shown.problem, by_dkim="", by_spf="")
