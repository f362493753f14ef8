"""How much of everything inbound takes, and the counters that hold it to that."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from time import monotonic

Network = IPv4Network | IPv6Network

LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks in CIDR notation, with commas or blanks between them. Raises ValueError."""
    return tuple(ip_network(word) for word in text.replace(",", " ").split())


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    message_bytes: int = 26_214_400
    """Of one message as sent, dots unstuffed, without our own fields."""
    body_line_bytes: int = 1 << 20
    fan_out_bytes: int = 256 << 20
    """Declared SIZE times recipients."""
    in_flight_bytes: int = 256 << 20
    """Of all messages being received or committed at this moment."""
    command_bytes: int = 512
    """Of a command line with its CRLF; MAIL may be longer by what its parameters add (RFC 1870, 6152, 6531)."""
    recipients: int = 100
    recipient_overshoot: int = 1_000
    """Recipients refused with 452 in one session before it is cut."""
    hops: int = 50
    bad_commands: int = 20
    recipient_errors: int = 10
    junk_commands: int = 100
    """NOOP, RSET, VRFY, HELP, HELO since the last accepted message."""
    error_pause: float = 1.0
    connections_per_ip: int = 20
    new_per_ip_per_minute: int = 60
    connections: int = 500
    evict_after: float = 10.0
    """When every connection is taken, the slowest one of at least this age gives way to a new one."""
    idle: float = 300.0
    session: float = 600.0
    """Of a session up to its last DATA; the content of a message has as long again."""
    data_grace: float = 30.0
    data_rate: int = 500
    """Bytes a second that content must come at, on average, once the grace is over."""
    tls_handshake: float = 30.0
    port_deadline: float = 8.0
    """For one call of a port; then 451. The peer hears of it within 10 seconds."""
    shutdown: float = 20.0
    """For messages that are under way when SIGTERM comes."""
    threads: int = 8
    """That commit messages; half as many again resolve recipients. Each may hold one database connection."""
    trusted_networks: tuple[Network, ...] = LOOPBACK
    """Exempt from the limits per address."""
    proxy_networks: tuple[Network, ...] = ()
    """Load balancers that must begin each connection with the PROXY protocol; nobody else may."""


def data_deadline(limits: Limits, started: float, last: float, received: int) -> tuple[float, str]:
    """When content that began at `started` and last came at `last` must go on, and the reply if it does not.

    Times are of the event loop's clock. `received` bytes keep the rate up until `received / data_rate` after the start.
    """
    return min(
        (started + max(limits.data_grace, received / limits.data_rate), "too_slow"),
        (last + limits.idle, "idle"),
        (started + limits.session, "session_over"),
    )


def contains(networks: tuple[Network, ...], ip: str) -> bool:
    """True if `ip` lies in one of `networks`; an IPv4 address mapped into IPv6 counts as the IPv4 one."""
    address = _address(ip)
    return address is not None and any(address in network for network in networks)


def _address(ip: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(ip.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _peer_key(ip: str) -> str:
    # One IPv6 customer holds at least a /64: counting single addresses would count nothing.
    address = _address(ip)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)


@dataclass(slots=True)
class Gate:
    """Counts connections, in total and per address. Belongs to one event loop; `enter` and `leave` never wait."""

    limits: Limits
    total: int = 0
    _per_ip: dict[str, int] = field(default_factory=dict)
    _new: dict[str, int] = field(default_factory=dict)
    _minute: int = -1

    @property
    def full(self) -> bool:
        """True when not one more connection fits."""
        return self.total >= self.limits.connections

    def enter(self, ip: str) -> str | None:
        """Count a new connection from `ip`; or the name of the reply that refuses it, and nothing is counted."""
        if self.full:
            return "too_many_sessions"
        if not contains(self.limits.trusted_networks, ip):
            key = _peer_key(ip)
            minute = int(monotonic() // 60)
            if minute != self._minute:
                self._new.clear()
                self._minute = minute
            self._new[key] = self._new.get(key, 0) + 1
            if self._new[key] > self.limits.new_per_ip_per_minute:
                return "too_fast"
            if self._per_ip.get(key, 0) >= self.limits.connections_per_ip:
                return "too_many_from_you"
            self._per_ip[key] = self._per_ip.get(key, 0) + 1
        self.total += 1
        return None

    def leave(self, ip: str) -> None:
        """A connection that `enter` let in is gone."""
        self.total -= 1
        key = _peer_key(ip)
        if key in self._per_ip:
            self._per_ip[key] -= 1
            if not self._per_ip[key]:
                del self._per_ip[key]


@dataclass(slots=True)
class Budget:
    """Bytes of messages in memory, over all sessions. Belongs to one event loop."""

    limit: int
    used: int = 0

    def take(self, size: int) -> bool:
        """Reserve `size` bytes; False, and nothing reserved, if they do not fit."""
        if self.used + size > self.limit:
            return False
        self.used += size
        return True

    def give(self, size: int) -> None:
        """Give back what was taken."""
        self.used -= size
