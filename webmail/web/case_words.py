"""Words about cases: for the staff exact ones, for those who brought them plain ones."""

from flask_babel import lazy_gettext as _l

KINDS = {
    "spam": _l("Spam"),
    "phishing": _l("Phishing"),
    "malware": _l("Malware"),
    "fraud": _l("Fraud"),
    "harassment": _l("Harassment"),
    "other": _l("Other"),
    "service": _l("Service"),
    "delivery": _l("Delivery"),
    "security": _l("Security"),
    "legal": _l("Legal"),
    "request": _l("Request"),
}
SOURCES = {
    "report": _l("Report"),
    "mail": _l("Mail"),
    "feedback": _l("Complaint of a server"),
    "form": _l("Form"),
    "event": _l("Security event"),
    "staff": _l("Staff"),
}
STATES = {"open": _l("Open"), "waiting": _l("Waiting"), "closed": _l("Closed")}
OUTCOMES = {
    "acted": _l("We acted"),
    "no_violation": _l("No rule was broken"),
    "not_ours": _l("Not ours: nobody here sent it"),
    "unclear": _l("Not enough to go on"),
    "answered": _l("Answered"),
    "mistake": _l("Brought by mistake"),
    "merged": _l("Merged into another case"),
}
"""As the staff choose them."""
WHY = {
    "subject": _l("same matter"),
    "account": _l("same account"),
    "reporter": _l("same reporter"),
    "merged": _l("merged"),
}
ABOUT = {"account": _l("account"), "sender": _l("sender"), "message": _l("Message-ID"), "text": _l("text")}
PARTS = {"text": _l("text"), "headers": _l("headers"), "formatted": _l("formatted")}

TOLD_STATES = {
    "open": _l("Our staff are working on it."),
    "waiting": _l("We wait for somebody else’s answer."),
    "closed": _l("Closed."),
}
TOLD_OUTCOMES = {
    "": "",
    "acted": _l(
        "A rule was broken, and we acted on it. For the sake of everybody’s privacy we do not say against whom, or how."
    ),
    "no_violation": _l("We looked at it, and found that no rule of ours was broken."),
    "not_ours": _l("It was not sent by anybody here. We use what you told us to recognise such mail."),
    "unclear": _l("There was not enough in it for us to act on."),
    "answered": _l("We answered what was asked."),
    "mistake": _l("It was brought to us by mistake, and nothing had to be done."),
    "merged": _l("Our staff are working on it."),
}
"""As those hear of it who brought it: nothing in them says whose doing it was."""
