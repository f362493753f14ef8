"""What belongs to others: Clerk, the relays, and DNS. Nothing is sent, and nobody is asked twice."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import dns.exception
import dns.resolver
import dns.reversename
from sqlalchemy import TextClause, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from webmail.checkup.findings import Finding, bad, ok, warn
from webmail.config import Settings
from webmail.errors import KeyTrouble, SettingError
from webmail.identity.clerk import reach
from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.transport import BackendError, BackendRefused, Limits, Transport
from webmail.keys import MasterKeys
from webmail.sending import roads
from webmail.sending.relay.connection import Connection, SessionError
from webmail.sending.relay.settings import RelaySettings
from webmail.settings import dkim_records, kept

_SECONDS = 5.0
MOST_DOMAINS = 20
"""Domains that are looked up; one screen holds no more."""


# --- Clerk ---------------------------------------------------------------------------------------------------------------


def clerk(settings: Settings) -> Iterator[Finding]:
    """That the keys are of one instance and Clerk takes them."""
    if not settings.clerk:
        return
    try:
        known = ClerkSettings.from_environment(
            settings.clerk,
            origin=settings.origin,
            environment=settings.environment,  # type: ignore[arg-type]
        )
    except SettingError as error:
        yield bad("clerk", str(error), "copy the keys anew from the API keys page of Clerk's dashboard")
        return
    yield _secret(known)
    if not reach.watch(known).look():
        yield bad(
            "clerk sign in",
            f"{known.frontend_url} does not answer",
            "are Clerk's DNS records there, and its domain verified?",
        )
    if not known.webhook_secrets:
        yield warn(
            "clerk webhooks",
            "no signing secret: a ban is felt only after a minute",
            "add the endpoint /webhooks/clerk there, and set CLERK_WEBHOOK_SIGNING_SECRET",
        )


def _secret(known: ClerkSettings) -> Finding:
    try:
        Transport(known, Limits(total=_SECONDS)).call("GET", "/users/count")
    except BackendRefused as error:
        return bad(
            "clerk",
            f"refuses our secret key ({error.code})",
            "CLERK_SECRET_KEY has to be of this very instance",
        )
    except BackendError as error:
        return bad(
            "clerk",
            f"{known.api_url} does not answer ({error.code})",
            "may this machine reach it over https?",
        )
    return ok("clerk", f"{'live' if known.live else 'development'} instance, takes our key")


# --- relays --------------------------------------------------------------------------------------------------------------


def relays(settings: Settings) -> Iterator[Finding]:
    """That each relay can be reached, is encrypted and takes our sign-in; nothing is sent."""
    if not settings.relay_url:
        return
    try:
        known = RelaySettings.for_host(settings.relay_url, settings.host_name)
    except SettingError as error:
        yield bad("relay", str(error), "see MTUMAIL_RELAY_URL in the README")
        return
    for one in roads.with_password(known, relay_password(settings)):
        yield _relay(one)


def relay_password(settings: Settings) -> str:
    """The relay's password that an admin put in; "" for none, or where these settings cannot read it."""
    if not settings.database_url:
        return ""
    engine = create_engine(
        settings.database_url, poolclass=NullPool, connect_args={"connect_timeout": _SECONDS}
    )
    try:
        master = MasterKeys.from_settings(settings)
        with engine.connect() as connection:
            found = connection.execute(_PASSWORD, {"name": roads.PASSWORD}).all()
        return kept.opened(master, roads.PASSWORD, found)
    except (DBAPIError, SettingError, KeyTrouble):
        return ""
    finally:
        engine.dispose()


_PASSWORD = text("SELECT wrapped FROM setting_secret WHERE name = :name")


def _relay(one: RelaySettings) -> Finding:
    hasty = replace(one, connect_timeout=_SECONDS, command_timeout=_SECONDS)
    try:
        connection = Connection(hasty)
    except SessionError as error:
        mend = {
            "connect": "is it up, and may this machine reach that port? Many hosts close 25 to the world",
            "tls": "another scheme or port may be meant; `mtumail relay test` shows the conversation",
            "sign-in": "the user name and password in MTUMAIL_RELAY_URL, percent-encoded, or Settings > Relay",
        }.get(error.trouble, "`mtumail relay test ADDRESS` shows the whole conversation")
        return bad("relay", f"{one.name}: {error}", mend)
    connection.quit()
    return ok("relay", f"{one.name} takes {'our sign-in' if one.username else 'mail without a sign-in'}")


# --- DNS -----------------------------------------------------------------------------------------------------------------


class _Silent(Exception):
    """No resolver answered."""


