"""Whoever runs the database changes what an entry says, and makes its hashes anew. The signed root tells another history."""

CHANGE = """UPDATE audit_event SET entry = replace(entry, '"mailbox": 3', '"mailbox": 5') WHERE number = 3"""


def test_P16_a_changed_entry_is_found(log, behind, faults):
    behind(CHANGE)
    assert faults() == ["event 3 was changed"]


def test_P16_with_all_its_hashes_made_anew_it_is_found_by_the_signature(log, behind, faults, signed, rehash):
    signed()
    behind(CHANGE)
    rehash()
    [fault] = faults()
    assert fault.startswith("checkpoint 6 tells another history")


def test_P16_awake_triggers_refuse_even_a_superuser(log, refused, faults):
    assert refused("superuser", CHANGE) == "the audit log is append-only"
    assert faults() == []
