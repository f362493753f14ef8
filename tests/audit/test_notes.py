"""Signed notes: as Go's checksum database and C2SP have them, and nothing but them."""

import pytest

from webmail.audit import notes
from webmail.audit.notes import Checkpoint, NotANote, Verifier

# The Go checksum database's own key, as the go command carries it.
GOLANG = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
# The example of Go's package golang.org/x/mod/sumdb/note: a key, a text, and its signature.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
QUOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""


@pytest.fixture(scope="module")
def key():
    return notes.new_key()


@pytest.fixture(scope="module")
def note(key):
    return Checkpoint("mail.test/audit", 20852163, bytes(range(32))).sign(key[1])


def test_a_key_of_others_is_read_and_written():
    for text in (GOLANG, PETER):
        assert str(Verifier.read(text)) == text


def test_a_note_of_others_is_believed():
    assert Verifier.read(PETER).signed(QUOTE)
    assert not Verifier.read(PETER).signed(QUOTE.replace("your problem is", "my problem is"))
    assert not Verifier.read(GOLANG).signed(QUOTE)


def test_a_checkpoint_says_what_was_signed(key, note):
    assert note.startswith(
        "mail.test/audit\n20852163\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— mail.test/audit "
    )
    assert Checkpoint.read(note) == Checkpoint("mail.test/audit", 20852163, bytes(range(32)))
    assert Verifier("mail.test/audit", key[0]).signed(note)


def test_a_changed_checkpoint_is_not_believed(key, note):
    mine = Verifier("mail.test/audit", key[0])
    for was, becomes in (
        ("20852163", "20852162"),
        ("AAECAw", "AAECBw"),
        ("mail.test/audit\n2", "mail.text/audit\n2"),
    ):
        assert not mine.signed(note.replace(was, becomes, 1))
    assert not Verifier("mail.test/audit", notes.new_key()[0]).signed(note)
    assert not Verifier("other.test/audit", key[0]).signed(note)


def test_a_witness_may_sign_too(key, note):
    other = Checkpoint("witness.test/w", 1, bytes(32)).sign(notes.new_key()[1]).rsplit("\n\n", 1)[1]
    assert Verifier("mail.test/audit", key[0]).signed(note + other)
    assert Checkpoint.read(note + other).size == 20852163


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "no note", "a\n1\nb\n", "a\n1\n\n", "a\n\n— x AAAA", "a\n\nx AAAA\n", "a\n\n— x\n", "a\n\n— x y z\n", "a\n\n— x !!!!\n",
        "mail.test\n0\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— x AAAA\n",
        "mail.test\n01\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— x AAAA\n",
        "mail.test\n-1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— x AAAA\n",
        "mail.test\n1\nAAEC\n\n— x AAAA\n", "mail.test\n1\n\n— x AAAA\n",
    ],
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(NotANote):
        Checkpoint.read(text)


@pytest.mark.parametrize(
    "text",
    ["", "name", GOLANG.replace("033de0ae", "033de0af"), GOLANG.replace("sum.", "sun."), GOLANG[:-4], "x+00000000+!!", "+00000000+AQ=="],
)  # fmt: skip
def test_what_is_no_key_is_refused(text):
    with pytest.raises(NotANote):
        Verifier.read(text)


def test_a_proof_is_written_and_read(note):
    path = [bytes([number]) * 32 for number in range(3)]
    text = notes.write_proof(b'{"entry": "x"}', 7, path, note)
    assert text.startswith("c2sp.org/tlog-proof@v1\nextra ")
    assert notes.read_proof(text) == (b'{"entry": "x"}', 7, path, note)


@pytest.mark.parametrize(
    ("was", "becomes"), [("tlog-proof@v1", "tlog-proof@v2"), ("index 7", "index 07"), ("index 7", "7"), ("\n\n", "\n"), ("AAAA", "!!!!")]
)  # fmt: skip
def test_what_is_no_proof_is_refused(note, was, becomes):
    text = notes.write_proof(b"x", 7, [bytes(32)], note).replace(was, becomes)
    with pytest.raises(NotANote):
        notes.Checkpoint.read(notes.read_proof(text)[3])
