"""What one judgement may cost. Sizes in octets, times in seconds."""

from typing import Final

MAX_HEADER_BLOCK: Final = 256 * 1024
"""As much of a header section as is ever shown; a longer one is not verified."""
MAX_FIELDS: Final = 1_000
MAX_SIGNATURE: Final = 16 * 1024
"""Of one DKIM-Signature or ARC field."""
MAX_SIGNATURES: Final = 10
"""DKIM signatures looked at, from the top."""
MAX_SETS: Final = 50
"""ARC sets (RFC 8617 section 4.2.1)."""
MAX_AUTHORS: Final = 5
"""Domains of From addresses whose policies are looked up."""
RSA_BITS: Final = range(1024, 4097)
"""RFC 8301 section 3.2: shorter keys prove nothing, longer ones need not be tried."""
RSA_EXPONENT: Final = 1 << 33
MAX_SPF: Final = 4 * 1024
"""Of one SPF record: pyspf's expressions are not linear."""

DEADLINE: Final = 4.0
"""For all DNS questions of one message together. The last one may overrun it by two seconds: below `Limits.port_deadline`."""
QUERIES: Final = 60
"""DNS questions one message may cost."""
QUERY: Final = 2.5
"""For one DNS question."""
WAITING: Final = 32
"""Judgements that wait for the network at the same time: more than a peer may have connections (`Limits.connections_per_ip`), so
that no single one can take all of them with names that never answer, and have the mail of others go unjudged. Each of them has a
thread beside those that commit."""
SLOT: Final = 0.25
"""How long a question waits to be one of them."""
REST: Final = 15.0
"""How long a resolver that does not answer is left alone."""
ANSWERS: Final = 2_048
"""Answers remembered."""
ANSWER: Final = 16 * 1024
"""Of the records in one answer; more of them is no answer."""
TTL: Final = (5, 3_600)
TTL_NONE: Final = 60
TTL_TEMPORARY: Final = 10
"""How long "no such thing" and "no answer" are remembered."""
