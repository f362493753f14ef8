"""vCards: every version that people have, the shapes that files are broken in, limits, and what is written."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail.mail import vcard
from webmail.mail.vcard import Card, GroupCard, lines, reader
from webmail.mail.vcard.lines import split, unescape


def card(*told, version="3.0", end="\r\n"):
    return end.join(["BEGIN:VCARD", f"VERSION:{version}", *told, "END:VCARD", ""]).encode()


def only(content):
    found = vcard.read(content)
    assert len(found.people) == 1, found
    return found.people[0]


# --- reading -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.1", "3.0", "4.0"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_what_every_version_has(version, end):
    told = card("N:Ñandú;Zoë;;Dr.;", "FN:Zoë Ñandú", "EMAIL;TYPE=INTERNET:zoe@example.org", "TEL;TYPE=CELL:+44 20 7946 0000",
                "ORG:River Clinic;Ward 3", "NOTE:First\\nSecond\\, third", version=version, end=end)  # fmt: skip
    assert only(told) == Card(
        "Zoë Ñandú",
        ("zoe@example.org",),
        ("+44 20 7946 0000",),
        "River Clinic Ward 3",
        "First\nSecond, third",
    )


def test_names_when_there_is_no_FN():
    assert only(card("N:Okello;Ben;Atim,Odur;Dr.;MD")).name == "Dr. Ben Atim Odur Okello MD"
    assert only(card("N:Prince")).name == "Prince"
    assert only(card("NICKNAME:Bee")).name == "Bee"
    assert only(card("ORG:Farm Coop")).name == "Farm Coop"
    assert only(card("EMAIL:a@example.org")).name == ""


def test_groups_before_names_folds_parameters_and_case():
    told = card(
        'item1.email;type="INTERNET,HOME";x-a="b:c;d":zoe@',
        " example.org",
        "item1.X-ABLabel:Work",
        "fn:Zo\n e".replace("\n ", "\r\n "),
    )
    assert only(told).addresses == ("zoe@example.org",)
    assert only(told).name == "Zoe"


def test_the_preferred_address_comes_first():
    told = card(
        "EMAIL:a@example.org", "EMAIL;TYPE=pref:b@example.org", "EMAIL:c@example.org", "EMAIL:a@example.org"
    )
    assert only(told).addresses == ("b@example.org", "a@example.org", "c@example.org")
    told = card("EMAIL:a@example.org", "EMAIL;PREF=1:b@example.org", version="4.0")
    assert only(told).addresses == ("b@example.org", "a@example.org")


def test_quoted_printable_of_old_phones():
    told = card(
        "FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Zo=C3=AB =",
        "=C3=91and=C3=BA",
        "NOTE;QUOTED-PRINTABLE;CHARSET=ISO-8859-1:caf=E9=0D=0Abar",
        "EMAIL;INTERNET;PREF:zoe@example.org",
        version="2.1",
    )
    found = only(told)
    assert (found.name, found.notes, found.addresses) == ("Zoë Ñandú", "café\nbar", ("zoe@example.org",))


def test_charsets():
    assert only(card("FN:Zoë").decode().encode("cp1252")).name == "Zoë"
    assert only(card("FN:Zoë 王").decode().encode("utf-16")).name == "Zoë 王"
    assert only(b"\xef\xbb\xbf" + card("FN:Zoë")).name == "Zoë"
    assert only(card("FN;CHARSET=SHIFT_JIS:X").replace(b":X", b":\x89\xa4")).name == "王"
    assert only(card("FN;CHARSET=utf-7:+ADw-script+AD4-")).name == "+ADw-script+AD4-", "UTF-7 is refused"


def test_a_fold_inside_of_a_character():
    whole = "FN:Zoë".encode()
    assert only(b"BEGIN:VCARD\r\n" + whole[:-1] + b"\r\n " + whole[-1:] + b"\r\nEND:VCARD\r\n").name == "Zoë"


def test_pictures_sounds_and_keys_are_left_out_and_counted():
    told = card(
        "FN:Zoe",
        "PHOTO;ENCODING=BASE64;JPEG:/9j/4AAQ",
        " SkZJRg==",
        "",
        "KEY:x",
        "ADR:;;1 High St;;;;",
        "BDAY:1990-01-01",
        "PHOTO:x",
    )
    found = vcard.read(told)
    assert found.people[0].name == "Zoe"
    assert found.left_out == {"PHOTO": 2, "KEY": 1, "ADR": 1, "BDAY": 1}
    assert only(card("FN;ENCODING=B:WmXDqw==", "NICKNAME:Bee")).name == "Bee", "a name is no file"


def test_groups_in_three_dialects():
    people = card("FN:Ann", "UID:urn:uuid:A-1", "EMAIL:ann@example.org") + card(
        "FN:Ben", "UID:b-2", "EMAIL:ben@example.org"
    )
    four = card(
        "KIND:group",
        "FN:Choir",
        "MEMBER:urn:uuid:a-1",
        "MEMBER:mailto:zo%C3%AB@example.org?subject=x",
        version="4.0",
    )
    apple = card(
        "N:Team;;;;", "FN:Team", "X-ADDRESSBOOKSERVER-KIND:group", "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:b-2"
    )
    found = vcard.read(
        people + four + apple + card("FN:Cy", "CATEGORIES:Choir,Old friends\\, mostly", "EMAIL:c@example.org")
    )
    assert found.groups == (
        GroupCard("Choir", ("uid:a-1", "zoë@example.org")),
        GroupCard("Team", ("uid:b-2",)),
    )
    assert [one.uid for one in found.people] == ["a-1", "b-2", ""]
    assert found.people[2].categories == ("Choir", "Old friends, mostly")


# --- hostile -------------------------------------------------------------------------------------------------------------


def test_what_is_no_card():
    for content in (
        b"",
        b"\r\n\r\n",
        b"name,mail\nann,ann@example.org",
        b"\x00\xff" * 500,
        b"END:VCARD\n" * 9,
        b":::;;;=\n \n",
    ):
        found = vcard.read(content)
        assert (found.people, found.groups, found.problems) == ((), (), ("no-cards",))


def test_cards_in_cards_belong_to_nobody():
    agent = card("FN:Secretary", "EMAIL:sec@example.org").decode()
    assert only(
        card("FN:Boss", f"AGENT:\r\n{agent.strip()}", "EMAIL:boss@example.org", version="2.1")
    ) == Card("Boss", ("boss@example.org",))
    found = vcard.read(b"BEGIN:VCARD\n" * 30_000 + b"FN:x\n" + b"END:VCARD\n" * 50_000 + card("FN:After"))
    assert [one.name for one in found.people] == ["", "After"]


def test_a_card_that_does_not_end():
    found = vcard.read(b"BEGIN:VCARD\nFN:Zoe\nEMAIL:zoe@example.org\nNOTE:a")
    assert found.people[0].addresses == ("zoe@example.org",)
    assert found.problems == ("unfinished",)


def test_limits_each_at_the_limit_and_one_over():
    one = b"BEGIN:VCARD\nEMAIL:a@b.example\nEND:VCARD\n"
    at = vcard.read(one * reader.MAX_CARDS)
    assert (len(at.people), at.problems) == (5000, ())
    over = vcard.read(one * (reader.MAX_CARDS + 1))
    assert (len(over.people), over.problems) == (5000, ("too-many",))
    room = reader.MAX_BYTES - len(one)
    assert vcard.read(one + b"X" * room).problems == ()
    assert vcard.read(one + b"X" * (room + 1)).problems == ("cut",)
    line = b"X-A:1\n"
    assert vcard.read(line * (lines.MAX_LINES - 3) + one).problems == ()
    assert vcard.read(line * (lines.MAX_LINES - 2) + one).problems == ("too-many", "unfinished")
    many = only(card(*(f"EMAIL:a{n}@b.example" for n in range(30)), *(f"TEL:{n}" for n in range(30))))
    assert (len(many.addresses), len(many.phones)) == (20, 20)
    assert len(only(card("FN:" + "x" * 5000)).name) == 300
    assert len(only(card("NOTE:" + "x" * 70_000)).notes) == 10_000


@pytest.mark.parametrize(
    "content",
    [
        b"BEGIN:VCARD\nFN:" + b"x\n " * 1_500_000,
        b"BEGIN:VCARD\nFN;ENCODING=QUOTED-PRINTABLE:" + b"=\n" * 2_500_000,
        b"BEGIN:VCARD\n" + b"FN;ENCODING=QUOTED-PRINTABLE:a=\n" * 150_000,
        b"BEGIN:VCARD\nN:" + b";" * 5_000_000,
        b"BEGIN:VCARD\nCATEGORIES:" + b"\\," * 2_000_000,
        b"BEGIN:VCARD\nFN" + b';a="b' * 900_000 + b":x",
        b"BEGIN:VCARD\nFN" + b";" * 4_900_000 + b":x",
        b"BEGIN:VCARD\n" + b'EMAIL;"' * 700_000,
        b"BEGIN:VCARD\n" + b"a.FN:x\n" * 700_000,
        b"BEGIN:VCARD\nEND:VCARD\n" * 200_000,
        b"\n" * 5_000_000,
    ],
    ids=range(11),
)  # fmt: skip
def test_nothing_costs_more_than_it_weighs(content):
    began = time.process_time()
    vcard.read(content)
    assert time.process_time() - began < 4


def test_strings_are_clean():
    found = only(
        card("FN:a\x00b\u202ec\x1b[31m", "NOTE:x\x00y\\nz", "EMAIL:zoe@example.org\\nBcc: x@y.example")
    )
    assert found.name == "a\ufffdbc[31m"
    assert found.notes == "x\ufffdy\nz"
    assert "\n" not in found.addresses[0]


@given(st.binary(max_size=300))
def test_never_raises(noise):
    vcard.read(noise)
    vcard.read(b"BEGIN:VCARD\n" + noise + b"\nEND:VCARD")


def test_never_raises_on_cards_with_bites_taken_out():
    whole = card(
        "FN;ENCODING=QUOTED-PRINTABLE:a=",
        "b=C3",
        "EMAIL;TYPE=x,PREF:a@b.example",
        "KIND:group",
        "MEMBER:mailto:%zz",
        "CATEGORIES:\\",
    )
    pick = random.Random(5)
    for _ in range(3000):
        bitten = bytearray(whole)
        for _ in range(pick.randrange(1, 6)):
            bitten[pick.randrange(len(bitten))] = pick.choice(b'\r\n\0;:=\\",%\xff ')
        vcard.read(bytes(bitten))


# --- writing -------------------------------------------------------------------------------------------------------------


def test_what_is_written():
    told = Card("Ñandú, Zoë", ("zoe@example.org", "z@work.example"), ("+44 20",), "A;B", "one\ntwo\\n")
    assert (
        vcard.write([told])
        == (
            "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ñandú\\, Zoë\r\nN:Ñandú\\, Zoë;;;;\r\nEMAIL;PREF=1:zoe@example.org\r\n"
            "EMAIL:z@work.example\r\nTEL:+44 20\r\nORG:A\\;B\r\nNOTE:one\\ntwo\\\\n\r\nEND:VCARD\r\n"
        ).encode()
    )
    assert b"FN:a@b.example\r\n" in vcard.write([Card(addresses=("a@b.example",))])
    assert vcard.write([], [GroupCard("Choir", ("ann+x@example.org", "a;b@example.org"))]) == (
        b"BEGIN:VCARD\r\nVERSION:4.0\r\nKIND:group\r\nFN:Choir\r\nMEMBER:mailto:ann+x@example.org\r\n"
        b"MEMBER:mailto:a%3Bb@example.org\r\nEND:VCARD\r\n"
    )


def test_lines_fold_at_75_octets_and_never_inside_of_a_character():
    content = vcard.write([Card("王小明" * 60, ("a@b.example",), notes="é" * 500 + "\r\nBEGIN:VCARD")])
    written = content.split(b"\r\n")
    assert 73 <= max(map(len, written)) <= 75
    for line in written:
        line.decode()
    assert content.count(b"\r\nBEGIN:VCARD") == 0
    assert b"\n" not in content.replace(b"\r\n", b"")


_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp")), max_size=80).map(
    lambda s: " ".join(s.split())
)


@given(_TEXT, _TEXT, st.lists(_TEXT.filter(bool), max_size=3, unique=True))
def test_what_is_written_is_read_back(name, organisation, notes):
    import unicodedata

    name, organisation = (unicodedata.normalize("NFC", one) for one in (name, organisation))
    told = Card(name or "x", ("zoe@example.org", "b@example.org"), ("+44",), organisation, "\n".join(notes))
    assert only(vcard.write([told])) == told


def test_a_write_of_the_largest_book_is_quick():
    began = time.process_time()
    vcard.write([Card(f"Name {n}", (f"n{n}@example.org",), notes="x" * 200) for n in range(5000)])
    assert time.process_time() - began < 3


def test_split_and_unescape():
    assert split("a\\;b;c\\", ";") == ["a;b", "c\\"]
    assert split(";;", ";") == ["", "", ""]
    assert split("a;b;c", ";", 2) == ["a", "b"]
    assert unescape("a\\nb\\Nc\\,\\;\\\\\\x") == "a\nb\nc,;\\x"
