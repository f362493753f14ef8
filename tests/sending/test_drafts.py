"""Drafts: sealed, saved over and over, never over somebody else's words."""

import threading

import pytest
from sqlalchemy import text

from webmail.db import new_id
from webmail.errors import Conflict, NotFound, Refused, Tampered
from webmail.sending import answers_kept, drafts
from webmail.sending.drafts import Fields, Upload

AUTHOR = ("Ann Whitfield", "ann@mtumail.test")
FIRST = Fields(
    "carla@example.org", "", "secret@example.com", "Canary subject", "Canary body", references=("<a@b.c>",)
)


def upload(name="a.txt", content=b"content", content_type="text/plain"):
    return Upload(name, content_type, content)


@pytest.fixture
def draft(opened, ann):
    return opened(ann, lambda keys: drafts.create(keys, AUTHOR, FIRST))


def test_what_was_written_comes_back(opened, ann, draft):
    found = opened(ann, lambda keys: drafts.load(keys, draft.message_id))
    assert found == draft
    assert (found.fields, found.revision, found.attachments) == (FIRST, 1, ())


def test_a_draft_of_an_older_version_opens_too(opened, ann, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(drafts, "asdict", lambda fields: {"to": fields.to, "subject": fields.subject})
        made = opened(ann, lambda keys: drafts.create(keys, AUTHOR, FIRST))
    assert made.fields == Fields(to=FIRST.to, subject=FIRST.subject)


def test_nothing_of_it_lies_in_clear(opened, ann, draft, superuser):
    opened(
        ann,
        lambda keys: drafts.attach(
            keys, draft.message_id, [upload("Canary name.txt", b"Canary content")], 1000
        ),
    )
    for table in ("message", "draft", "draft_attachment"):
        rows = superuser.execute(text(f"SELECT * FROM {table}")).all()
        assert rows, table
        for row in rows:
            assert (
                b"canary"
                not in b" ".join(bytes(v) if isinstance(v, bytes) else str(v).encode() for v in row).lower()
            )


def test_a_save_needs_the_revision_it_was_made_from(opened, ann, draft):
    second, third = Fields(body="second"), Fields(body="third")
    saved = opened(ann, lambda keys: drafts.save(keys, AUTHOR, draft.message_id, 1, second))
    assert (saved.revision, saved.fields) == (2, second)
    for revision in (0, 1, 3):
        with pytest.raises(Conflict):
            opened(
                ann,
                lambda keys, revision=revision: drafts.save(keys, AUTHOR, draft.message_id, revision, third),
            )
    assert opened(ann, lambda keys: drafts.save(keys, AUTHOR, draft.message_id, 1, second)).revision == 2
    assert opened(ann, lambda keys: drafts.load(keys, draft.message_id)).fields == second


def test_one_of_two_saves_at_once_is_told(opened, ann, draft, web_app):
    results, gate = [], threading.Barrier(2)

    def save(words):
        gate.wait()
        try:
            results.append(
                opened(
                    ann, lambda keys: drafts.save(keys, AUTHOR, draft.message_id, 1, Fields(body=words))
                ).fields.body
            )
        except Conflict:
            results.append(None)

    threads = [threading.Thread(target=save, args=[words]) for words in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count(None) == 1
    (kept,) = [words for words in results if words]
    assert opened(ann, lambda keys: drafts.load(keys, draft.message_id)).fields.body == kept


def test_an_id_that_was_given_out_makes_one_draft(opened, ann, superuser):
    number = new_id()
    for _ in range(2):
        made = opened(ann, lambda keys: drafts.create(keys, AUTHOR, FIRST, number))
        assert (made.message_id, made.revision) == (number, 1)
    with pytest.raises(Conflict):
        opened(ann, lambda keys: drafts.create(keys, AUTHOR, Fields(body="other"), number))
    assert superuser.execute(text("SELECT count(*) FROM message")).scalar() == 1


def test_somebody_elses_draft_is_not_there(opened, ben, draft):
    for call in (
        lambda keys: drafts.load(keys, draft.message_id),
        lambda keys: drafts.save(keys, AUTHOR, draft.message_id, 1, FIRST),
        lambda keys: drafts.discard(keys, draft.message_id),
        lambda keys: drafts.attach(keys, draft.message_id, [upload()], 1000),
        lambda keys: drafts.files(keys, draft.message_id),
    ):
        with pytest.raises(NotFound):
            opened(ben, call)


def test_files_keep_their_bytes_and_order(opened, ann, draft, superuser):
    contents = [b"", b"x" * 3_000_000, bytes(range(256))]
    uploads = [upload(f"f{number}", content) for number, content in enumerate(contents)]
    opened(ann, lambda keys: drafts.attach(keys, draft.message_id, uploads, 4_000_000))
    assert [
        item.content for item in opened(ann, lambda keys: drafts.files(keys, draft.message_id))
    ] == contents
    opened(ann, lambda keys: drafts.detach(keys, draft.message_id, [2]))
    found = opened(ann, lambda keys: drafts.load(keys, draft.message_id))
    assert [(item.number, item.name, item.size_bytes) for item in found.attachments] == [
        (1, "f0", 0),
        (3, "f2", 256),
    ]
    assert superuser.execute(text("SELECT attachments FROM message")).scalar() == 2


def test_files_beyond_the_limits_are_refused_all_together(opened, ann, draft):
    opened(ann, lambda keys: drafts.attach(keys, draft.message_id, [upload(content=b"x" * 60)], 100))
    with pytest.raises(Refused):
        opened(
            ann,
            lambda keys: drafts.attach(
                keys, draft.message_id, [upload(content=b"y"), upload(content=b"x" * 40)], 100
            ),
        )
    with pytest.raises(Refused):
        opened(
            ann,
            lambda keys: drafts.attach(
                keys, draft.message_id, [upload(content=b"")] * drafts.MAX_ATTACHMENTS, 100
            ),
        )
    with pytest.raises(Refused):
        drafts.may_attach([upload(content=b"x" * 101)], 100)
    assert len(opened(ann, lambda keys: drafts.load(keys, draft.message_id)).attachments) == 1


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("C:\\Users\\ann\\plan.pdf", "plan.pdf"),
        ("a\r\nBcc: eve@example.com", "a Bcc: eve@example.com"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
        ("ev\u202ecod.exe", "evcod.exe"),
        ("..", "file"),
        (" ", "file"),
        ("x/", "file"),
        ("n" * 300 + ".tar.gz", "n" * 130 + ".gz"),
    ],
)
def test_names_of_files_are_made_fit_to_leave(opened, ann, draft, name, kept):
    opened(
        ann,
        lambda keys: drafts.attach(
            keys, draft.message_id, [upload(name, content_type="a/b\r\nBcc: x")], 1000
        ),
    )
    (item,) = opened(ann, lambda keys: drafts.files(keys, draft.message_id))
    assert (item.name, item.content_type) == (kept, "application/octet-stream")


def test_a_file_moved_to_another_place_does_not_open(opened, ann, draft, superuser):
    opened(
        ann,
        lambda keys: drafts.attach(
            keys, draft.message_id, [upload(content=b"a"), upload(content=b"b")], 1000
        ),
    )
    superuser.execute(
        text(
            "UPDATE draft_attachment SET sealed = (SELECT sealed FROM draft_attachment WHERE number = 2) WHERE number = 1"
        )
    )
    with pytest.raises(Tampered):
        opened(ann, lambda keys: drafts.files(keys, draft.message_id))


def test_what_is_empty_is_known_to_be():
    assert Fields(to="  ", body="\n").is_empty
    assert not Fields(bcc="x").is_empty


def test_discarding_leaves_nothing(opened, ann, draft, superuser):
    opened(ann, lambda keys: drafts.attach(keys, draft.message_id, [upload()], 1000))
    opened(ann, lambda keys: drafts.discard(keys, draft.message_id))
    for table in ("message", "draft", "draft_attachment"):
        assert superuser.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0
    with pytest.raises(NotFound):
        opened(ann, lambda keys: drafts.discard(keys, draft.message_id))


def test_files_have_numbers_that_are_told(opened, ann, draft):
    numbers = [
        opened(ann, lambda keys: drafts.attach(keys, draft.message_id, [upload(), upload()], 1000))
        for _ in range(2)
    ]
    assert numbers == [(1, 2), (3, 4)]
    assert opened(ann, lambda keys: drafts.attach(keys, draft.message_id, [], 1000)) == ()


def test_formatting_and_identity_are_kept(opened, ann, draft):
    fields = Fields(body="**x**", formatted=True, identity=7, reply_to="office@mtumail.test")
    opened(ann, lambda keys: drafts.save(keys, AUTHOR, draft.message_id, 1, fields))
    assert opened(ann, lambda keys: drafts.load(keys, draft.message_id)).fields == fields


# --- answers kept for the next time --------------------------------------------------------------------------------------


def test_answers_are_kept_changed_and_removed(opened, ann, ben, superuser):
    def add(name, words):
        return opened(ann, lambda keys: answers_kept.add(keys, name, words))

    second, first = add("  Thanks \u202e", "Canary words\r\nof two lines\n\n"), add("Apology", "Sorry.")
    assert opened(ann, answers_kept.names) == [
        answers_kept.Name(first, "Apology"),
        answers_kept.Name(second, "Thanks"),
    ]
    assert opened(ann, lambda keys: answers_kept.load(keys, second)).words == "Canary words\nof two lines"
    opened(ann, lambda keys: answers_kept.change(keys, second, "Thank you", "Many."))
    assert opened(ann, lambda keys: answers_kept.load(keys, second)) == answers_kept.Answer(
        second, "Thank you", "Many."
    )
    for row in superuser.execute(text("SELECT name, words FROM kept_answer")):
        assert not any(
            clear in bytes(value).lower()
            for value in row
            for clear in (b"canary", b"thank", b"many", b"sorry")
        )
    assert opened(ben, answers_kept.names) == []
    for call in (
        lambda keys: answers_kept.load(keys, first),
        lambda keys: answers_kept.change(keys, first, "a", "b"),
    ):
        with pytest.raises(NotFound):
            opened(ben, call)
    opened(ben, lambda keys: answers_kept.remove(keys, first))
    for _ in range(2):
        opened(ann, lambda keys: answers_kept.remove(keys, second))
    assert [one.name for one in opened(ann, answers_kept.names)] == ["Apology"]


@pytest.mark.parametrize(
    ("name", "words", "code"),
    [("", "w", "no-name"), ("\u200b ", "w", "no-name"), ("n" * 101, "w", "long-name"), ("n", " \n", "no-words"), ("n", "w" * 20_001, "long-words")],
)  # fmt: skip
def test_answers_that_cannot_be_kept_are_refused(opened, ann, name, words, code):
    with pytest.raises(Refused, match=code):
        opened(ann, lambda keys: answers_kept.add(keys, name, words))


def test_a_hundred_answers_are_enough(opened, ann, monkeypatch):
    monkeypatch.setattr(answers_kept, "MAX_ANSWERS", 2)
    for number in range(2):
        opened(ann, lambda keys, number=number: answers_kept.add(keys, f"n{number}", "w"))
    with pytest.raises(Refused, match="full"):
        opened(ann, lambda keys: answers_kept.add(keys, "n", "w"))


def test_an_answer_moved_to_another_place_does_not_open(opened, ann, superuser):
    for name in "ab":
        opened(ann, lambda keys, name=name: answers_kept.add(keys, name, name))
    superuser.execute(text("UPDATE kept_answer SET words = name"))
    with pytest.raises(Tampered):
        opened(ann, lambda keys: answers_kept.load(keys, answers_kept.names(keys)[0].answer_id))
