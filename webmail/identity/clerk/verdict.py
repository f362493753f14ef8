"""Who is asking: one pure function from the facts of a request to one of ten states.

`decide` never waits and never raises. Where the answer hangs on something it does not have, the verdict carries a
`Needs` value and is provisional: it is what holds if the need is not met. Whoever meets it calls `after_refresh` or
`after_nonce` with what came of it, or `decide` once more with a newer keyring.

Two rules hold everywhere and are tested as properties: only a verdict that is signed in carries a session, and a token
whose signature is not Clerk's causes neither a redirect nor a call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from webmail.identity.clerk.cookies import (
    HANDSHAKE,
    NONCE,
    REDIRECT_COUNT,
    CookieJar,
    count_cookie,
    delete_cookie,
    delete_everywhere,
    names_for,
    read_cookies,
)
from webmail.identity.clerk.directives import Directives, read_directives
from webmail.identity.clerk.facts import RequestClass, RequestFacts, classify
from webmail.identity.clerk.handshake import clean_url, handshake_url, query_value
from webmail.identity.clerk.keys import Keyring
from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.states import (
    Known,
    NeedsKeys,
    NeedsNonce,
    NeedsRefresh,
    Refreshed,
    RefreshFailed,
    Session,
    State,
    Verdict,
)
from webmail.identity.clerk.tokens import (
    Authentic,
    Claims,
    Rejected,
    decode,
    is_session_class,
    verify_handshake,
    verify_session,
)

MAX_LAPS = 3
"""Handshakes in a row after which the browser is not sent round again."""
_DEVELOPMENT_SKEW = 24 * 3600
_NONCE = re.compile(r"[A-Za-z0-9_.-]{1,512}")
_EXPIRED = "session-token-expired-refresh-"


@dataclass(frozen=True, slots=True)
class _Case:
    """One request before the judge."""

    facts: RequestFacts
    settings: ClerkSettings
    keyring: Keyring
    now: float
    request_class: RequestClass
    jar: CookieJar
    cookies: tuple[str, ...] = ()
    """Owed by whatever verdict results."""
    known: Known | None = None

    @property
    def document(self) -> bool:
        return self.request_class is RequestClass.DOCUMENT


def decide(facts: RequestFacts, settings: ClerkSettings, keyring: Keyring, now: float) -> Verdict:
    """`now` in seconds since 1970. See the module's text for `Verdict.needs`."""
    case = _open(facts, settings, keyring, now)
    if not case.document:
        return _judge(case)
    # In production only cookies, which nobody but Clerk and we can set, are believed: a handshake in a link would
    # sign the reader in as the link's author. Development instances have no other way than the address.
    if settings.live:
        nonce, envelope = case.jar.nonce, case.jar.handshake
    else:
        nonce, envelope = query_value(facts.target, NONCE), query_value(facts.target, HANDSHAKE)
    if nonce or envelope:
        return _handshake_return(case, nonce, envelope)
    return _judge(case)


def after_refresh(
    facts: RequestFacts,
    settings: ClerkSettings,
    keyring: Keyring,
    now: float,
    needs: NeedsRefresh,
    outcome: Refreshed | RefreshFailed,
) -> Verdict:
    """The new token has to pass every check that the old one passed, and be about the same session."""
    case = replace(_open(facts, settings, keyring, now), known=Known(needs.user_id, needs.session_id))
    if isinstance(outcome, RefreshFailed):
        return _unknown(case, _EXPIRED + outcome.code, State.EXPIRED)
    received = read_directives(outcome.directives, settings)
    if received is None or not received.session_token:
        return _unknown(case, _EXPIRED + "unexpected-sdk-error", State.EXPIRED)
    checked = _verify_text(case, received.session_token)
    if isinstance(checked, Rejected):
        # Clerk itself has just handed this token to us: a key that we do not know yet is worth a question.
        return _learning(_unknown(case, _EXPIRED + "invalid-session-token", State.EXPIRED), checked)
    if checked.time_fault:
        return _unknown(case, _EXPIRED + "invalid-session-token", State.EXPIRED)
    if (checked.claims.user_id, checked.claims.session_id) != (needs.user_id, needs.session_id):
        return _unknown(case, _EXPIRED + "invalid-session-token", State.EXPIRED)
    return _admit(replace(case, cookies=received.set_cookies), checked.claims, State.REFRESHED)


