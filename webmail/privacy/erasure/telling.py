"""The letter that says that an erasure is finished, with the link of its certificate. It goes to the contact address alone."""

import time
from datetime import UTC, datetime
from hashlib import sha256

from flask import current_app

from webmail import phrases
from webmail.db import show_id
from webmail.mail.addresses import Address, AddressError, parse_spec
from webmail.phrases import gettext as _
from webmail.phrases import marked
from webmail.privacy.erasure import asking
from webmail.privacy.erasure.doing import Step
from webmail.sending import dkim
from webmail.sending.composing import Composition, build
from webmail.settings import dkim_keys, domains, languages

_AUTOMATIC = b"Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n"
_WHAT = {"account": marked("Your account is deleted"), "mailbox": marked("A mailbox of yours is deleted")}


def letter(step: Step) -> tuple[str, bytes] | None:
    """To whom, and the signed message; None where there is no contact address that mail could go to.

    The same erasure makes the same Message-ID, so that a letter that is sent twice is known as one.
    """
    try:
        to = parse_spec(step.contact)
    except AddressError:
        return None
    settings, master = current_app.extensions["settings"], current_app.extensions["master_keys"]
    home = next(iter(domains.names()), settings.host_name)
    where = f"{settings.origin}/erased/{show_id(step.erasure_id)}/{asking.link(master, step.erasure_id)}"
    with phrases.written_in(languages.standard()):
        subject, body = _(_WHAT[step.kind]), _body(where)
    composition = Composition(
        sender=Address("noreply", home, "mtumail"),
        to=(to,),
        subject=subject,
        body=body,
        message_id=f"<{sha256(f'erased:{step.erasure_id}'.encode()).hexdigest()[:32]}@{home}>",
        date=datetime.now(UTC),
    )
    raw = _AUTOMATIC + build(composition)
    return to.email, dkim.sign(raw, home, dkim_keys.signing(master, home), int(time.time()))


def _body(where: str) -> str:
    paragraphs = [
        _("Hello,"),
        _("as you asked, it is gone. Its keys were destroyed first, then everything else."),
        _("What was destroyed, when, what remains and for how long:\n%(link)s", link=where),
        _(
            "Whoever has this link can see it, and nothing more. With this message we forget this address of yours, too."
        ),
    ]
    return "\n\n".join(paragraphs) + "\n"
