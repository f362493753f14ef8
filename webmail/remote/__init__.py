"""Reaching out to strangers' servers on a reader's behalf, and only when the reader asked. No database, no web framework.

    answer = Client().get(url)                                  # Fetched | Failed
    status = Client().post_form(url, {"List-Unsubscribe": "One-Click"})  # int | Failed

Addresses come from mail, so each is a try to make this server ask what its sender may not. A name is resolved once, all its
addresses must be public (`Reach`), the connection goes to one of those very addresses, and TLS is checked against the name:
an answer that changes between look and leap changes nothing. Redirects are followed here, each with the same care. No cookies,
no Referer, no credentials, no proxy out of the environment. Time and bytes end by our clock and our count, not by theirs.

`http.client` and not urllib3: what urllib3 adds (pools, retries, redirects, unpacking, time-outs that begin anew with each
byte) is what has to be absent here, and both read a reply with the same code.
"""

from webmail.remote.client import Client
from webmail.remote.model import Budget, Failed, Fetched, Limits
from webmail.remote.names import Names, look_up
from webmail.remote.reach import PUBLIC, Reach

__all__ = ["PUBLIC", "Budget", "Client", "Failed", "Fetched", "Limits", "Names", "Reach", "look_up"]
