"""Encryption at rest: what is sealed opens in its place and nowhere else, and nothing that was touched opens at all."""

import base64
import os
import re
import stat
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webmail import keys
from webmail.compression import compress, decompress
from webmail.errors import KeyTrouble, SettingError, Tampered
from webmail.keys import (
    KEY_BYTES,
    MailboxKeys,
    MasterKeys,
    Place,
    create_master_key,
    new_content_key,
    new_mailbox_keys,
    open_mailbox,
    read_master_keys,
    seal,
    seal_content_key,
    unseal,
)

HERE = Place("message_source", 7, 9, "sealed")
ELSEWHERE = (
    Place("message_view", 7, 9, "sealed"),
    Place("message_source", 8, 9, "sealed"),
    Place("message_source", 7, 10, "sealed"),
    Place("message_source", 7, 9, "summary"),
)
KEY = bytes(range(32))
OLD, NEW = b"o" * 32, b"n" * 32
REAL_CHUNK = keys.CHUNK
CHUNK = 64
"""The size of a chunk in tests of chunks: the real one would make them slow."""


@pytest.fixture(scope="module")
def small_chunks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "CHUNK", CHUNK)
        yield


def _mailbox(mailbox_id: int, master: MasterKeys | None = None) -> tuple[bytes, MailboxKeys]:
    master = master or MasterKeys([OLD])
    made = new_mailbox_keys(master, mailbox_id)
    return made.public_key, MailboxKeys(master, mailbox_id, made.wrapped)


ANN_PUBLIC, ANN = _mailbox(7)
BEN_PUBLIC, BEN = _mailbox(8)

values = (
    st.binary(max_size=5 * CHUNK)
    | st.builds(os.urandom, st.integers(0, 5 * CHUNK))
    | st.text(max_size=200).map(str.encode)
)


# --- sealed values -------------------------------------------------------------------------------------------------------


@given(value=values)
@settings(deadline=None)
def test_what_is_sealed_opens_in_its_place_and_nowhere_else(value):
    sealed = seal(KEY, value, HERE)
    assert unseal(KEY, sealed, HERE) == value
    for place in ELSEWHERE:
        with pytest.raises(Tampered):
            unseal(KEY, sealed, place)
    with pytest.raises(Tampered):
        unseal(new_content_key(), sealed, HERE)


def test_places_that_read_alike_are_different():
    """No id can be shifted into its neighbour. (Names of tables and fields are constants of ours.)"""
    places = [Place("a", 1, 12, "f"), Place("a", 11, 2, "f"), Place("a", 112, 0, "f"), Place("a1", 1, 2, "f")]
    assert len({bytes(place) for place in places}) == len(places)


@given(value=values, data=st.data())
@settings(deadline=None)
def test_a_flipped_bit_is_noticed(small_chunks, value, data):
    sealed = seal(KEY, value, HERE)
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    changed = bytearray(sealed)
    changed[bit // 8] ^= 1 << bit % 8
    # Another version byte is not tampering that a key could prove: it is a format that we do not know.
    with pytest.raises(Tampered if bit >= 8 else KeyTrouble):
        unseal(KEY, bytes(changed), HERE)


@given(value=values, data=st.data())
@settings(deadline=None)
def test_a_cut_value_is_noticed(small_chunks, value, data):
    sealed = seal(KEY, value, HERE)
    with pytest.raises(KeyTrouble):
        unseal(KEY, sealed[: data.draw(st.integers(0, len(sealed) - 1))], HERE)


@given(value=values, more=st.binary(min_size=1, max_size=2 * CHUNK))
@settings(deadline=None)
def test_a_longer_value_is_noticed(small_chunks, value, more):
    with pytest.raises(Tampered):
        unseal(KEY, seal(KEY, value, HERE) + more, HERE)


@given(chunks=st.integers(2, 6), data=st.data())
@settings(deadline=None)
def test_chunks_keep_their_number_and_order(small_chunks, chunks, data):
    value = os.urandom(chunks * CHUNK)
    sealed = seal(KEY, value, HERE)
    head, step = sealed[:9], CHUNK + 16
    parts = [sealed[9 + at * step : 9 + (at + 1) * step] for at in range(chunks)]
    assert b"".join([head, *parts]) == sealed
    order = data.draw(
        st.lists(st.integers(0, chunks - 1), min_size=1, max_size=chunks + 1).filter(
            lambda o: o != list(range(chunks))
        )
    )
    with pytest.raises(Tampered):
        unseal(KEY, head + b"".join(parts[at] for at in order), HERE)


def test_chunks_of_another_value_do_not_fit(small_chunks):
    one, two = (seal(KEY, os.urandom(3 * CHUNK), HERE) for _ in range(2))
    step = CHUNK + 16
    with pytest.raises(Tampered):
        unseal(KEY, one[: 9 + step] + two[9 + step :], HERE)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1])