def after_nonce(
    facts: RequestFacts,
    settings: ClerkSettings,
    keyring: Keyring,
    now: float,
    directives: tuple[str, ...] | None,
) -> Verdict:
    """`directives` is None when Clerk did not hand them out: then nobody knows who this is, which is not the same as
    nobody being there."""
    case = _open(facts, settings, keyring, now)
    case = replace(case, cookies=delete_everywhere(settings, NONCE, HANDSHAKE))
    if directives is None:
        return _verdict(case, State.UNDECIDED, "handshake-payload-unavailable")
    return _resolve(case, list(directives))


def refuse(verdict: Verdict, reason: str) -> Verdict:
    """Turn a signed-in verdict into a denial for a reason of our own: suspended, signed out here, no such account."""
    return replace(verdict, state=State.DENIED, reason=reason, session=None, location=None, needs=None)


def resync(facts: RequestFacts, settings: ClerkSettings, target: str, now: float) -> Verdict:
    """Ask Clerk anew, whatever the cookies say, and lead on to `target`, a path of ours. For a page that is there for nothing
    else; it counts its laps as others do."""
    return _unknown(_open(replace(facts, target=target), settings, Keyring(()), now), "resync")


def unanswered(verdict: Verdict) -> Verdict:
    """Turn a verdict that would ask Clerk by way of the browser into one that cannot be reached at present."""
    laps = f"{REDIRECT_COUNT}="
    owed = tuple(cookie for cookie in verdict.set_cookies if not cookie.startswith(laps))
    return replace(
        verdict,
        state=State.UNDECIDED,
        reason="clerk-does-not-answer",
        set_cookies=owed,
        location=None,
        count=0,
    )


def _open(facts: RequestFacts, settings: ClerkSettings, keyring: Keyring, now: float) -> _Case:
    jar = read_cookies(facts.cookies, settings, now)
    return _Case(facts, settings, keyring, now, classify(facts), jar)


# --- coming back from a handshake ---


def _handshake_return(case: _Case, nonce: str, envelope: str) -> Verdict:
    if not case.keyring.keys:
        # Before a nonce is spent, which works once.
        no_keys = Rejected("jwk-remote-failed-to-load", learnable=case.keyring.learnable)
        return _learning(_verdict(case, State.UNDECIDED, no_keys.reason), no_keys)
    if case.settings.live:
        case = replace(case, cookies=delete_everywhere(case.settings, NONCE, HANDSHAKE))
    if nonce and _NONCE.fullmatch(nonce):
        provisional = _verdict(case, State.UNDECIDED, "handshake-payload-unavailable")
        return replace(provisional, needs=NeedsNonce(nonce))
    token = decode(envelope)
    directives = verify_handshake(token, case.keyring) if token else Rejected("token-invalid")
    if not isinstance(directives, Rejected):
        return _resolve(case, directives)
    if case.settings.live:
        return _learning(_judge(case), directives)
    # On a developer's desk this means the wrong CLERK_JWT_KEY, and going on would only hide it.
    return _learning(_verdict(case, State.UNDECIDED, "handshake-key-mismatch"), directives)


