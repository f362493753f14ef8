"""The ports of a real server: mailboxes and messages in Postgres, workers behind Redis."""

from flask import Flask
from sqlalchemy import text

from inbound import ports
from inbound.authentication.dns import Resolver
from inbound.authentication.judge import Judge
from webmail import db, jobs
from webmail.config import Settings
from webmail.mail import mailboxes, receiving
from webmail.mail.addresses import Address
from webmail.settings import domains


def connect(settings: Settings, threads: int) -> ports.Ports:
    """Ports over DATABASE_URL and REDIS_URL. Nothing is connected yet; each of `threads` may come to hold one connection.

    The pool mends itself when Postgres was away: until then each call raises, and the peer hears 451.
    """
    app = Flask("inbound")
    db.init_app(app, settings.database_url, pool_size=threads, application_name="mtumail-inbound")
    if settings.redis_url:
        jobs.bell.connect(settings.redis_url)

    def resolve(address: Address) -> ports.Recipient | ports.Refusal:
        with app.app_context(), db.transaction():
            found = mailboxes.resolve(address) if address.domain else _postmaster(address.local)
        if isinstance(found, mailboxes.Refusal):
            return ports.Refusal(found.value)
        return ports.Recipient(found.mailbox_id, found.public_key, found.address, found.since)

    def receive(delivery: ports.Delivery) -> None:
        taken = [
            mailboxes.Recipient(one.mailbox_id, one.public_key, one.address) for one in delivery.recipients
        ]
        with app.app_context(), db.transaction():
            receiving.receive(receiving.Envelope(delivery.envelope_from, taken), delivery.raw)

    def nudge(_: ports.Delivery) -> None:
        jobs.ring(jobs.FILE)

    def reach() -> None:
        with app.app_context(), db.transaction() as session:
            session.execute(text("SELECT 1"))

    return ports.Ports(resolve, receive, nudge, _judge(settings, app), reach)


def _judge(settings: Settings, app: Flask) -> Judge | None:
    """Authentication as this installation wants it, which knows our own keys itself; None where it is switched off."""
    if not settings.authenticate:
        return None

    def resolver() -> Resolver:
        from inbound.authentication.hosted import HostedKeys
        from inbound.authentication.resolver import DnsResolver  # dnspython is a tenth of a second of import
        from webmail.settings import dkim_keys

        def look_up(selector: str, domain: str) -> str | None:
            with app.app_context():
                return dkim_keys.published(selector, domain)

        return HostedKeys(DnsResolver(settings.dns_servers), look_up)

    return Judge(settings.host_name, resolver)


def _postmaster(local: str) -> mailboxes.Recipient | mailboxes.Refusal:
    """The postmaster without a domain (RFC 5321 section 4.5.1): that of the first hosted domain which has one."""
    for domain in domains.names():
        found = mailboxes.resolve(Address(local, domain))
        if isinstance(found, mailboxes.Recipient):
            return found
    return mailboxes.Refusal.UNKNOWN
