"""A host's addresses, asked for once and in bounded time.

dnspython and not the system's resolver: that one knows no deadline, and it answers out of hosts files, search domains, local
multicast and the names of containers, none of which a stranger's address has any business with.
"""

from collections.abc import Callable, Sequence
from ipaddress import ip_address

import dns.exception
import dns.name
import dns.resolver

from webmail.remote.model import Stop
from webmail.remote.reach import IPAddress

Names = Callable[[str, float], Sequence[IPAddress]]
"""(host name without a last dot, seconds) -> its addresses. Raises Stop: "name" where there are none, "dns" without an answer."""


def look_up(host: str, seconds: float) -> list[IPAddress]:
    """All A and AAAA addresses of a name that stands for itself (RFC 1034: absolute), IPv4 first."""
    try:
        name = dns.name.from_text(f"{host}.")
        answers = dns.resolver.Resolver().resolve_name(name, lifetime=seconds, search=False)
        return sorted(map(ip_address, answers.addresses()), key=lambda address: address.version)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.name.LabelTooLong, dns.name.NameTooLong):
        raise Stop("name") from None
    except (dns.exception.DNSException, OSError):
        raise Stop("dns") from None
    except ValueError:
        raise Stop("name") from None
