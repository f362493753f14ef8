"""The pure verdict joined to the world: meets what a verdict needs, then asks for it again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from webmail.identity.clerk.backend import BackendClient, ClientHints
from webmail.identity.clerk.facts import RequestFacts
from webmail.identity.clerk.jwks import FetchedKeys, GivenKeys, KeySource
from webmail.identity.clerk.keys import Keyring
from webmail.identity.clerk.reach import Assumed, Reach, watch
from webmail.identity.clerk.refresh import OUTAGE, Outcome, Refresher
from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.states import NeedsKeys, NeedsNonce, NeedsRefresh, State, Verdict
from webmail.identity.clerk.throttle import Throttle
from webmail.identity.clerk.transport import BackendError
from webmail.identity.clerk.verdict import after_nonce, after_refresh, decide, unanswered
from webmail.identity.shared import SharedStore

_ROUNDS = 5
"""Newer keys, a nonce, newer keys again for what came with it, the verdict, and one to spare."""


@dataclass(frozen=True, slots=True)
class _Renewal:
    needs: NeedsRefresh
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class _Payload:
    directives: tuple[str, ...] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Clerk:
    settings: ClerkSettings
    backend: BackendClient
    keys: KeySource
    refresher: Refresher
    clock: Callable[[], float] = time.time
    reach: Reach = field(default_factory=Assumed)
    nonces: Throttle = field(default_factory=Throttle)
    """Anybody can send a nonce, and only Clerk knows whether it is one of its own."""

    def settle(self, facts: RequestFacts, hints: ClientHints) -> Verdict:
        """The final verdict. Waits for Clerk only where the verdict hangs on it, and then for some seconds at most."""
        keyring, now = self.keys.current(), self.clock()
        received: _Renewal | _Payload | None = None
        verdict = decide(facts, self.settings, keyring, now)
        for _ in range(_ROUNDS):
            match verdict.needs:
                case None:
                    return self._unless_down(verdict)
                case NeedsKeys():
                    keyring = self.keys.learn()
                case NeedsRefresh() as needs:
                    received = _Renewal(needs, self.refresher.refresh(needs, hints))
                case NeedsNonce(nonce):
                    received = _Payload(self._payload(nonce, hints.ip))
            # Anew: what Clerk issued while we waited is younger than the moment at which this began.
            now = self.clock()
            verdict = self._decide_with(received, facts, keyring, now)
        return replace(verdict, needs=None)

    def glance(self, facts: RequestFacts) -> Verdict:
        """The verdict without asking anybody, for pages that are shown in any case."""
        return replace(decide(facts, self.settings, self.keys.current(), self.clock()), needs=None)

    def _unless_down(self, verdict: Verdict) -> Verdict:
        """Nobody is sent to a Clerk that is known not to answer, and what was to be renewed there waits."""
        if verdict.state is State.EXPIRED and verdict.reason.endswith(OUTAGE):
            return verdict if self.reach.look() else unanswered(verdict)
        sent_there = (verdict.location or "").startswith(f"{self.settings.frontend_url}/")
        return unanswered(verdict) if sent_there and self.reach.down() else verdict

    def _decide_with(
        self, received: _Renewal | _Payload | None, facts: RequestFacts, keyring: Keyring, now: float
    ) -> Verdict:
        match received:
            case None:
                return decide(facts, self.settings, keyring, now)
            case _Renewal(needs, outcome):
                return after_refresh(facts, self.settings, keyring, now, needs, outcome)
            case _Payload(directives):
                return after_nonce(facts, self.settings, keyring, now, directives)

    def _payload(self, nonce: str, address: str) -> tuple[str, ...] | None:
        if not self.nonces.allow(address):
            return None
        try:
            return self.backend.handshake_payload(nonce)
        except BackendError:
            return None


def build_clerk(settings: ClerkSettings, shared: SharedStore, backend: BackendClient | None = None) -> Clerk:
    """Keys given by hand are preferred: then no visitor can make us call Clerk, and an outage of Clerk's does not
    matter for as long as tokens last."""
    backend = backend or BackendClient(settings)
    keys: KeySource = GivenKeys(settings) if settings.pems else FetchedKeys(backend.jwks)
    return Clerk(settings, backend, keys, Refresher(backend.refresh_session, shared), reach=watch(settings))
