"""Several relays for one way out: which one is asked, which ones rest, and when a message may go to the next.

A relay that cannot be reached, or takes nothing, rests: a minute, then two, up to fifteen. One that refuses our sign-in rests
fifteen at once, for a wrong password that is tried again and again locks accounts.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Protocol, Self

from webmail.sending.relay.client import Relay
from webmail.sending.relay.outcomes import MAX_REPLY, Outcome, RecipientOutcome, Trouble
from webmail.sending.relay.settings import RelaySettings

FIRST_REST: Final = 60.0
LONGEST_REST: Final = 900.0
REFUSALS_BEFORE_REST: Final = 3
"""One sender over a limit is not a relay that is full: only so many messages refused in a row are."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What is remembered of a relay in trouble: how often in a row, and the Unix time until which it is left alone."""

    failures: int
    until: float
    trouble: Trouble


class Rests(Protocol):
    """Where rests are remembered, for as long as they last. Forgetting one costs a try, no more."""

    def read(self, name: str) -> Rest | None:
        """The rest of the relay called `name`, past or not; None where nothing is known against it."""

    def write(self, name: str, rest: Rest | None) -> None:
        """Remember, or forget."""


class Forgetful:
    """Rests that live as long as this object."""

    def __init__(self) -> None:
        self._rests: dict[str, Rest] = {}

    def read(self, name: str) -> Rest | None:
        """See `Rests`."""
        return self._rests.get(name)

    def write(self, name: str, rest: Rest | None) -> None:
        """See `Rests`."""
        if rest is None:
            self._rests.pop(name, None)
        else:
            self._rests[name] = rest


class Relays:
    """The relays of one batch, for one thread, in an order drawn by their weights. Connections stay open for the batch.

    `on_rest` is called when a relay is sent to rest: for logs that somebody reads.
    """

    def __init__(
        self,
        settings: Sequence[RelaySettings],
        rests: Rests,
        *,
        on_rest: Callable[[str, Rest], None] = lambda _name, _rest: None,
    ) -> None:
        self._relays = [Relay(one) for one in drawn(settings)]
        self._rests = rests
        self._on_rest = on_rest
        self._refusals: dict[str, int] = {}
        self.handed: Counter[tuple[str, str]] = Counter()
        """Messages handed over, by relay and version of TLS."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for relay in self._relays:
            relay.close()

    @property
    def accepted(self) -> tuple[str, ...]:
        """While `before_dot` runs: the recipients that the relay has accepted, as they were given."""
        return next((relay.accepted for relay in self._relays if relay.accepted), ())

    @property
    def resting(self) -> bool:
        """Whether every relay rests: then nothing should be tried, and nothing counted as tried."""
        return all(self._rests_now(relay) for relay in self._relays)

    def send(
        self,
        envelope_from: str,
        recipients: Sequence[str],
        raw: bytes,
        *,
        before_dot: Callable[[], None] | None = None,
    ) -> Outcome:
        """Send one message as `Relay.send` does, by the first relay that takes it.

        The next relay is asked while nothing of the message was accepted: as long as every recipient is put off, or beyond
        what that relay can do. With several relays, the replies end with the name of the one that gave them.
        """
        awake = [relay for relay in self._relays if not self._rests_now(relay)] or self._relays[:1]
        told: list[Outcome] = []
        for relay in awake:
            outcome = relay.send(envelope_from, recipients, raw, before_dot=before_dot)
            self._learn(relay, outcome)
            self.handed[relay.settings.name, outcome.tls] += outcome.handed
            told.append(self._named(outcome))
            if outcome.handed or not all(_may_go_elsewhere(one) for one in outcome.recipients):
                break
        return _together(told)

    def _named(self, outcome: Outcome) -> Outcome:
        if len(self._relays) == 1:
            return outcome
        name = f" ({outcome.relay})"
        named = (replace(one, reply=one.reply[: MAX_REPLY - len(name)] + name) for one in outcome.recipients)
        return replace(outcome, recipients=tuple(named))

    def _rests_now(self, relay: Relay) -> bool:
        rest = self._rests.read(relay.settings.name)
        return rest is not None and rest.until > time.time()

    def _learn(self, relay: Relay, outcome: Outcome) -> None:
        name, trouble = relay.settings.name, outcome.trouble
        if not trouble:
            self._refusals.pop(name, None)
            if self._rests.read(name):
                self._rests.write(name, None)
            return
        if outcome.reached:
            self._refusals[name] = self._refusals.get(name, 0) + 1
            if self._refusals[name] < REFUSALS_BEFORE_REST:
                return
        before = self._rests.read(name)
        failures = 1 + (before.failures if before else 0)
        rest = Rest(failures, time.time() + rest_after(failures, trouble), trouble)
        self._rests.write(name, rest)
        self._on_rest(name, rest)


def rest_after(failures: int, trouble: Trouble) -> float:
    """Seconds that a relay is left alone after so many failures in a row."""
    if trouble == "sign-in":
        return LONGEST_REST
    return min(FIRST_REST * 2.0 ** min(failures - 1, 10), LONGEST_REST)


def drawn(settings: Sequence[RelaySettings]) -> list[RelaySettings]:
    """The relays in an order drawn by weight: each comes first as often as its share says, those of weight 0 last."""
    # Efraimidis and Spirakis: the k largest of u^(1/w) are a weighted sample without replacement.
    keys = [(random.random() ** (1 / one.weight) if one.weight else -random.random()) for one in settings]
    return [one for _, one in sorted(zip(keys, settings, strict=True), key=lambda pair: -pair[0])]


def _may_go_elsewhere(one: RecipientOutcome) -> bool:
    return one.kind == "deferred" or _is_beyond(one)


def _is_beyond(one: RecipientOutcome) -> bool:
    """Whether this relay cannot serve the recipient, by what it offers: nobody refused anything."""
    return one.kind == "failed" and one.code is None


def _together(told: Sequence[Outcome]) -> Outcome:
    """What several relays made of one message: for each recipient the last that was said, but what is beyond one relay is not
    final where another only put it off."""
    last = told[-1]
    merged = list(last.recipients)
    for earlier in reversed(told[:-1]):
        for at, (ours, theirs) in enumerate(zip(merged, earlier.recipients, strict=True)):
            if _is_beyond(ours) and theirs.kind == "deferred":
                merged[at] = theirs
    return replace(last, recipients=tuple(merged))
