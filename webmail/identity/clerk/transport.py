"""One call to Clerk's Backend API: bounded in time and size, silent about what it carries."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from webmail.identity.clerk.handshake import API_VERSION
from webmail.identity.clerk.patience import Patience, Refused
from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.wire import Deadline, open_connection

MAX_BODY = 2 * 1024 * 1024
_CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RETRIED_STATUSES = frozenset({502, 503, 504})


class BackendError(Exception):
    """Clerk did not do what it was asked. Carries a code and a status, never a text of Clerk's or of ours."""

    def __init__(self, code: str, status: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


class BackendUnavailable(BackendError):
    """No answer, one in time, or one that can be read. What was asked may have happened all the same."""


class BackendRefused(BackendError):
    """An answer of 4xx."""


class NotFound(BackendRefused):
    """404: there is no such user or session."""


class PlanLacks(BackendRefused):
    """402: the instance's plan has no such feature. For a ban: suspend here and revoke the sessions instead."""


class RateLimited(BackendRefused):
    """429. `retry_after` in seconds; until then further calls fail without being made."""

    def __init__(self, code: str, retry_after: float) -> None:
        super().__init__(code, 429)
        self.retry_after = retry_after


_ERRORS: Mapping[int, type[BackendRefused]] = {402: PlanLacks, 404: NotFound}


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. `total` includes the retry."""

    connect: float = 2.0
    read: float = 4.0
    total: float = 6.0


class Transport:
    """One connection a call: at one refresh a minute and user, keeping them open would save little and age badly."""

    def __init__(
        self, settings: ClerkSettings, limits: Limits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._clock = clock
        self._silent_until = 0.0
        self._patience = Patience(clock)

    def deadline(self) -> Deadline:
        return Deadline(self._limits.total, self._clock)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        retry: bool = False,
    ) -> object:
        deadline = self.deadline()
        try:
            return self.once(method, path, query, body, deadline)
        except BackendUnavailable as error:
            if not retry or not (error.code == "connect" or error.status in _RETRIED_STATUSES):
                raise
            return self.once(method, path, query, body, deadline)

    def once(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, object] | None,
        deadline: Deadline,
    ) -> object:
        if self._clock() < self._silent_until:
            raise RateLimited("rate-limited", self._silent_until - self._clock())
        base = urlsplit(self._settings.api_url)
        target = f"{base.path}/v1{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        headers = {
            "Authorization": f"Bearer {self._settings.secret_key}",
            "Clerk-API-Version": API_VERSION,
            "Accept": "application/json",
            "User-Agent": "mtumail",
            "Connection": "close",
        }
        payload = json.dumps(body or {}).encode() if method in ("POST", "PATCH") else None
        if payload is not None:
            headers["Content-Type"] = "application/json"
        try:
            with self._patience.turn():
                answer = self._exchange(base, method, target, payload, headers, deadline)
        except Refused as refused:
            raise BackendUnavailable(refused.code) from refused
        return self._read(*answer)

    def _exchange(
        self,
        base: SplitResult,
        method: str,
        target: str,
        payload: bytes | None,
        headers: Mapping[str, str],
        deadline: Deadline,
    ) -> tuple[int, str | None, bytes]:
        """Status, `Retry-After` and body."""
        limits = self._limits
        try:
            with open_connection(base, deadline, connect=limits.connect, read=limits.read) as connection:
                connection.request(method, target, body=payload, headers=dict(headers))
                response = connection.getresponse()
                content = response.read(MAX_BODY + 1)
        except ConnectionError as error:
            self._patience.unanswered()
            # Refused, or reset before an answer: for what may be retried, both are worth a second try.
            raise BackendUnavailable("connect") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._patience.unanswered()
            code = "timeout" if isinstance(error, TimeoutError) or deadline.passed else "broken"
            raise BackendUnavailable(code) from error
        if response.status >= 500:
            self._patience.unanswered()
        else:
            self._patience.answered()
        return response.status, response.getheader("Retry-After"), content

    def _read(self, status: int, retry_after: str | None, content: bytes) -> object:
        try:
            answer = json.loads(content) if len(content) <= MAX_BODY else None
        except (ValueError, RecursionError):
            answer = None
        if status in (200, 201) and answer is not None:
            return answer
        code = _error_code(answer, status)
        if status == 429:
            seconds = min(60.0, float(retry_after)) if retry_after and retry_after.isdecimal() else 1.0
            self._silent_until = self._clock() + seconds
            raise RateLimited(code, seconds)
        if 400 <= status < 500:
            raise _ERRORS.get(status, BackendRefused)(code, status)
        # A redirect counts as broken: following it would hand the secret key to another host.
        raise BackendUnavailable(code, status)


def _error_code(answer: object, status: int) -> str:
    errors = answer.get("errors") if isinstance(answer, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    code = first.get("code") if isinstance(first, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else f"http-{status}"