def _resolve(case: _Case, raw: list[object]) -> Verdict:
    """An authentic payload: apply it whole, or, where its own session token does not hold, not at all."""
    received = read_directives(raw, case.settings)
    if received is None:
        return _judge(case)
    applied = replace(case, cookies=case.cookies + received.set_cookies)
    if not received.session_token:
        return _returned(applied, _verdict(applied, State.SIGNED_OUT, "session-token-missing"))
    checked = _verify_text(case, received.session_token)
    if isinstance(checked, Rejected):
        return _learning(_judge(case), checked)
    if checked.time_fault is None:
        return _returned(applied, _admit(applied, checked.claims, State.SIGNED_IN))
    if case.settings.live or not _holds_within_a_day(case, received):
        return _judge(case)
    admitted = _admit(applied, checked.claims, State.SIGNED_IN)
    return replace(_returned(applied, admitted), warning="this computer's clock and Clerk's differ")


def _holds_within_a_day(case: _Case, received: Directives) -> bool:
    checked = _verify_text(case, received.session_token, skew=_DEVELOPMENT_SKEW)
    return isinstance(checked, Authentic) and checked.time_fault is None


def _returned(case: _Case, verdict: Verdict) -> Verdict:
    """A development instance's payload stands in the address bar: take it out by one more redirect.

    Text browsers (they send no `Sec-Fetch-Dest`) get the page at once: w3m takes a redirect to the same path for a loop."""
    if case.settings.live or not case.document or not case.facts.fetch_dest:
        return verdict
    return Verdict(
        State.UNKNOWN,
        "handshake-returned",
        case.request_class,
        set_cookies=case.cookies,
        location=clean_url(case.settings, case.facts.target),
        count=case.jar.redirect_count,
    )


# --- the cookies at hand ---


def _judge(case: _Case) -> Verdict:
    jar = case.jar
    if not case.settings.live and (asked := _development_browser(case)):
        return _unknown(case, asked)
    if jar.conflict:
        return _unknown(_without_planted(case), "session-cookies-conflict")
    if not jar.session:
        if jar.client_uat == 0:
            return _verdict(case, State.SIGNED_OUT, "session-token-and-uat-missing")
        return _unknown(case, "client-uat-but-no-session-token")
    return _judge_token(case)


def _judge_token(case: _Case) -> Verdict:
    jar = case.jar
    if jar.token is None:
        return _invalid(case, Rejected("token-invalid"))
    checked = verify_session(jar.token, case.keyring, case.settings, case.now)
    if isinstance(checked, Rejected):
        return _invalid(case, checked)
    case = replace(case, known=_known(checked.claims))
    # Clerk's SDK compares these times before it has looked at the signature. Afterwards is as good for an authentic
    # token, and leaves a forged one without any effect.
    if jar.client_uat == 0:
        return _unknown(case, "session-token-but-no-client-uat")
    if checked.claims.issued_at < jar.client_uat:
        return _unknown(case, "session-token-iat-before-client-uat")
    match checked.time_fault:
        case None:
            return _admit(case, checked.claims, State.SIGNED_IN)
        case "token-expired":
            return _expired(case, checked.claims)
        case "token-not-active-yet":
            return _unknown(case, "session-token-nbf")
        case "token-iat-in-the-future":
            return _unknown(case, "session-token-iat-in-the-future")


def _without_planted(case: _Case) -> _Case:
    """A session cookie is never set for the whole domain by Clerk or by us, so that one can go."""
    settings = case.settings
    if settings.cookie_domain is None:
        return case
    names = names_for(settings.key.suffix).session
    planted = tuple(delete_cookie(settings, name, domain=settings.cookie_domain) for name in names)
    return replace(case, cookies=case.cookies + planted)


def _development_browser(case: _Case) -> str:
    """A development instance knows a browser by a token of its own, which comes and goes in the address."""
    if query_value(case.facts.target, "__clerk_db_jwt"):
        return "dev-browser-sync"
    return "" if case.jar.db_jwt else "dev-browser-missing"