def test_the_borders_of_chunks(small_chunks, size):
    value = os.urandom(size)
    sealed = seal(KEY, value, HERE)
    assert len(sealed) == 9 + size + 16 * max(1, -(-size // CHUNK))
    assert unseal(KEY, sealed, HERE) == value


def test_a_large_value_in_real_chunks(monkeypatch):
    monkeypatch.setattr(keys, "CHUNK", REAL_CHUNK)
    value = os.urandom(2 * REAL_CHUNK + 3)
    assert unseal(KEY, seal(KEY, value, HERE), HERE) == value


def test_no_two_sealed_values_are_alike():
    seen = {seal(KEY, b"the same", HERE) for _ in range(200)}
    assert len(seen) == 200
    assert len({sealed[2:9] for sealed in seen}) == 200


def test_nothing_of_the_value_shows():
    value = b"Subject: canary" * 400
    sealed = seal(KEY, value, HERE)
    assert b"canary" not in sealed
    assert len(sealed) < len(value) / 10  # compressed first
    assert max(Counter(seal(KEY, os.urandom(1 << 16), HERE)).values()) < 2 * (1 << 16) / 256


def test_what_unpacks_to_more_than_asked_for_is_refused():
    sealed = seal(KEY, bytes(1 << 20), HERE)
    assert len(sealed) < 1000
    with pytest.raises(Tampered):
        unseal(KEY, sealed, HERE, limit=(1 << 20) - 1)
    assert len(unseal(KEY, sealed, HERE, limit=1 << 20)) == 1 << 20


@given(junk=st.binary(max_size=200))
@settings(deadline=None)
def test_junk_is_trouble_and_never_a_value(junk):
    with pytest.raises(KeyTrouble):
        unseal(KEY, junk, HERE)
    with pytest.raises(KeyTrouble):
        ANN.open_content_key(junk, 9)
    with pytest.raises(KeyTrouble):
        MasterKeys([OLD]).unwrap(junk, HERE)


@given(value=st.binary(max_size=2000))
@settings(deadline=None)
def test_compression_comes_back(value):
    assert decompress(compress(value), 2000) == value


@pytest.mark.parametrize("value", [b"", b"not zstd", compress(b"x" * 100)[:-1]])
def test_what_is_not_a_whole_frame_is_refused(value):
    with pytest.raises(Tampered):
        decompress(value, 1000)


# --- content keys --------------------------------------------------------------------------------------------------------


@given(message_id=st.integers(0, 2**48 - 1))
@settings(max_examples=20, deadline=None)
def test_a_content_key_comes_back_in_both_forms(message_id):
    key = new_content_key()
    arrived = seal_content_key(key, ANN_PUBLIC, 7, message_id)
    assert ANN.open_content_key(arrived, message_id) == key
    filed = ANN.wrap_content_key(key, message_id)
    assert ANN.open_content_key(filed, message_id) == key
    assert arrived[:1] != filed[:1]


def test_a_public_key_opens_nothing():
    """Inbound holds public keys alone. What it sealed opens with the private key of that mailbox and no other, in that row alone."""
    key = new_content_key()
    arrived = seal_content_key(key, ANN_PUBLIC, 7, 9)
    assert key not in arrived
    with pytest.raises(Tampered):
        BEN.open_content_key(arrived, 9)
    with pytest.raises(Tampered):
        ANN.open_content_key(arrived, 10)
    with pytest.raises(Tampered):
        ANN.open_content_key(seal_content_key(key, ANN_PUBLIC, 8, 9), 9)
    with pytest.raises(Tampered):
        ANN.open_content_key(seal_content_key(key, BEN_PUBLIC, 7, 9), 9)


def test_a_filed_content_key_opens_in_its_row_alone():
    filed = ANN.wrap_content_key(new_content_key(), 9)
    for where, message_id in ((ANN, 10), (BEN, 9)):
        with pytest.raises(Tampered):
            where.open_content_key(filed, message_id)


@given(bit=st.integers(8, 8 * 61 - 1))
@settings(deadline=None)
def test_a_flipped_bit_of_a_filed_content_key_is_noticed(bit):
    changed = bytearray(ANN.wrap_content_key(KEY, 9))
    assert len(changed) == 61
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Tampered):
        ANN.open_content_key(bytes(changed), 9)


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_a_flipped_bit_of_an_arrived_content_key_is_noticed(data):
    changed = bytearray(seal_content_key(KEY, ANN_PUBLIC, 7, 9))
    bit = data.draw(st.integers(8, 8 * len(changed) - 1))
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Tampered):
        ANN.open_content_key(bytes(changed), 9)


@pytest.mark.parametrize("public", [b"", b"\x02" + ANN_PUBLIC[1:], ANN_PUBLIC[:-1], ANN_PUBLIC + b"x"])
def test_a_public_key_of_another_format_is_refused(public):
    with pytest.raises(KeyTrouble):
        seal_content_key(KEY, public, 7, 9)


# --- search --------------------------------------------------------------------------------------------------------------


