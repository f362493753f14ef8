"""A zip that any system unpacks where it should: names from strangers made harmless, contents unchanged, bytes repeatable."""

import io
import random
import shutil
import subprocess
import unicodedata
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webmail.mail.bundle import MAX_NAME, MAX_NAME_OCTETS, names, stream

NOISE = random.Random(5).randbytes(200_000)


def opened(files):
    return zipfile.ZipFile(io.BytesIO(b"".join(stream(files))))


# --- the archive -------------------------------------------------------------------------------------------------------------

FILES = [
    ("report.txt", b"the same line\n" * 5000),
    ("photo.jpg", NOISE),
    ("empty", b""),
    ("Grüße 日本語 😀.pdf", b"%PDF-1.4 ..."),
    ("report.txt", b"another"),
    ("one", b"1"),
]


def test_what_goes_in_comes_out():
    with opened(FILES) as archive:
        assert archive.testzip() is None
        assert [(info.filename, archive.read(info)) for info in archive.infolist()] == [
            ("report.txt", FILES[0][1]),
            ("photo.jpg", NOISE),
            ("empty", b""),
            ("Grüße 日本語 😀.pdf", b"%PDF-1.4 ..."),
            ("report (2).txt", b"another"),
            ("one", b"1"),
        ]


@pytest.mark.skipif(shutil.which("unzip") is None, reason="no unzip here")
def test_unzip_agrees(tmp_path):
    path = tmp_path / "all.zip"
    path.write_bytes(b"".join(stream(FILES)))
    done = subprocess.run(["unzip", "-t", str(path)], capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done.stdout
    assert b"No errors detected" in done.stdout


def test_only_what_shrinks_is_deflated():
    with opened(FILES) as archive:
        kinds = {info.filename: info.compress_type for info in archive.infolist()}
    assert kinds["report.txt"] == zipfile.ZIP_DEFLATED
    assert {kinds["photo.jpg"], kinds["empty"], kinds["one"]} == {zipfile.ZIP_STORED}
    packed = opened([("a.zip", b"".join(stream(FILES[:1])) * 400), ("head.jpg", b" " * 4000 + NOISE)])
    assert packed.infolist()[1].compress_type == zipfile.ZIP_STORED


def test_names_are_marked_as_utf_8_and_nothing_else_is_told():
    with opened(FILES) as archive:
        for info in archive.infolist():
            assert info.filename.isascii() or info.flag_bits & 0x800
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert (info.external_attr >> 16, info.create_system) == (0o100600, 3)
            assert (info.comment, info.extra) == (b"", b"")


def test_the_same_files_give_the_same_bytes():
    assert b"".join(stream(FILES)) == b"".join(stream(iter(FILES)))


def test_no_files_are_an_empty_archive():
    assert opened([]).namelist() == []


def test_it_is_written_as_it_is_read():
    """The first file has left before the second is asked for, and no piece is large."""
    asked = []

    def files():
        for number in range(3):
            asked.append(number)
            yield f"{number}.bin", NOISE * 5

    pieces = stream(files())
    sizes = []
    while sum(sizes) < 900_000:
        sizes.append(len(next(pieces)))
        assert asked == [0]
    sizes += map(len, pieces)
    assert asked == [0, 1, 2]
    assert max(sizes) <= 70_000
    assert sum(sizes) < 3 * 1_000_000 + 1000


def test_giving_up_half_way_leaves_nothing_behind():
    closed = []

    def files():
        try:
            while True:
                yield "a", NOISE
        finally:
            closed.append(True)

    given = files()
    pieces = stream(given)
    next(pieces)
    pieces.close()
    given.close()
    assert closed == [True]


# --- names -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("plain.txt", "plain.txt"),
        ("Grüße 日本語.pdf", "Grüße 日本語.pdf"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system32\\evil.dll", "evil.dll"),
        ("/etc/shadow", "shadow"),
        ("C:\\autoexec.bat", "autoexec.bat"),
        ("C:evil.exe", "evil.exe"),
        ("\\\\host\\share\\x.doc", "x.doc"),
        ("a/b/", "b"),
        ("file.txt:stream", "file.txt_stream"),
        ("..", "attachment"),
        (".", "attachment"),
        ("", "attachment"),
        (" . . ", "attachment"),
        ("///", "attachment"),
        (".bashrc", "_.bashrc"),
        ("-rf", "_-rf"),
        ("~root", "_~root"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("Aux .tar.gz", "_Aux .tar.gz"),
        ("com1.log", "_com1.log"),
        ("LPT\u00b9", "_LPT\u00b9"),
        ("CONIN$", "_CONIN$"),
        ("console.txt", "console.txt"),
        ("com10.txt", "com10.txt"),
        ("trailing. . ", "trailing"),
        ('what?<is>"this"|*.txt', "what__is__this___.txt"),
        ("new\r\nline\tand\0nul.txt", "new line and\ufffdnul.txt"),
        ("exe\u202etxt.exe", "exetxt.exe"),
        ("zero\u200bwidth\ufeff.txt", "zerowidth.txt"),
        ("full\uff0fwidth\u2215slash", "full_width_slash"),
        ("e\u0301.txt", "\u00e9.txt"),
        ("\ud800.txt", "\ufffd.txt"),
    ],
)
def test_a_name_is_made_harmless(given, wanted):
    assert names([given]) == [wanted]


def test_names_alike_to_a_system_without_case_are_told_apart():
    given = [
        "a.txt",
        "A.TXT",
        "a.txt",
        "a (2).txt",
        "ﬁle",
        "file",
        "e\u0301",
        "É",
        "x.tar.gz",
        "x.tar.gz",
        "straße",
        "STRASSE",
    ]
    assert names(given) == [
        "a.txt",
        "A (2).TXT",
        "a (3).txt",
        "a (2) (2).txt",
        "ﬁle",
        "file (2)",
        "\u00e9",
        "É (2)",
        "x.tar.gz",
        "x.tar (2).gz",
        "straße",
        "STRASSE (2)",
    ]


def test_a_long_name_keeps_its_extension():
    given = ["x" * 400 + ".pdf"] * 12 + ["日" * 400 + ".docx"] * 2 + ["y" * 140 + "." + "z" * 300, "n" * 150]
    found = names(given)
    assert all(len(name) <= MAX_NAME and len(name.encode()) <= MAX_NAME_OCTETS for name in found)
    assert found[0] == "x" * 146 + ".pdf"
    assert found[11].endswith("x (12).pdf")
    assert found[12].endswith("日.docx")
    assert found[13].endswith("日 (2).docx")
    assert found[15] == "n" * 150


def test_ten_thousand_of_one_name_are_quick():
    found = names(["image.png"] * 10_000)
    assert len(set(found)) == 10_000
    assert found[-1] == "image (10000).png"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(
        st.text(max_size=40) | st.sampled_from(["a.txt", "A.txt", "CON", "../x", "x", "X (2)"]), max_size=12
    )
)
def test_any_names_are_safe_and_unique(given):
    found = names(given)
    assert len(found) == len(given)
    assert len({unicodedata.normalize("NFKC", name).casefold() for name in found}) == len(found)
    for name in found:
        assert name == name.strip(" ")
        assert not name.startswith((".", "-"))
        assert not name.endswith(".")
        assert not set(name) & set('/\\:*?"<>|')
        assert not any(unicodedata.category(letter) in ("Cc", "Cf", "Cs") for letter in name)
        assert 0 < len(name.encode()) <= MAX_NAME_OCTETS
    assert names(found) == found
    with opened((name, b"x") for name in given) as archive:
        assert archive.namelist() == found
        assert archive.testzip() is None
