"""Calendar objects as mail carries them (iCalendar RFC 5545, iTIP RFC 5546). Pure: no database, no Flask.

`read` never raises, is linear in time and keeps to the limits of `lines`. icalendar reads content lines, values and rules, and
writes answers; its whole-calendar parser is not used, because it expands the rules of every VTIMEZONE without an end (one line of
FREQ=SECONDLY stops a process) and keeps zones that a message defines for all later messages of the process. Nothing here ever
expands a recurrence: a rule is described, not run.
"""

from webmail.mail.calendar.answers import Partstat, Unanswerable, answer
from webmail.mail.calendar.model import Attendee, Invitation, Person, Recurrence
from webmail.mail.calendar.reader import read

__all__ = ["Attendee", "Invitation", "Partstat", "Person", "Recurrence", "Unanswerable", "answer", "read"]
