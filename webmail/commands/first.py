"""What an empty installation lacks: its first domain, and the one admin whom nobody could make."""

import click
from sqlalchemy import text

from webmail import audit
from webmail.commands.database import database
from webmail.commands.reasons import actor
from webmail.config import Settings
from webmail.db import db, transaction
from webmail.errors import Refused
from webmail.identity import accounts, roles
from webmail.identity.clerk.backend import BackendClient
from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.transport import BackendError
from webmail.identity.clerk.webhooks import UserChanged, WebhookEvent, effect_of
from webmail.identity.names import NameRefused
from webmail.keys import MasterKeys
from webmail.mail import mailboxes, registering
from webmail.mail.addresses import Address, AddressError, parse_spec
from webmail.settings import domains

REASON = "first admin"


def host(settings: Settings, domain: str) -> None:
    """Host a domain, in A-labels, from now on."""
    with database(settings), transaction():
        domains.host(domain)


def make_admin(settings: Settings, who: str, address: str) -> str:
    """Make the person whom Clerk knows by `who` (an address that it has verified, or user_…) admin, with the mailbox `address`.

    Only while there is no admin: every later one is made by two. `settings` are the owner's, with the master key and Clerk's. What
    was done, for the screen. Raises ClickException, and then nothing was.
    """
    try:
        spec = parse_spec(address)
    except AddressError:
        raise click.ClickException(f"{address} is no address") from None
    master = MasterKeys.from_settings(settings)
    with database(settings):
        with transaction():
            if _has_admin():
                return "kept  the admins that there are: two of them make another, or `mtumail role grant`"
        person = _known_to_clerk(settings, who)
        with transaction(mailboxes.new_mailbox_id()):
            db.session.execute(_ONE_AT_A_TIME)
            if _has_admin():
                return "kept  the admin who was made just now"
            account_id = accounts.meet(person.user_id, person.name, person.contact or "")
            mailboxes.hold(account_id)
            if not mailboxes.owned(account_id):
                _make_mailbox(master, account_id, person.name, spec, settings.quota_bytes)
            audit.record("cli.used", actor(), command="init", reason=REASON, run_as="")
            roles.grant(account_id, "admin", by=None, reason=REASON, actor=actor())
    return f"made  {address}, the first admin; they sign in as Clerk knows them"


_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('mtumail first admin', 0))")


def _has_admin() -> bool:
    return any("admin" in one.roles for one in roles.holders())


def _known_to_clerk(settings: Settings, who: str) -> UserChanged:
    """The person, from Clerk. An address counts only where Clerk has verified it: anybody may write one into a form."""
    clerk = ClerkSettings.from_environment(
        settings.clerk,
        origin=settings.origin,
        environment=settings.environment,  # type: ignore[arg-type]
    )
    backend, by_id = BackendClient(clerk), who.startswith("user_")
    try:
        found = [backend.user(who)] if by_id else backend.find_users(email=who, limit=2)
    except ValueError:
        raise click.ClickException(f"{who} is no id of Clerk's") from None
    except BackendError as error:
        raise click.ClickException(f"Clerk does not tell who {who} is ({error.code})") from None
    people = [effect_of(WebhookEvent("", "user.updated", 0.0, one)) for one in found]
    good = [
        one
        for one in people
        if isinstance(one, UserChanged)
        and not one.banned
        and (by_id or (one.contact or "").lower() == who.lower())
    ]
    if len(good) != 1:
        raise click.ClickException(
            f"Clerk knows nobody whose first address is {who}, verified: add them under Users in its dashboard, and run this again"
        )
    return good[0]


def _make_mailbox(master: MasterKeys, account_id: int, name: str, spec: Address, quota: int) -> None:
    try:
        mailboxes.create(
            master,
            account_id=account_id,
            name=name,
            local_part=registering.look(master, spec.local, spec.domain),
            domain=spec.domain,
            quota_bytes=quota,
            actor=actor(),
        )
    except registering.RegistrationRefused:
        raise click.ClickException(f"{spec.domain} is not hosted here") from None
    except NameRefused as error:
        raise click.ClickException(f"{spec.local}@{spec.domain} cannot be had ({error.reason})") from None
    except Refused as error:
        raise click.ClickException(str(error)) from None
