"""A proof holds without us: checked by the stand-alone program of docs, run as somebody would who has only that file and the key."""

import ast
import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from webmail import audit
from webmail.audit import notes
from webmail.db import transaction
from webmail.errors import NotFound

PROGRAM = Path(__file__).resolve().parents[2] / "docs" / "verify_proof.py"


@pytest.fixture
def key(owner_app):
    def read() -> str:
        with owner_app.app_context(), transaction():
            return str(audit.verifier())

    return read


@pytest.fixture
def prove(owner_app):
    def make(number: int, **values) -> str | None:
        with owner_app.app_context(), transaction():
            return audit.proof(number, **values)

    return make


@pytest.fixture
def check(tmp_path):
    """Run the program of docs on a proof: exit code, and what it says."""

    def run(proof: str, key: str) -> tuple[int, str]:
        path = tmp_path / "event.tlog-proof"
        path.write_text(proof, "utf-8")
        done = subprocess.run(
            [sys.executable, "-I", str(PROGRAM), str(path), key], capture_output=True, text=True, timeout=30, check=False
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout + done.stderr

    return run


def test_the_program_is_short_and_knows_nothing_of_us():
    source = PROGRAM.read_text("utf-8")
    assert source.count("\n") < 100
    assert "webmail" not in source
    tree = ast.parse(source)
    used = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    used |= {str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert used == {"base64", "json", "sys", "hashlib", "pathlib", "cryptography"}


def test_P16_an_event_is_proved_without_us(log, append, checkpoint, prove, key, check):
    append(7)
    checkpoint()
    for number in (1, 6, 13):
        code, said = check(prove(number), key())
        assert code == 0
        assert said.startswith(f"PROVED: event {number} of 13\n")
        assert f'"number": {number}' in said
        assert '"kind": "mailbox.created"' in said


def _changed(proof: str) -> dict[str, str]:
    extra, index, path, note = notes.read_proof(proof)
    entry = json.loads(extra)["entry"]
    other = json.dumps({"entry": entry.replace("mailbox.created", "mailbox.opened")}).encode()
    return {
        "another entry": notes.write_proof(other, index, path, note),
        "another place": notes.write_proof(extra, index + 1, path, note),
        "a place after the end": notes.write_proof(extra, 99, path, note),
        "a hash changed": notes.write_proof(extra, index, [bytes(32), *path[1:]], note),
        "a hash less": notes.write_proof(extra, index, path[:-1], note),
        "a hash more": notes.write_proof(extra, index, [*path, bytes(32)], note),
        "another size": notes.write_proof(extra, index, path, note.replace("\n13\n", "\n12\n")),
        "its own signature": notes.write_proof(
            extra, index, path, notes.Checkpoint.read(note).sign(notes.new_key()[1])
        ),
        "no proof": proof.replace("tlog-proof", "x"),
    }


def test_P16_what_was_changed_is_not_proved(log, append, checkpoint, prove, key, check):
    append(7)
    checkpoint()
    for what, proof in _changed(prove(3)).items():
        code, said = check(proof, key())
        assert code == 1, what
        assert said.startswith("NOT PROVED: "), what
    code, said = check(prove(3), str(notes.Verifier("mail.test/audit", notes.new_key()[0])))
    assert (code, said) == (1, "NOT PROVED: the key did not sign it\n")


def test_P11_a_person_proves_an_event_about_them(
    log, web_app, owner_app, worker, master, checkpoint, key, check
):
    with web_app.app_context(), transaction():
        mine = audit.record("role.granted", "account:1", about=4711, role="support")
        audit.record("role.granted", "account:1", about=4712, role="support")
        gagged = audit.seal(master, "access.opened", "account:1", b"Order 12", about=4711)
    checkpoint()
    with web_app.app_context(), transaction():
        proof = audit.proof(mine, about=4711)
        for number, account in ((mine, 4712), (gagged, 4711), (1, 4711), (99, 4711)):
            with pytest.raises(NotFound):
                audit.proof(number, about=account)
    code, said = check(proof, key())
    assert code == 0
    assert "It is about account 4711." in said
    extra, *rest = notes.read_proof(proof)
    other = json.loads(extra)
    other["about"]["account"] = 4712
    assert check(notes.write_proof(json.dumps(other).encode(), *rest), key()) == (
        1,
        "NOT PROVED: it is not about this account\n",
    )
    with worker.app_context(), transaction():
        audit.unseal(master, gagged)
    with web_app.app_context(), transaction():
        proof = audit.proof(gagged, about=4711)
    code, said = check(proof, key())
    assert code == 0
    assert "What was sealed in it: Order 12" in said
    extra, *rest = notes.read_proof(proof)
    other = json.loads(extra)
    other["opened"]["body"] = base64.b64encode(b"Order 13").decode()
    assert check(notes.write_proof(json.dumps(other).encode(), *rest), key())[0] == 1


def test_there_is_no_proof_before_it_is_signed(log, append, checkpoint, prove):
    assert prove(6) is None
    checkpoint()
    append(1)
    assert prove(6) is not None
    assert prove(7) is None


@pytest.mark.parametrize("number", [0, 7, 10**9])
def test_what_never_was_is_not_proved(log, checkpoint, prove, number):
    checkpoint()
    with pytest.raises(NotFound):
        prove(number)
