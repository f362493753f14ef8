"""Every collected attack on HTML cleaners, through each view: what comes out holds allow-listed structure only."""

import re
import time
import warnings

import pytest

from webmail.mail.sanitize import formatted, plain, plain_reading, reading

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from bleach._vendor import html5lib

PARTS = 8

pytestmark = pytest.mark.corpora


def names(text: str) -> set[str]:
    return set(text.split())


READING = names(
    "a blockquote br code dd del dl dt em h2 h3 h4 h5 h6 hr li ol p pre small strong sub sup table tbody td th tr ul"
)
READING_ATTRIBUTES = {
    "a": {"href", "rel"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
    "ol": {"start"},
}
FORMATTED = READING | names(
    "b big caption center col colgroup div font h1 i img ins s span strike tfoot thead tt u wbr"
)
EVERYWHERE = {"style", "align", "dir"}
SIZES = {
    "width",
    "height",
    "bgcolor",
    "valign",
    "colspan",
    "rowspan",
    "nowrap",
    "border",
    "cellpadding",
    "cellspacing",
    "span",
}
FORMATTED_ATTRIBUTES = {
    "a": {"href", "rel", "target", "title"},
    "img": {"src", "alt", "width", "height", "border"},
    "font": {"color", "face", "size"},
    "ol": {"start", "type"},
    "ul": {"type"},
    "hr": {"width", "size", "color"},
    **dict.fromkeys(("table", "td", "th", "tr", "col"), SIZES),
}
REL = "noopener noreferrer nofollow ugc"
SAFE_URL = re.compile(
    r"(?:https?://(?:[a-z0-9._~!$&'()*+,;=-]+|\[[0-9a-f:.]+\])(?::\d+)?/[!-~]*|mailto:[!-~]+@[!-~]+)"
)
FORBIDDEN_STYLE = re.compile(
    r"[(\\@{}<>\"']|/\*|url|image|attr|var|expression|position|z-index|(?<!text-)transform|zoom|opacity|float|(?:^|[:\s])-\d",
    re.IGNORECASE,
)


@pytest.fixture(params=[0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, PARTS))])
def rows(request, html_vectors) -> list[dict[str, str]]:
    """One part of the attacks."""
    found = html_vectors[request.param :: PARTS]
    assert found
    return found


def tree(html: str):
    return html5lib.parseFragment(html, treebuilder="etree", namespaceHTMLElements=False)


def printed(html: str) -> str:
    """Parsed and written again, by parsers that took no part in the cleaning."""
    return html5lib.serialize(
        tree(html),
        tree="etree",
        omit_optional_tags=False,
        quote_attr_values="always",
        alphabetical_attributes=True,
    )


def check(html: str, tags: set[str], attributes: dict[str, set[str]], common: set[str], own: str) -> None:
    for element in tree(html).iter():
        if element.tag == "DOCUMENT_FRAGMENT":
            continue
        assert isinstance(element.tag, str), "a comment"
        assert element.tag in tags
        for name, value in element.attrib.items():
            assert name in attributes.get(element.tag, set()) | common, (element.tag, name)
            if name == "href":
                assert SAFE_URL.fullmatch(value) or re.fullmatch(r"l/\d+", value), value
                assert element.attrib["rel"] == REL
            elif name == "src":
                assert re.fullmatch(re.escape(own) + r"\d+", value), value
            elif name == "style":
                assert not FORBIDDEN_STYLE.search(value), value
            elif name == "target":
                assert value == "_blank"
    assert printed(printed(html)) == printed(html)


def test_reading_view_holds_structure_alone(rows):
    for row in rows:
        began = time.process_time()
        result = reading(row["html"], link_prefix=None)
        assert time.process_time() - began < 1, row["id"]
        assert len(result.html) < 5 * len(row["html"]) + 65536, row["id"]
        check(result.html, READING, READING_ATTRIBUTES, set(), "none")
        again = reading(result.html, link_prefix=None).html
        assert again == result.html, row["id"]


def test_short_links_are_the_only_addresses_when_asked_for(rows):
    for row in rows:
        result = reading(row["html"])
        hrefs = [element.attrib["href"] for element in tree(result.html).iter() if "href" in element.attrib]
        assert set(hrefs) <= {f"l/{link.number}" for link in result.links}, row["id"]
        assert all(SAFE_URL.fullmatch(link.url) for link in result.links), row["id"]


def test_formatted_view_holds_no_active_part(rows):
    for row in rows:
        began = time.process_time()
        blocked = formatted(row["html"], link_prefix=None)
        assert time.process_time() - began < 1, row["id"]
        assert len(blocked.html) < 5 * len(row["html"]) + 65536, row["id"]
        assert "src=" not in re.sub(r">[^<]*<", "><", f">{blocked.html}<"), row["id"]
        check(blocked.html, FORMATTED, FORMATTED_ATTRIBUTES, EVERYWHERE, "none")
        again = formatted(blocked.html, link_prefix=None).html
        assert again == blocked.html, row["id"]
        shown = formatted(row["html"], image_prefix="/own/")
        check(shown.html, FORMATTED, FORMATTED_ATTRIBUTES, EVERYWHERE, "/own/")


def test_as_plain_text_every_vector_is_text(rows):
    allowed = {"p", "br", "blockquote", "a", "pre", "small"}
    for row in rows:
        began = time.process_time()
        html = plain(row["html"])
        assert time.process_time() - began < 1, row["id"]
        check(html, allowed, {"a": {"href", "rel"}}, set(), "none")
        assert len(html) < 12 * len(row["html"]) + 65536, row["id"]


def test_no_remote_marker_is_left_where_it_could_be_fetched(rows):
    wanted = [row for row in rows if (row["expectation"] or {}).get("kind") == "no-remote-reference"]
    assert wanted
    for row in wanted:
        marker = row.get("marker") or row["expectation"].get("marker")
        for html in (reading(row["html"]).html, formatted(row["html"]).html):
            for element in tree(html).iter():
                for name, value in element.attrib.items():
                    assert name in ("href", "alt", "title") or marker not in value, (row["id"], name)


def test_every_part_is_whole_by_itself(rows):
    """Parts may be put into elements of their own, so none may close or leave open what it did not open."""
    for row in rows:
        for result in (reading(row["html"]), plain_reading(row["html"])):
            assert "".join(item.html for item in result.parts) == result.html, row["id"]
            for item in result.parts:
                opened: list[str] = []
                for slash, name in re.findall(r"<(/?)([a-z0-9]+)[^>]*>", item.html):
                    if slash:
                        assert opened.pop() == name, row["id"]
                    elif name not in ("br", "hr"):
                        opened.append(name)
                assert opened == [], row["id"]


def test_vectors_quoted_as_history_are_no_less_clean(rows):
    for row in rows:
        html = f'<p>Yes.</p><div class="moz-cite-prefix">Ann wrote:</div><blockquote type="cite">{row["html"]}</blockquote>'
        result = reading(html, link_prefix=None)
        check(result.html, READING, READING_ATTRIBUTES, set(), "none")
        assert "".join(item.html for item in result.parts) == result.html, row["id"]
