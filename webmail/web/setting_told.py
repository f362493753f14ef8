"""More settings of the service in words: names, spam, notices, processors, appearance, confirming, alerts, queues."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l


@dataclass(frozen=True, slots=True)
class Told:
    """What a setting is called, what a person should know of it, and what changing it does."""

    name: Any
    note: Any
    effect: Any = ""


_NEXT_LOOK = _l("Holds with the next look, within a minute.")
_NEWCOMERS = _l("For people who come from now on. Whoever is here keeps what they have, and may change it.")

WORDS: Mapping[str, Told] = {
    "registration.signups_hour": Told(
        _l("New mailboxes in an hour"),
        _l("Of all people together. 0 for any number."),
        _l("Holds from now on. Who comes when it is full is asked to come back later."),
    ),
    "names.reserved": Told(
        _l("Names that nobody can choose"),
        _l(
            "One a line; what looks like one of them cannot be chosen either. Names of roles (postmaster) are reserved already."
        ),
        _l("Holds from now on, on every domain. Who has such a name keeps it."),
    ),
    "limits.person_mailboxes": Told(
        _l("Mailboxes of one person"),
        _l("How many somebody may own."),
        _l("Holds from now on. Mailboxes that are there stay."),
    ),
    "limits.person_bytes": Told(
        _l("Space of all mailboxes of one person"),
        _l("In bytes."),
        _l("Holds for mailboxes made from now on."),
    ),
    "spam.disowned": Told(
        _l("Mail that its domain disowns"),
        _l("Its sender’s domain says that mail without its proof is not from there (DMARC)."),
        _l("For mail that comes from now on."),
    ),
    "spam.new_days": Told(
        _l("An account is new for"),
        _l("Whoever is new may write to fewer people. 0 for nobody is new."),
        _l("Holds with the next message."),
    ),
    "spam.new_percent": Told(
        _l("How much of the limits somebody new has"),
        _l("Of the recipients in an hour and in a day."),
        _l("Holds with the next message."),
    ),
    "spam.sudden": Told(
        _l("What is sudden"),
        _l(
            "So many times as many people as somebody writes to on a usual day; it is noted for the staff, and nothing is stopped."
        ),
        _l("Holds with the next message."),
    ),
    "notices.greeting": Told(
        _l("How notices begin"),
        _l("Said first in each mail of the staff about somebody’s account. Empty for nothing."),
        _l("In notices that are mailed from now on."),
    ),
    "notices.ending": Told(
        _l("How notices end"),
        _l("For a signature, or where to ask. Said before the link to the notice. Empty for nothing."),
        _l("In notices that are mailed from now on."),
    ),
    "notices.rules": Told(
        _l("Where the rules of use are"),
        _l(
            "An address that begins with https://. Named in notices beside the rule that was broken. Empty for nowhere."
        ),
        _l("In notices that are mailed from now on."),
    ),
    "processors.others": Told(
        _l("Who else processes data for us"),
        _l(
            "Besides Clerk and the relay. One a line: who | what for | where, such as Example Ltd | keeps the backups | Ireland."
        ),
        _l(
            "Shown beside the privacy policy and in the record of processing from now on. Tell people before it is true."
        ),
    ),
    "appearance.rows": Told(_l("Messages on a page"), _l("What people begin with."), _NEWCOMERS),
    "appearance.density": Told(_l("How close lines stand"), _l("What people begin with."), _NEWCOMERS),
    "appearance.reading": Told(_l("How messages open"), _l("What people begin with."), _NEWCOMERS),
    "languages.standard": Told(
        _l("How dates, times and numbers are written"),
        _l("All words are English so far."),
        _l("Everybody sees it with the next page."),
    ),
    "security.confirm_minutes": Told(
        _l("A confirmation is good for"),
        _l("Who is about to do something grave proves first who they are, and does it within this time."),
        _l("Holds with the next act."),
    ),
    "security.confirm_level": Told(
        _l("What the staff is asked for before a grave act"),
        _l("People without a second factor are asked for their password in any case."),
        _l("Holds with the next act."),
    ),
    "retention.staff_notes": Told(
        _l("Notes of the staff about people"),
        _l("Counted from when they were written."),
        _l("What is older goes with the next run, for good."),
    ),
    "retention.alerts": Told(
        _l("Alerts that ended"),
        _l("What was wrong, since when, and who was told."),
        _l("What is older goes with the next run, for good."),
    ),
    "relay.password": Told(
        _l("Password at the relay"),
        _l(
            "In place of the one in MTUMAIL_RELAY_URL, for the first relay with a sign-in and others with the same user. Which"
            " relays there are is said in the environment alone."
        ),
        _l(
            "Holds with the next connection. What a relay refuses for a wrong password waits, and is not lost."
        ),
    ),
    "alerts.mail": Told(
        _l("Alerts by mail"),
        _l("Straight to a relay, past the outbox, which may be what is stuck."),
        _NEXT_LOOK,
    ),
    "alerts.mail_to": Told(
        _l("Where alerts are mailed to"),
        _l(
            "Empty for the address where questions about privacy go. Better one that does not depend on this service."
        ),
        _NEXT_LOOK,
    ),
    "alerts.webhook_secret": Told(
        _l("Secret that signs alerts to the webhook"),
        _l(
            "As in Standard Webhooks: whsec_ and base64, or any 24 to 200 characters. Without one, the webhook is not called."
        ),
        _l("Signs from now on. Whoever checks it needs the new one too."),
    ),
    "alerts.queue_minutes": Told(
        _l("A queue is stuck after"),
        _l("When work that is due has waited so long. A queue that is paused longer than that is told, too."),
        _NEXT_LOOK,
    ),
    "alerts.late_minutes": Told(
        _l("A schedule is late after"), _l("When it was due and has not run."), _NEXT_LOOK
    ),
    "alerts.parked": Told(_l("Work put aside"), _l("From so many pieces of one kind on."), _NEXT_LOOK),
    "alerts.backup_hours": Told(
        _l("The last good backup is too old after"), _l("Backups are made once a day."), _NEXT_LOOK
    ),
    "alerts.checkpoint_minutes": Told(
        _l("The audit log is unsigned for too long after"), _l("While it grows."), _NEXT_LOOK
    ),
    "alerts.certificate_days": Told(
        _l("A certificate ends too soon from"), _l("Days before its end."), _NEXT_LOOK
    ),
    "alerts.disk_percent": Told(_l("A disk is full from"), _l("So little of it is free."), _NEXT_LOOK),
    "alerts.error_percent": Told(
        _l("Too many pages fail from"),
        _l("Of the last half hour, where there were at least twenty failures."),
        _NEXT_LOOK,
    ),
    "operations.pause_sending": Told(
        _l("Mail does not leave"),
        _l("What people send waits in the outbox; nothing is lost, and mail that comes in is not affected."),
        _l("Within seconds: what a worker has in hand is finished, nothing else leaves."),
    ),
    "operations.pause_filing": Told(
        _l("Mail that came is not filed"),
        _l("It is accepted and kept, and appears in people’s folders when this is off again."),
        _l("Within seconds: what a worker has in hand is finished, nothing else is filed."),
    ),
}

_OFF_ON = {"off": _l("no"), "on": _l("yes")}
CHOICES: Mapping[str, Mapping[str, Any]] = {
    "spam.disowned": {"junk": _l("goes to Junk"), "inbox": _l("goes to the inbox, with a warning")},
    "appearance.rows": {"20": "20", "50": "50", "100": "100"},
    "appearance.density": {"comfortable": _l("with room"), "compact": _l("close")},
    "appearance.reading": {
        "reading": _l("in the reading view"),
        "formatted": _l("as their sender formatted them"),
    },
    "languages.standard": {
        "en_GB": _l("as in Britain: 31 December, 23:59"),
        "en_US": _l("as in the United States: December 31, 11:59 PM"),
    },
    "security.confirm_level": {
        "second_factor": _l("a code of the second factor"),
        "multi_factor": _l("the password and a code of the second factor"),
    },
    "alerts.mail": {"on": _l("yes"), "off": _l("no")},
    "operations.pause_sending": _OFF_ON,
    "operations.pause_filing": _OFF_ON,
}