def names(settings: Settings) -> Iterator[Finding]:
    """That the world finds us: our own name forth and back, and MX, SPF and DMARC of each hosted domain."""
    if settings.host_name == "localhost":
        return
    try:
        resolver = _resolver(settings.dns_servers)
        yield _own_name(resolver, settings.host_name)
        for domain in _hosted(settings.database_url):
            yield from _domain(resolver, domain, settings.host_name)
        yield from _dkim(resolver, settings.database_url)
    except (_Silent, dns.exception.DNSException, OSError):
        yield warn("dns", "no resolver answers", "look at MTUMAIL_DNS, or /etc/resolv.conf")


def _resolver(servers: Sequence[tuple[str, int]]) -> dns.resolver.Resolver:
    resolver = dns.resolver.Resolver(configure=not servers)
    if servers:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(*one) for one in servers]
    resolver.timeout, resolver.lifetime = _SECONDS / 2, _SECONDS
    return resolver


def _look_up(resolver: dns.resolver.Resolver, name: str, kind: str) -> list[str]:
    """Records as text; empty where there are none. Raises _Silent."""
    try:
        found = resolver.resolve(f"{name.rstrip('.')}.", kind, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.exception.Timeout, dns.resolver.NoNameservers):
        raise _Silent from None
    if kind == "TXT":
        return [b"".join(one.strings).decode("utf-8", "replace") for one in found]
    return [one.to_text() for one in found]


def _own_name(resolver: dns.resolver.Resolver, host: str) -> Finding:
    addresses = _look_up(resolver, host, "A") + _look_up(resolver, host, "AAAA")
    if not addresses:
        return bad("dns", f"{host} has no address", f"publish A and AAAA records for {host}")
    for address in addresses:
        back = _look_up(resolver, dns.reversename.from_address(address).to_text(), "PTR")
        if host not in [one.rstrip(".").lower() for one in back]:
            return warn(
                "dns",
                f"{address} is not called {host}",
                "ask whoever rents you the address for a reverse record",
            )
    return ok("dns", f"{host} is {', '.join(addresses)}, and back")


def _dkim(resolver: dns.resolver.Resolver, database_url: str) -> Iterator[Finding]:
    """That the keys we sign with are those that the world finds."""
    for name, selector, algorithm, public in _rows(database_url, _ACTIVE):
        owner = dkim_records.name(selector, name)
        wanted = _tag(dkim_records.record(algorithm, bytes(public)), "p")
        if wanted in [_tag(one, "p") for one in _look_up(resolver, owner, "TXT")]:
            yield ok("dkim", f"{owner} is published")
        else:
            yield bad(
                "dkim",
                f"{owner} is not in DNS, or not the key we sign with: our signatures are worth nothing",
                f"`mtumail keys dkim list {name} --records` shows what to publish",
            )


def _tag(record: str, name: str) -> str:
    """The value of a tag of a DKIM record, without the blanks that may be anywhere in it (RFC 6376 section 3.2)."""
    pairs = (one.partition("=") for one in record.split(";"))
    return next(("".join(value.split()) for tag, _, value in pairs if tag.strip() == name), "")


def _hosted(database_url: str) -> list[str]:
    return [name for (name,) in _rows(database_url, _HOSTED)]


def _rows(database_url: str, query: TextClause) -> list[tuple[Any, ...]]:
    if not database_url:
        return []
    engine = create_engine(database_url, poolclass=NullPool, connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(query, {"most": MOST_DOMAINS})]
    except DBAPIError:  # `database.look` has said it
        return []
    finally:
        engine.dispose()


_HOSTED = text("SELECT name FROM domain WHERE state <> 'removed' ORDER BY name LIMIT :most")
_ACTIVE = text("""
    SELECT d.name, k.selector, k.algorithm, k.public_key FROM dkim_key k JOIN domain d USING (domain_id)
     WHERE k.state = 'active' ORDER BY d.name, k.selector LIMIT 2 * :most""")


def _domain(resolver: dns.resolver.Resolver, name: str, host: str) -> Iterator[Finding]:
    exchangers = [one.split()[-1].rstrip(".").lower() for one in _look_up(resolver, name, "MX")]
    if host in exchangers:
        yield ok("mx", f"{name} leads to us")
    else:
        yield bad(
            "mx", f"{name} leads to {', '.join(exchangers) or 'nobody'}", f"publish: {name}. MX 10 {host}."
        )
    senders = [one for one in _look_up(resolver, name, "TXT") if one.lower().startswith("v=spf1")]
    if len(senders) != 1:
        words = "has no SPF record" if not senders else f"has {len(senders)} SPF records, which count as none"
        yield warn(
            "spf",
            f"{name} {words}",
            f'publish one: {name}. TXT "v=spf1 include:RELAY -all", as your relay says',
        )
    policies = [
        one for one in _look_up(resolver, f"_dmarc.{name}", "TXT") if one.upper().startswith("V=DMARC1")
    ]
    if len(policies) != 1:
        yield warn(
            "dmarc",
            f"{name} says nothing of forged mail",
            f'publish: _dmarc.{name}. TXT "v=DMARC1; p=quarantine"',
        )
