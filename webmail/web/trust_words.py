"""Whom to trust, in plain words: one line for a message, a sentence for each warning, and what lies behind.

What strangers wrote (names, hosts, file names) stands isolated inside our sentences, so that it cannot turn them around, and is
escaped by the templates like any other text.
"""

from dataclasses import dataclass
from typing import Final

from flask_babel import lazy_gettext as _l

from webmail.mail import idn
from webmail.mail.authentication import Authentication, Signature
from webmail.mail.charsets import clean_name
from webmail.mail.trust import Finding, Trust
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

MAX_QUOTED: Final = 100
MAX_SIGNATURES: Final = 5


@dataclass(frozen=True, slots=True)
class Shown:
    """What `mail/_trust.html` needs. `css` is "good", "quiet", "warn" or "bad", `icon` a class of an icon or "". `warnings` are
    (css, sentence) pairs, shown at once; `details` are sentences to open. `anchor` is an id, once on a page."""

    css: str
    icon: str
    sentence: str
    warnings: tuple[tuple[str, str], ...] = ()
    details: tuple[str, ...] = ()
    anchor: str = "trust"


_LINES: Final = {
    "verified": ("good", "", _l("Sender confirmed")),
    "known": ("quiet", "", _l("You have had mail with this address before")),
    "unknown": ("quiet", "", _l("Sender not confirmed")),
    "caution": ("warn", "junk", _l("Be careful with this message")),
    "danger": ("bad", "junk", _l("This message may be dangerous")),
    "self": ("quiet", "sent", _l("From you")),
}

_FINDINGS: Final = {
    "own-service-failed": _l(
        "It says it is from your own service, %(subject)s, and it is not. Do not do what it asks."
    ),
    "own-service-unproven": _l(
        "It says it is from your own service, %(subject)s, but nothing confirms that."
    ),
    "proof-failed": _l(
        "%(subject)s does not confirm that it sent this, and asks you not to trust such mail."
    ),
    "list-changed": _l(
        "It came through the list %(other)s, so its sender at %(subject)s cannot be confirmed."
    ),
    "several-froms": _l("It names its sender more than once. Other programs may show another one."),
    "several-authors": _l("It says it is from %(count)s people at once."),
    "no-sender": _l("It does not say who sent it."),
    "name-shows-ours": _l("The name shows %(other)s, but it is from %(subject)s, outside your service."),
    "name-shows-address": _l("The name shows %(other)s, but it is from %(subject)s."),
    "name-shows-domain": _l("The name shows %(other)s, but it is from %(subject)s."),
    "own-name": _l("It carries your own name, but it is from %(subject)s."),
    "keeper-name": _l(
        "It calls itself %(other)s, but it is from %(subject)s, outside your service. "
        "We never ask for a password by mail."
    ),
    "known-name": _l(
        "It carries the name of %(other)s, whom you know, but it is from another address: %(subject)s."
    ),
    "mixed-address": _l(
        "%(subject)s mixes letters of different alphabets, as if to pass for another address."
    ),
    "lookalike": _l("%(subject)s looks like %(other)s, but it is not."),
    "mixed-domain": _l("%(subject)s mixes letters of different alphabets, as if to pass for another name."),
    "coded-domain": _l("%(subject)s is made of letters that look like others, so it is shown in code."),
    "reply-elsewhere": _l("A reply goes to %(subject)s, not to %(other)s."),
    "reply-to-freemail": _l("A reply goes to %(subject)s, a mailbox anybody can have, not to %(other)s."),
    "first-time": _l("This is the first message from %(subject)s."),
    "link-to-number": _l("A link leads to a number, %(subject)s, instead of a name."),
    "link-lookalike": _l("A link leads to %(subject)s, which looks like %(other)s, but is not."),
    "link-coded": _l("A link leads to %(subject)s, a name in letters that look like others."),
    "link-hides": _l("A link hides that it leads to %(subject)s."),
    "link-differs": _l("A link shows %(other)s, but leads to %(subject)s."),
    "file-turned": _l(
        "The name of %(subject)s is written to be misread. It ends in .%(other)s. Do not open it."
    ),
    "file-disguised": _l("%(subject)s is named like a document, but it is a program. Do not open it."),
    "file-runs": _l("%(subject)s can run on your computer. Do not open it unless you asked for it."),
    "file-macros": _l(
        "%(subject)s can hold a program. Open it only if you expected it, and leave macros off."
    ),
    "file-page": _l(
        "%(subject)s opens as a web page, which can imitate a sign-in. Type no password into it."
    ),
}
CODES: Final = frozenset(_FINDINGS)


