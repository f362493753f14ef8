"""Ordinary newsletters and templates stay readable in both views."""

import email
import email.policy
import os
import re
import time
import warnings
from collections import Counter
from pathlib import Path

import pytest

from webmail.mail.sanitize import formatted, reading

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from bleach._vendor import html5lib

CORPORA = Path(os.environ.get("MTUMAIL_CORPORA", Path(__file__).parents[3] / "shared" / "corpora"))
FOLDER = CORPORA / "html-benign"
FILES = (
    sorted(path for path in FOLDER.glob("*") if path.suffix in (".html", ".txt", ".eml"))
    if FOLDER.exists()
    else []
)
UNREAD = {"script", "style", "title", "template", "textarea", "svg"}
HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide|max-height\s*:\s*0|opacity\s*:\s*0\s*(?:;|$)"
)

pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not FILES, reason=f"test material {FOLDER} is not here (MTUMAIL_CORPORA)"),
]


def source(path: Path) -> str:
    raw = path.read_bytes()
    if path.suffix != ".eml":
        return raw.decode("utf-8", "replace")
    part = email.message_from_bytes(raw, policy=email.policy.default).get_body(("html",))
    return part.get_content() if part else ""


def shown(html: str) -> str:
    """The text a browser would show, as WHATWG parsing finds it."""
    out: list[str] = []

    def walk(element) -> None:
        hidden = HIDDEN.search(element.get("style") or "") or "hidden" in element.attrib
        if isinstance(element.tag, str) and element.tag not in UNREAD and not hidden:
            out.append(element.text or "")
            for child in element:
                walk(child)
                out.append(child.tail or "")

    walk(html5lib.parse(html, namespaceHTMLElements=False))
    return "".join(out)


def letters(text: str) -> Counter[str]:
    """Letters and digits alone, so that how words are joined or parted does not matter."""
    return Counter("".join(re.findall(r"\w", text)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem[-50:])
def test_text_is_kept(path):
    html = source(path)
    expected = shown(html)
    began = time.process_time()
    views = (reading(html, link_prefix=None), formatted(html, link_prefix=None))
    assert time.process_time() - began < 1.5
    for view in views:
        assert view.refused is None
        got = shown(view.html)
        assert sum((letters(expected) & letters(got)).values()) >= 0.99 * sum(letters(expected).values())
        for sign in ("{", "@media", "@font-face", "!important", "function("):
            assert got.count(sign) <= expected.count(sign), "code shows as text"


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.stat().st_size > 20_000], ids=lambda path: path.stem[-50:]
)
def test_the_reading_view_is_lean_and_the_formatted_view_keeps_layout(path):
    html = source(path)
    assert len(reading(html).html) < len(html) / 2
    result = formatted(html).html
    assert result.count("<table") >= html.lower().count("<table") * 0.9 - 3 - html.lower().count("<!--[if")
    assert "style=" in result