@given(word=st.text(max_size=80))
@settings(deadline=None)
def test_a_token_is_the_same_within_a_mailbox_and_another_in_another(word):
    assert ANN.token(word) == ANN.token(word)
    assert ANN.token(word) != BEN.token(word)
    assert len(base64.urlsafe_b64decode(ANN.token(word) + "=")) == 8
    assert ANN.blind(word) != BEN.blind(word)
    assert ANN.blind(word)[:8] != base64.urlsafe_b64decode(ANN.token(word) + "=")


def test_tokens_outlive_a_restart_and_a_rotation():
    old, both = MasterKeys([OLD]), MasterKeys([NEW, OLD])
    made = new_mailbox_keys(old, 7)
    place = Place("mailbox_key", 7, 7, "wrapped")
    again = both.wrap(both.unwrap(made.wrapped, place), place)
    tokens = {
        MailboxKeys(keys, 7, wrapped).token("satellite")
        for keys, wrapped in ((old, made.wrapped), (both, made.wrapped), (both, again))
    }
    assert len(tokens) == 1


def test_words_have_tokens_of_their_own():
    assert len({ANN.token(f"word{number}") for number in range(2000)}) == 2000


# --- the master key ------------------------------------------------------------------------------------------------------


def test_rotation_opens_the_old_and_writes_the_new():
    wrapped = MasterKeys([OLD]).wrap(b"secret", HERE)
    both = MasterKeys([NEW, OLD])
    assert both.unwrap(wrapped, HERE) == b"secret"
    assert not both.is_current(wrapped)
    again = both.wrap(b"secret", HERE)
    assert both.is_current(again)
    assert MasterKeys([NEW]).unwrap(again, HERE) == b"secret"
    with pytest.raises(KeyTrouble, match="not here"):
        MasterKeys([NEW]).unwrap(wrapped, HERE)


def test_a_wrapped_bundle_stays_with_its_mailbox():
    master = MasterKeys([OLD])
    made = new_mailbox_keys(master, 7)
    with pytest.raises(Tampered):
        MailboxKeys(master, 8, made.wrapped)
    assert made.public_key != new_mailbox_keys(master, 7).public_key


@given(data=st.data())
@settings(deadline=None)
def test_a_flipped_bit_of_a_wrapped_bundle_is_trouble(data):
    wrapped = bytearray(MasterKeys([OLD]).wrap(b"secret" * 20, HERE))
    bit = data.draw(st.integers(0, 8 * len(wrapped) - 1))
    wrapped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Tampered if bit >= 8 * 5 else KeyTrouble):  # before that: version and key id
        MasterKeys([OLD]).unwrap(bytes(wrapped), HERE)


def test_purposes_have_keys_of_their_own():
    master = MasterKeys([OLD])
    assert master.derive("csrf") == MasterKeys([OLD]).derive("csrf")
    assert len({master.derive("csrf"), master.derive("cookies"), MasterKeys([NEW]).derive("csrf"), OLD}) == 4


def test_without_a_master_key_nothing_starts():
    with pytest.raises(SettingError, match="MTUMAIL_MASTER_KEY"):
        MasterKeys([])


def test_a_key_file_is_private_and_never_replaced(tmp_path):
    path = tmp_path / "master.key"
    create_master_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    [key] = read_master_keys(path)
    assert len(key) == KEY_BYTES
    with pytest.raises(FileExistsError):
        create_master_key(path)
    assert read_master_keys(path) == (key,)


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (base64.b64encode(KEY), 0o640, "read by others"),
        (b"", 0o600, "must hold keys"),
        (base64.b64encode(b"short"), 0o600, "must hold keys"),
        (b"not base64!", 0o600, "base64"),
        (b"\xff\xfe", 0o600, "base64"),
    ],
)
def test_a_key_file_that_will_not_do_is_named(tmp_path, content, mode, words):
    path = tmp_path / "master.key"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(SettingError, match=words) as refusal:
        read_master_keys(path)
    assert "MTUMAIL_MASTER_KEY_FILE" in str(refusal.value)
    assert content.decode("latin-1") not in str(refusal.value) or not content


def test_a_key_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingError, match="cannot be read"):
        read_master_keys(tmp_path / "none")


def test_several_keys_in_a_file_the_current_one_first(tmp_path):
    path = tmp_path / "master.key"
    path.write_bytes(base64.b64encode(NEW) + b"\n" + base64.b64encode(OLD) + b"\n")
    path.chmod(0o600)
    assert read_master_keys(path) == (NEW, OLD)


# --- the door ------------------------------------------------------------------------------------------------------------


def test_the_door_asks_by_what_right():
    master = MasterKeys([OLD])
    made = new_mailbox_keys(master, 7)
    asked = []

    class Right:
        def admit(self, mailbox_id: int) -> bytes:
            asked.append(mailbox_id)
            return made.wrapped

    assert open_mailbox(master, 7, Right()).token("x") == MailboxKeys(master, 7, made.wrapped).token("x")
    assert asked == [7]


def test_keys_do_not_show_themselves():
    """A stray line of a log prints an object, never what is in it."""
    for holder in (MasterKeys([OLD]), ANN):
        assert re.fullmatch(r"<webmail\.keys\.\w+ object at 0x[0-9a-f]+>", repr(holder))
