"""A worker in wrong hands, or whoever runs the database, signs a root with a key of his own, or a root that never was."""

from webmail.audit import notes
from webmail.audit.notes import Checkpoint, Verifier, new_key


def test_P16_a_root_that_is_not_the_logs_is_refused(log, refused):
    note = Checkpoint("mail.test/audit", 6, bytes(32)).sign(new_key()[1]).replace("'", "''")
    row = f"INSERT INTO audit_checkpoint (size, root, note) VALUES (6, decode(repeat('00', 32), 'hex'), '{note}')"
    assert refused("worker", row) == "a checkpoint tells the log's own root"
    for role in ("web", "staff", "inbound"):
        assert "permission denied" in refused(role, row)


def test_P16_with_a_strange_key_it_is_forged(log, signed, faults, owner_app):
    real = signed()
    _public, private = new_key()
    said = Checkpoint.read(real)
    forged = Checkpoint(said.origin, said.size, said.root).sign(private)
    from webmail import audit
    from webmail.db import transaction

    with owner_app.app_context(), transaction():
        verifier = audit.verifier()
    assert isinstance(verifier, Verifier)
    assert verifier.signed(real)
    assert faults(forged, verifier=verifier) == [f"checkpoint 6 is forged: {said.origin} did not sign it"]
    assert notes.Checkpoint.read(forged).root == said.root


def test_P16_no_checkpoint_is_changed_or_removed(log, signed, refused):
    signed()
    for verb in ("UPDATE audit_checkpoint SET note = note", "DELETE FROM audit_checkpoint"):
        for role in ("web", "staff", "worker", "inbound", "owner"):
            said = refused(role, verb)
            assert "permission denied" in said or "append-only" in said
