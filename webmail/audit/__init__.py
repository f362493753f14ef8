"""The audit log: append-only, tamper-evident events. Stores plain values, imports no concept, outlives them all.

`audit_append` in the database is the only way in. It takes a lock, numbers the event without gaps, stamps it with the database's
clock, and stores the canonical text with its hashes:

    leaf    SHA-256(0x00 || text), as in RFC 6962 section 2.1
    nodes   the roots of the subtrees that this leaf completes: the Merkle tree, each node in the row that finished it. A leaf
            finishes one on average, twenty at most among a million: so much is read and hashed for an append
    chain   SHA-256(0x01 || previous chain || leaf): every row vouches for all before it, where the tree's newest leaves hang
            together only in the next root; so a fault is found at its own row, and a part of the log can be verified alone

Roots are signed every few minutes (`checkpoints`) and kept elsewhere too. Every role of ours, the owner included, is refused
UPDATE, DELETE and TRUNCATE. Events hold ids and codes, never an address, a subject or a word of mail; whom they are about is a
salted commitment in them, so that a person can be forgotten and the tree still holds.
"""

from webmail.audit.checkpoints import NotKept, State, kept, send, sent, state, unsent
from webmail.audit.checkpoints import last as last_checkpoint
from webmail.audit.checkpoints import make as make_checkpoint
from webmail.audit.kinds import KINDS, Kind, read_by
from webmail.audit.models import AuditEvent
from webmail.audit.proofs import proof
from webmail.audit.reading import Filters, Line, Own, about, one, page
from webmail.audit.recording import drop_detail, forget, record, seal, unseal
from webmail.audit.sealing import verifier
from webmail.audit.verifying import GENESIS, Fault, Report, examine, stored_checkpoints, verify

__all__ = (
    "GENESIS",
    "KINDS",
    "AuditEvent",
    "Fault",
    "Filters",
    "Kind",
    "Line",
    "NotKept",
    "Own",
    "Report",
    "State",
    "about",
    "drop_detail",
    "examine",
    "forget",
    "kept",
    "last_checkpoint",
    "make_checkpoint",
    "one",
    "page",
    "proof",
    "read_by",
    "record",
    "seal",
    "send",
    "sent",
    "state",
    "stored_checkpoints",
    "unseal",
    "unsent",
    "verifier",
    "verify",
)
