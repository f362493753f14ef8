"""What comes back: delivery reports, read from what machines wrote, or from the prose that old ones write. Pure.

`read` never raises and is linear in time. It says what a message claims and nothing of whether to believe it: anybody can write
a report. Machine-readable ones follow RFC 3464 (fields), RFC 3463 (status codes) and RFC 6533 (addresses that are not ASCII);
RFC 8098 receipts, RFC 5965 complaints and RFC 3834 answers of machines are told apart from them.
"""

from webmail.mail.bounces.model import REASONS, Action, Kind, Reason, Recipient, Report
from webmail.mail.bounces.reader import read
from webmail.mail.bounces.reasons import clean_reply, enhanced, is_hard, reason_of

__all__ = [
    "REASONS",
    "Action",
    "Kind",
    "Reason",
    "Recipient",
    "Report",
    "clean_reply",
    "enhanced",
    "is_hard",
    "read",
    "reason_of",
]
