"""The privacy policy as it is published, and beside each promise the live fact that keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from flask import current_app
from flask_babel import lazy_gettext as _l

from webmail import audit
from webmail.config import Settings
from webmail.governance.access import counts
from webmail.privacy import register, retention
from webmail.sending.relay import RelaySettings
from webmail.settings import declared, kept, kinds
from webmail.web import register_words, setting_words
from webmail.web.filters import when
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

Block = str | list[str]


@dataclass(frozen=True, slots=True)
class Fact:
    """What keeps a promise, as it is now; `href` leads to where one sees for oneself."""

    words: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of the policy; a block is a paragraph or a list of points."""

    heading: str
    blocks: tuple[Block, ...]
    facts: tuple[Fact, ...]


def sections() -> list[Section]:
    """The whole policy with the operator's name and contact, and its facts; inside a transaction."""
    facts = _facts()
    return [Section(heading, tuple(blocks), facts.get(heading, ())) for heading, blocks in _text()]


def _text() -> list[tuple[str, list[Block]]]:
    operator, contact = kept.text("service.operator"), kept.text("service.contact")
    policy = files("webmail").joinpath("privacy/policy.txt").read_text("utf-8").replace("{contact}", contact)
    if operator:
        policy = policy.replace('mtumail ("we/us")', f'mtumail, run by {operator} ("we/us"),', 1)
    found: list[tuple[str, list[Block]]] = [("", [])]
    for line in filter(None, (item.strip() for item in policy.splitlines()[1:])):
        blocks = found[-1][1]
        if line.startswith("# "):
            found.append((line[2:], []))
        elif not line.startswith("- "):
            blocks.append(line)
        elif blocks and isinstance(blocks[-1], list):
            blocks[-1].append(line[2:])
        else:
            blocks.append([line[2:]])
    return found


def _facts() -> Mapping[str, tuple[Fact, ...]]:
    settings: Settings = current_app.extensions["settings"]
    return {
        "Data We Process": _data(),
        "Purpose & Lawful Basis": tuple(_basis(purpose) for purpose in register.BASES),
        "Access & Content Review": _accesses(),
        "Security": _security(settings),
        "Third‑Party Processors": _processors(settings),
        "Your Rights": (Fact(_("What we hold about you, counted live: My data"), "/my-data"),),
        "Retention": tuple(_kept_for(rule) for rule in retention.RULES),
        "Contact": (Fact(_("Report abuse, without an account"), "/abuse"),),
    }


def _data() -> tuple[Fact, ...]:
    count = len(register.KINDS)
    words = ngettext(
        "%(num)s kind of data, each in a register", "%(num)s kinds of data, each in a register", count
    )
    sealed = sum(kind.is_sealed for kind in register.KINDS)
    return (
        Fact(words, "/my-data"),
        Fact(
            ngettext(
                "%(num)s of them is sealed",
                "%(num)s of them are sealed: the database cannot read them",
                sealed,
            )
        ),
    )


def _basis(purpose: str) -> Fact:
    basis = register_words.BASES[register.BASES[purpose]]
    return Fact(_("%(purpose)s: %(basis)s", purpose=register_words.PURPOSES[purpose], basis=basis))


def _accesses() -> tuple[Fact, ...]:
    year = datetime.now(UTC).year
    lines = [line for line in counts.by_year() if line.year == year]
    told = _(
        "This year: asked for %(asked)s times, opened %(opened)s times, reviewed %(reviewed)s times",
        asked=sum(line.asked for line in lines),
        opened=sum(line.opened for line in lines),
        reviewed=sum(line.reviewed for line in lines),
    )
    return (Fact(told, "/privacy/counts"), Fact(_("Who opened your mail"), "/access-log"))


def _security(settings: Settings) -> tuple[Fact, ...]:
    log = audit.state()
    size = ngettext("The audit log holds %(num)s entry", "The audit log holds %(num)s entries", log.size)
    signed = (
        _("its root was signed %(when)s", when=when(log.at)) if log.at else _("its root is not signed yet")
    )
    return (
        Fact(_("Over HTTPS only") if settings.secure else _("Not over HTTPS: this is no production service")),
        Fact(f"{size}; {signed}", "/privacy/log"),
    )


def _processors(settings: Settings) -> tuple[Fact, ...]:
    relays = RelaySettings.for_host(settings.relay_url, settings.host_name) if settings.relay_url else ()
    hosts = ", ".join(sorted({one.host for one in relays}))
    told = [Fact(_("Mail leaves through %(hosts)s", hosts=hosts))] if hosts else []
    others = kinds.entries(kept.text("processors.others"))
    told += [Fact(_("To Clerk: %(what)s. Nothing of your mail.", what=what)) for what in TO_CLERK]
    return (*told, *(Fact(f"{who}: {what} ({where})") for who, what, where in others))


TO_CLERK = (
    _l(
        "its own identifiers and tokens of you and of your sessions, with your browser’s name and network address"
    ),
    _l("a name that you change here, and that you are to be signed out or deleted"),
    _l("a password or code that you type to confirm a grave act"),
    _l("once, the address of whoever becomes the first admin"),
)
"""All that is sent there; a test holds it to the calls that are made."""


def _kept_for(rule: retention.Rule) -> Fact:
    setting = declared.SETTINGS[rule.setting]
    name, days = setting_words.WORDS[rule.setting].name, kept.whole(rule.setting)
    last = retention.past(rule.code, 1)
    run = _("last run %(when)s", when=when(last[0].finished_at)) if last else _("not run yet")
    return Fact(f"{name}: {setting_words.value_words(setting, days)}; {run}")
