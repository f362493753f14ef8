"""Mail from strangers made safe to show. Pure: no database, no web framework.

Two views of HTML (`reading`, `formatted`) and one of plain text (`plain`). `safely` is what most callers want: it
cleans small and simple messages here and all others in a jail, and never raises.
"""

from webmail.mail.sanitize.jail import in_jail, safely
from webmail.mail.sanitize.layout import FRAME_CSP, document, formatted
from webmail.mail.sanitize.limits import guard
from webmail.mail.sanitize.model import VERSION, Formatted, Image, Link, Part, Reading, Refusal
from webmail.mail.sanitize.structure import reading
from webmail.mail.sanitize.text import plain, plain_reading
from webmail.mail.sanitize.trackers import Tracker, named, tracker_name

__all__ = [
    "FRAME_CSP",
    "VERSION",
    "Formatted",
    "Image",
    "Link",
    "Part",
    "Reading",
    "Refusal",
    "Tracker",
    "document",
    "formatted",
    "guard",
    "in_jail",
    "named",
    "plain",
    "plain_reading",
    "reading",
    "safely",
    "tracker_name",
]