def explain(warning: Finding) -> str:
    """What a finding means for the reader, and how many more there are of its kind."""
    values = {"subject": _quoted(warning.subject), "other": _quoted(warning.other), "count": warning.count}
    sentence = str(_FINDINGS[warning.code]) % values
    if warning.count > 1 and warning.code.startswith(("link-", "file-")):
        more = ngettext(
            "There is %(num)s more like it.", "There are %(num)s more like it.", warning.count - 1
        )
        return f"{sentence} {more}"
    return sentence


def shown(trust: Trust, authentication: Authentication | None = None, anchor: str = "trust") -> Shown:
    """All that a page says of a message's trust. Notes wait behind the line; warnings stand beside it."""
    css, icon, sentence = _LINES[trust.word]
    warnings = tuple((one.level, explain(one)) for one in trust.warnings if one.level != "note")
    notes = [explain(one) for one in trust.warnings if one.level == "note"]
    told = behind(authentication) if authentication is not None else []
    return Shown(css, icon, str(sentence), warnings, (*notes, *told), anchor)


def behind(authentication: Authentication) -> list[str]:
    """What SPF, DKIM, DMARC and ARC said, a sentence each; nothing for what was not looked at."""
    sentences = [_dmarc(authentication), _spf(authentication.spf, authentication.spf_domain)]
    sentences += [_signature(one) for one in authentication.dkim[:MAX_SIGNATURES]] or [
        _("DKIM: it is not signed.")
    ]
    if authentication.arc == "pass":
        sentences.append(_("ARC: whoever passed it on vouches for what it was before."))
    elif authentication.arc == "fail":
        sentences.append(_("ARC: the seals of those who passed it on are broken."))
    return [one for one in sentences if one]


def _dmarc(told: Authentication) -> str:
    domain = _quoted(told.from_domain) or _("its domain")
    if told.dmarc == "pass":
        return str(_("DMARC: %(domain)s confirms that it sent this.", domain=domain))
    if told.dmarc == "fail" and told.dmarc_policy == "reject":
        return str(_("DMARC: %(domain)s does not confirm it, and asks to refuse such mail.", domain=domain))
    if told.dmarc == "fail" and told.dmarc_policy == "quarantine":
        return str(
            _("DMARC: %(domain)s does not confirm it, and asks to put such mail aside.", domain=domain)
        )
    if told.dmarc == "fail":
        return str(
            _("DMARC: %(domain)s does not confirm it, and asks for nothing to be done.", domain=domain)
        )
    if told.dmarc == "none":
        return str(_("DMARC: %(domain)s does not say how to recognise its mail.", domain=domain))
    return str(_("DMARC: this could not be checked.")) if told.dmarc else ""


def _spf(result: str, domain: str) -> str:
    who = _quoted(domain) or _("its domain")
    if result == "pass":
        return str(_("SPF: the sending server was allowed by %(domain)s.", domain=who))
    if result in ("fail", "softfail"):
        return str(_("SPF: the sending server was not allowed by %(domain)s.", domain=who))
    if result in ("none", "neutral"):
        return str(_("SPF: nothing is said of the sending server by %(domain)s.", domain=who))
    return str(_("SPF: this could not be checked."))


def _signature(told: Signature) -> str:
    result = told.result
    who = _quoted(told.domain) or _("its domain")
    if result == "pass":
        return str(_("DKIM: signed by %(domain)s, and unchanged since.", domain=who))
    if result == "fail":
        return str(_("DKIM: the signature by %(domain)s does not fit, or it was changed.", domain=who))
    return str(_("DKIM: the signature by %(domain)s could not be checked.", domain=who))


def _quoted(text: str) -> str:
    """A stranger's word inside a sentence of ours: bounded, visible, its direction its own (FSI ... PDI). Names of hosts in
    Unicode, unless that could pass for another one."""
    clean = clean_name(text)
    if "xn--" in clean:
        local, at, domain = clean.rpartition("@")
        clean = f"{local}{at}{idn.to_display(domain)}"
    short = clean if len(clean) <= MAX_QUOTED else f"{clean[: MAX_QUOTED - 1]}…"
    return f"\u2068{short}\u2069" if short else ""
