"""Where strangers' addresses may lead us: the web's ports, on hosts of the public internet.

The lists are the special-purpose registries of IANA (RFC 6890 and its successors), written out, because `ipaddress` of one
Python knows other networks than that of the next; its `is_global` must agree as well. Of IPv6 only 2000::/3 is in use, so
all else is refused without naming it: loopback, mapped and translated IPv4, NAT64, unique local, link- and site-local.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

PORTS = frozenset({80, 443, 8080, 8443})

_NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network: Linux takes 0.0.0.0 for itself
            "10.0.0.0/8",
            "100.64.0.0/10",  # carriers' own, and overlays of cloud hosts
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local: metadata services
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",  # and broadcast
        ),
    )
)
_IN_USE_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # Teredo, ORCHID, benchmarking and other protocols
            "2001:db8::/32",
            "2002::/16",  # 6to4: an IPv4 address inside
            "3fff::/20",
        ),
    )
)
IPAddress = IPv4Address | IPv6Address


def is_public(address: IPAddress) -> bool:
    """True for a unicast address of the public internet."""
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    return (
        address in _IN_USE_6
        and address.scope_id is None
        and not any(address in network for network in _NOT_PUBLIC_6)
    )


@dataclass(frozen=True, slots=True)
class Reach:
    """What may be connected to. `loopback_ports` opens those ports of this very machine: for tests and for development."""

    loopback_ports: frozenset[int] = frozenset()

    def port(self, port: int) -> bool:
        """Whether anything at this port may be asked; told before a name is looked up."""
        return port in PORTS or port in self.loopback_ports

    def address(self, address: IPAddress, port: int) -> bool:
        """Whether this address may be connected to at this port."""
        if address.is_loopback and port in self.loopback_ports:
            return True
        return port in PORTS and is_public(address)


PUBLIC = Reach()
