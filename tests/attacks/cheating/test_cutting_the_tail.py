"""Whoever runs the database removes the newest entries and the checkpoints that know them. The second place knows them too."""


def test_P16_a_cut_tail_is_missed_by_what_was_signed(log, behind, faults, signed):
    note = signed()
    behind("DELETE FROM audit_event WHERE number > 4", "DELETE FROM audit_checkpoint")
    assert faults() == [], "without the second place nobody could tell"
    assert faults(note) == ["event 5 is missing, and all after it: a checkpoint was signed over 6 events"]


def test_P16_the_worker_signs_no_cut_log(log, behind, signed, caplog):
    import pytest

    from webmail.errors import Tampered

    signed()
    behind("DELETE FROM audit_event WHERE number > 4")
    with pytest.raises(Tampered, match="not the one that was signed"):
        signed()
