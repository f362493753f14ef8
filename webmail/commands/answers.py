"""What `mtumail init` has to know: its questions, what an earlier run answered, and what each process is told of it."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from webmail.commands import env_files

if TYPE_CHECKING:
    from webmail.checkup.findings import Finding

PARTS = ("web", "worker", "inbound", "owner")


@dataclass(frozen=True, slots=True)
class Question:
    """Something that has to be known: in words, an example, and the variable that keeps the answer ("" for none)."""

    words: str
    example: str
    variable: str = ""
    hidden: bool = False


ASKED = {
    "origin": Question("Where people reach the web app", "https://mail.example.com", "MTUMAIL_ORIGIN"),
    "hostname": Question("The name that mail comes in at (MX)", "mx.example.com", "MTUMAIL_HOSTNAME"),
    "domain": Question("The first domain to host", "example.com"),
    "contact": Question("Where questions about privacy go", "privacy@example.com", "MTUMAIL_CONTACT"),
    "relay": Question(
        "The relay that mail leaves through",
        "smtp+starttls://user:password@smtp.relay.example:587",
        "MTUMAIL_RELAY_URL",
        hidden=True,
    ),
    "redis": Question("Redis or Valkey", "redis://127.0.0.1:6379/0", "REDIS_URL"),
    "clerk_publishable_key": Question("Clerk's publishable key", "pk_live_…", "CLERK_PUBLISHABLE_KEY"),
    "clerk_secret_key": Question("Clerk's secret key", "sk_live_…", "CLERK_SECRET_KEY", hidden=True),
    "database": Question(
        "Postgres, as a role that may create roles and databases",
        "postgresql://postgres:…@127.0.0.1/postgres",
        hidden=True,
    ),
}
TOLD = {
    "environment": "MTUMAIL_ENV",
    "clerk_webhook_secret": "CLERK_WEBHOOK_SIGNING_SECRET",
    "clerk_api_url": "CLERK_API_URL",
    "clerk_fapi_url": "CLERK_FAPI_URL",
    "clerk_sign_in_url": "CLERK_SIGN_IN_URL",
    "tls_certificate": "MTUMAIL_TLS_CERTIFICATE",
    "tls_key": "MTUMAIL_TLS_KEY",
}
"""What is kept where it is told, and never asked."""
_CLERK = ("clerk_webhook_secret", "clerk_api_url", "clerk_fapi_url", "clerk_sign_in_url")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted, by the names of ASKED and TOLD, and the folder that it goes to.

    `said`: those that somebody said now; the others were in the files. A file that is there changes in these alone.
    """

    folder: Path
    answers: Mapping[str, str]
    said: frozenset[str] = frozenset()

    @property
    def key_file(self) -> Path:
        return self.folder / "master.key"

    def file(self, part: str) -> Path:
        """The environment of a part: one of PARTS."""
        return self.folder / f"{part}.env"


def variables() -> Iterator[tuple[str, str]]:
    """Names of answers, each with the variable that keeps it."""
    yield from ((name, one.variable) for name, one in ASKED.items() if one.variable)
    yield from TOLD.items()


def wanted(folder: Path, yes: bool, given: Mapping[str, str | None]) -> Wanted:
    """Each answer: from an option, an earlier run, or whoever sits there."""
    kept: dict[str, str] = {}
    for part in reversed(PARTS):
        kept |= env_files.read(folder / f"{part}.env")
    known = {name: kept[variable] for name, variable in variables() if variable in kept}
    if all((folder / f"{part}.env").exists() for part in PARTS):
        known |= {"database": "", "domain": ""}  # both stand: there is nothing to make
    answers = known | {name: value for name, value in given.items() if value}
    said = {name for name, value in given.items() if value}
    for name in ASKED:  # last, so that what is asked can be looked at in the light of all that is known
        if name not in answers:
            answers[name] = _ask(name, yes, answers)
            said.add(name)
    return Wanted(folder, answers, frozenset(said))