def _admit(case: _Case, claims: Claims, state: State) -> Verdict:
    case, actor = replace(case, known=_known(claims)), claims.actor
    if actor and (actor.agent or case.settings.impersonation == "off"):
        return replace(_verdict(case, State.DENIED, "impersonation-refused"), actor=actor)
    if claims.session_id is None:
        return _invalid(case, Rejected("token-verification-failed"))
    if claims.status == "pending":
        return _verdict(case, State.PENDING, "session-pending")
    if claims.status != "active":
        return _invalid(case, Rejected("token-verification-failed"))
    session = Session(
        user_id=claims.user_id,
        session_id=claims.session_id,
        issued_at=claims.issued_at,
        factor_ages=claims.factor_ages,
        claims=claims.raw,
        actor=actor,
    )
    return _verdict(case, state, "signed-in", session)


def _known(claims: Claims) -> Known | None:
    return Known(claims.user_id, claims.session_id) if claims.session_id else None


def _expired(case: _Case, claims: Claims) -> Verdict:
    jar, facts = case.jar, case.facts
    may_refresh = facts.method == "GET" or (
        facts.unsafe and case.settings.refresh_unsafe and bool(jar.refresh)
    )
    if not may_refresh:
        return _unknown(case, _EXPIRED + "non-eligible-non-get", State.EXPIRED)
    if facts.prefetch:
        return _unknown(case, _EXPIRED + "non-eligible-prefetch", State.EXPIRED)
    if not jar.refresh:
        return _unknown(case, _EXPIRED + "non-eligible-no-refresh-cookie", State.EXPIRED)
    if claims.session_id is None:
        return _unknown(case, _EXPIRED + "expired-session-token-missing-sid-claim", State.EXPIRED)
    needs = NeedsRefresh(claims.user_id, claims.session_id, jar.session, jar.refresh, jar.suffixed)
    return replace(_unknown(case, _EXPIRED + "not-attempted", State.EXPIRED), needs=needs)


# --- verdicts ---


def _verdict(case: _Case, state: State, reason: str, session: Session | None = None) -> Verdict:
    cookies, count = case.cookies, case.jar.redirect_count
    settled = state not in (State.SIGNED_OUT, State.INVALID, State.UNDECIDED)
    if settled and count and case.document:
        # "Nobody" is not settled: it leads to the sign-in page, which sends a known browser straight back.
        cookies += (count_cookie(case.settings, 0),)
    return Verdict(
        state, reason, case.request_class, session, set_cookies=cookies, count=count, known=case.known
    )


def _unknown(case: _Case, reason: str, state: State = State.UNKNOWN) -> Verdict:
    """Ask Clerk by way of the browser, where that is possible and has not just been tried three times."""
    jar, settings = case.jar, case.settings
    if not case.document:
        return Verdict(state, reason, case.request_class, set_cookies=case.cookies, known=case.known)
    if jar.redirect_count >= MAX_LAPS:
        return _verdict(case, State.LOOP, reason)
    count = jar.redirect_count + 1
    location = handshake_url(
        settings,
        case.facts.target,
        suffixed=jar.suffixed,
        reason=reason,
        db_jwt=query_value(case.facts.target, "__clerk_db_jwt") or jar.db_jwt,
    )
    return Verdict(
        state,
        reason,
        case.request_class,
        set_cookies=(*case.cookies, count_cookie(settings, count)),
        location=location,
        count=count,
        known=case.known,
    )


def _invalid(case: _Case, rejected: Rejected) -> Verdict:
    if not case.keyring.keys:
        return _learning(_verdict(case, State.UNDECIDED, rejected.reason), rejected)
    session_cookies = names_for(case.settings.key.suffix).session
    owed = case.cookies + delete_everywhere(case.settings, *session_cookies)
    return _learning(_verdict(replace(case, cookies=owed), State.INVALID, rejected.reason), rejected)


def _learning(verdict: Verdict, rejected: Rejected) -> Verdict:
    return replace(verdict, needs=NeedsKeys()) if rejected.learnable else verdict


def _verify_text(case: _Case, text: str, *, skew: float | None = None) -> Authentic | Rejected:
    token = decode(text)
    if token is None or not is_session_class(token):
        return Rejected("token-invalid")
    return verify_session(token, case.keyring, case.settings, case.now, skew=skew)
