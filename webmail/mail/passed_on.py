"""Mail that a list changed and passed on, so that its author's domain no longer vouches for it: whom to believe."""

from webmail.keys import MailboxKeys
from webmail.mail import correspondents
from webmail.mail.idn import is_within
from webmail.mail.view import View

_LOOKED_AT = 20


def by_known_list(keys: MailboxKeys, view: View) -> bool:
    """True if a message came through a list that this mailbox has written to, and the list's domain sealed it (RFC 8617).

    Anybody can seal with a domain of his own and call himself a list. That the reader wrote there is what no stranger can say.
    One query, and none for mail without a seal.
    """
    told = view.authentication
    if (
        told is None
        or told.arc != "pass"
        or not told.arc_sealer
        or view.offer is None
        or not view.offer.list_id
    ):
        return False
    lists = [
        address
        for _name, address in (*view.to, *view.cc)[:_LOOKED_AT]
        if is_within(address.rpartition("@")[2].lower(), told.arc_sealer)
        and address.lower().replace("@", ".") == view.offer.list_id
    ]
    return any(one.sent for one in correspondents.known_all(keys, lists))