def _ask(name: str, yes: bool, so_far: Mapping[str, str]) -> str:
    """Ask, and look: where what was said does not work, say why and ask again; the same answer again is taken as it is."""
    question = ASKED[name]
    if yes:
        raise click.UsageError(f"--{name.replace('_', '-')} is needed with --yes")
    last = ""
    while True:
        answer: str = click.prompt(
            f"{question.words} (such as {question.example})", hide_input=question.hidden
        )
        troubles = [] if answer == last else _troubles({**so_far, name: answer}, name)
        if not troubles:
            return answer
        for one in troubles:
            click.echo(
                f"  {one.what}: {one.words}\n  -> {one.mend or 'another answer, or the same to go on with it'}"
            )
        last = answer


def _troubles(answers: Mapping[str, str], name: str) -> list["Finding"]:
    """What is bad about an answer by itself; nothing where only time or a whole installation can tell."""
    from webmail.checkup import outside, servers
    from webmail.checkup.findings import bad
    from webmail.config import Settings
    from webmail.errors import SettingError

    looks = {"redis": servers.redis, "relay": outside.relays, "clerk_secret_key": outside.clerk}
    variable, known = ASKED[name].variable, dict(variables())
    if not variable:
        return []
    told = {known[one]: value for one, value in answers.items() if one in known}
    try:
        settings = Settings.from_environment(told)
        return [one for one in looks[name](settings) if not one.good] if name in looks else []
    except SettingError as error:
        return [bad(variable, str(error))]


def check(wanted: Wanted) -> None:
    """Refuse what the processes would refuse, before anything is made. Raises SettingError."""
    from webmail.config import Settings
    from webmail.identity.clerk.settings import ClerkSettings
    from webmail.mail.idn import to_ascii
    from webmail.sending.relay.settings import RelaySettings

    domain = wanted.answers.get("domain", "")
    if domain and not to_ascii(domain):
        raise click.UsageError(f"{domain} is no domain")
    made = environments(wanted, dict.fromkeys(PARTS, wanted.answers.get("database") or "postgresql://"))
    settings = Settings.from_environment(dict(made["web"]))
    ClerkSettings.from_environment(
        settings.clerk,
        origin=settings.origin,
        environment=settings.environment,  # type: ignore[arg-type]
    )
    worker = Settings.from_environment(dict(made["worker"]))
    RelaySettings.for_host(worker.relay_url, wanted.answers["hostname"])
    Settings.from_environment(dict(made["inbound"]))


def environments(wanted: Wanted, urls: Mapping[str, str]) -> dict[str, list[tuple[str, str]]]:
    """What each process reads. `urls`: the database's address by role. Inbound gets no key that opens anything."""
    named = dict(variables())

    def told(*names: str) -> list[tuple[str, str]]:
        return [(named[name], wanted.answers[name]) for name in names if wanted.answers.get(name)]

    key = ("MTUMAIL_MASTER_KEY_FILE", str(wanted.key_file))
    clerk = told("origin", "clerk_publishable_key", "clerk_secret_key", *_CLERK)
    parts = {
        "web": [
            key,
            *told("redis"),
            *clerk,
            *told("contact"),
            ("MTUMAIL_TRUSTED_PROXIES", "1"),
            ("MTUMAIL_DATA_DIR", "/var/lib/mtumail"),
            ("MTUMAIL_METRICS_TOKEN", secrets.token_urlsafe(24)),
        ],
        "worker": [
            key,
            *told("redis"),
            *clerk,
            *told("hostname", "relay"),
            ("MTUMAIL_WORKER_HEALTH_LISTEN", "127.0.0.1:8027"),
        ],
        "inbound": [
            *told("redis", "hostname", "tls_certificate", "tls_key"),
            ("MTUMAIL_SMTP_LISTEN", "0.0.0.0:25,[::]:25"),
            ("MTUMAIL_SMTP_HEALTH_LISTEN", "127.0.0.1:8026"),
        ],
        "owner": [key, *told("origin")],
    }
    if "backup" in urls:  # it is used once MTUMAIL_BACKUP_TO and a key are set too
        parts["worker"].append(("MTUMAIL_BACKUP_URL", urls["backup"]))
    return {
        part: [("DATABASE_URL", urls[part]), *told("environment"), *lines] for part, lines in parts.items()
    }
