"""The formatted view: the sender's layout with colours and sizes, for a frame that can do nothing.

css-inline turns style sheets into attributes; then every attribute is written anew by this module; then the walls.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape, unescape
from urllib.parse import unquote

import css_inline

from webmail.mail.sanitize import grounds, images, limits, styles, tree, walls
from webmail.mail.sanitize.images import Images
from webmail.mail.sanitize.links import Links, Target
from webmail.mail.sanitize.model import Formatted, Image

FRAME_CSP = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
"""The frame's response header. `'self'` for pictures is this server; the frame itself has an opaque origin, so its
requests carry no SameSite cookie."""

MAX_CSS = 128 * 1024
MAX_MATCHES = 4_000_000
"""Rules times elements: what inlining costs, about 50 ns each."""
MAX_GROWTH = 6

_STYLE = re.compile(r"<style\b[^>]*>(.*?)</style", re.IGNORECASE | re.DOTALL)
_BODY = re.compile(r"<body\b((?:[^>\"']|\"[^\"]*\"|'[^']*'){0,2000})>", re.IGNORECASE)
_PRINT_ONLY = re.compile(r"<style\b[^>]*\bmedia\s*=\s*[\"']?\s*(?:print|speech)", re.IGNORECASE)
_SIZE = re.compile(r"\d{1,4}(?:\.\d{1,2})?%?")
_COLOUR = re.compile(r"#?[A-Za-z0-9]{3,20}")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9 ,_-]{0,80}")
_CONTENT_ID = re.compile(r"\s*cid:(.{1,256})", re.IGNORECASE | re.DOTALL)
_RULE_OF = {
    **dict.fromkeys(("width", "height", "size", "border", "cellpadding", "cellspacing"), _SIZE),
    **dict.fromkeys(("colspan", "rowspan", "span", "start"), re.compile(r"\d{1,4}")),
    **dict.fromkeys(("bgcolor", "color"), _COLOUR),
    **dict.fromkeys(("align", "valign", "dir", "face", "type"), _WORD),
    "nowrap": re.compile(r"(?:nowrap)?", re.IGNORECASE),
}
_RENAMED = {"option": "div", "listing": "pre"}
_PLACEHOLDER = "display:inline-block;border:1px dashed #999999;color:#555555;font-size:12px;vertical-align:top;max-width:100%"
_BASE_STYLE = (
    "html{color-scheme:light}body{margin:8px;background:#fff;color:#000;font:15px/1.45 system-ui,sans-serif;"
    "overflow-wrap:break-word}img{max-width:100%}img:not([height]){height:auto}pre{white-space:pre-wrap}"
    "blockquote{margin:0 0 0 8px;padding-left:8px;border-left:2px solid #ccc}"
    # A page made 600 px wide still fits a telephone.
    "@media(max-width:639px){body{margin:4px}body *{max-width:100%!important;min-width:0!important}"
    "table[width],table[style*=width]{width:100%!important}td,th,center{width:auto!important}img{height:auto!important}"
    "span[style*=dashed]{display:block!important;width:auto!important;height:auto!important;min-height:24px}}"
)


def formatted(
    html: str,
    *,
    cids: Mapping[str, str] | None = None,
    image_prefix: str | None = None,
    link_prefix: str | None = "l/",
) -> Formatted:
    """Clean `html` for `document`.

    `cids` maps Content-IDs (without brackets) to addresses of our own. Remote pictures are placeholders unless
    `image_prefix` is given; then they print as the prefix and their number in `Formatted.images`. Links print as
    `link_prefix` and their number, or in full where it is None. Never raises for any text; where a limit is passed
    the result is empty and `refused` names it.
    """
    html = limits.slim(html)
    found, refusal = limits.judge(html)
    if refusal is not None or found is None:
        return Formatted("", refused=refusal.code if refusal else "long")
    return reshape(html, found, cids or {}, image_prefix, link_prefix)


def reshape(
    html: str,
    found: limits.Survey,
    cids: Mapping[str, str],
    image_prefix: str | None,
    link_prefix: str | None,
) -> Formatted:
    """As `formatted`, for text that the guard has let pass."""
    inlined = inline_styles(html, found)
    if len(inlined) > MAX_GROWTH * len(html) + 65536:
        return Formatted("", refused="long")
    writer = _Writer(Links(link_prefix), cids, image_prefix)
    writer.found.note_styles(html)
    markup = writer.write(inlined)
    seen = writer.found
    return Formatted(
        html=walls.formatted(markup, link_prefix, frozenset(writer.sources)),
        links=writer.links.finish(),
        images=tuple(writer.remote.values()),
        trackers=tuple(sorted(seen.trackers)),
        blocked=tuple(sorted((seen.blocked - seen.trackers) | writer.links.refused)),
    )


def inline_styles(html: str, found: limits.Survey) -> str:
    """Canonical markup with the style sheets in its attributes; without them where they would cost too much.

    css-inline sees only what `tree.canonical` printed, at most 256 deep: it overflows its stack on deep input.
    """
    markup = tree.canonical(html)
    sheets = "" if _PRINT_ONLY.search(html) else "\n".join(_STYLE.findall(html))
    body = _BODY.search(html)
    wrapper = body[1] if body else ""
    if not sheets and not wrapper.strip():
        return markup
    if (
        len(sheets) > MAX_CSS
        or sheets.count("{") * found.tags > MAX_MATCHES
        or _depth(markup) > limits.MAX_DEPTH
    ):
        sheets = ""
    if not sheets:
        return tree.canonical(f"<div{wrapper}>{markup}</div>") if wrapper.strip() else markup
    page = f"<html><head><style>{sheets}</style></head><body{wrapper}>{markup}</body></html>"
    inliner = css_inline.CSSInliner(
        load_remote_stylesheets=False, keep_style_tags=False, keep_link_tags=False
    )
    try:
        page = inliner.inline(page)
    except (css_inline.InlineError, ValueError):
        return markup
    start = page.find("<body")
    if page.startswith("<body>", start):
        return tree.canonical(page[start + 6 :])
    return tree.canonical("<div" + page[start + 5 :]) if start >= 0 else markup


def _depth(markup: str) -> int:
    deepest = depth = 0
    for slash, tag, _, _ in tree.tokens(markup):
        if tag and tag not in tree.VOID:
            depth += -1 if slash else 1
            deepest = max(deepest, depth)
    return deepest


class _Writer:
    """Writes each start tag anew from what its attributes mean."""

    def __init__(self, links: Links, cids: Mapping[str, str], image_prefix: str | None) -> None:
        self.links = links
        self.cids = cids
        self.image_prefix = image_prefix
        self.found = Images()
        self.remote: dict[str, Image] = {}
        self.sources: set[str] = set()
        self.open_links: list[Target | None] = []

    def write(self, markup: str) -> str:
        out: list[str] = []
        depth = 0
        tokens = tree.tokens(markup)
        lost = grounds.lost(tokens)
        for number, (slash, tag, source, text) in enumerate(tokens):
            if not tag:
                out.append(text)
                if self.open_links and self.open_links[-1] is not None:
                    self.open_links[-1].add_text(unescape(text))
                continue
            if tag not in tree.VOID:
                # Beyond this depth tags are left out and their text stays: parsers differ in where they stop.
                depth += -1 if slash else 1
                if depth + bool(slash) > limits.MAX_DEPTH:
                    continue
            tag = _RENAMED.get(tag, tag)
            if slash:
                if tag == "a" and self.open_links:
                    self.open_links.pop()
                out.append(f"</{tag}>")
                continue
            attrs = tree.attributes(source)
            if number in lost:
                attrs["style"] = f"{attrs.get('style', '')};background-color:{lost[number]}"
            if tag == "a":
                out.append(self._link(attrs))
            elif tag == "img":
                out.append(self._image(attrs))
            else:
                out.append(f"<{tag}{self._common(tag, attrs)}>")
        return "".join(out)

    def _common(self, tag: str, attrs: dict[str, str]) -> str:
        """Presentational attributes by their own small grammars, and the style."""
        out: list[str] = []
        for name, value in attrs.items():
            rule = _RULE_OF.get(name)
            if (
                rule is not None
                and rule.fullmatch(value.strip())
                and not (tag == "div" and name == "bgcolor")
            ):
                out.append(f' {name}="{escape(value.strip())}"')
        style = attrs.get("style", "")
        if tag == "div":  # the page's own colours, from its body
            for name, here in (("bgcolor", "background-color"), ("text", "color")):
                if name in attrs:
                    style = f"{here}:{attrs[name]};{style}"
        if style:
            style = styles.clean(style)
            if style:
                out.append(f' style="{escape(style)}"')
        return "".join(out)

    def _link(self, attrs: dict[str, str]) -> str:
        target = self.links.find(attrs["href"]) if "href" in attrs else None
        self.open_links.append(target)
        rest = self._common("a", attrs)
        if target is None:
            return f"<a{rest}>"
        return f'<a href="{escape(self.links.href(target))}" title="{escape(target.address.host)}"{rest}>'

    def _image(self, attrs: dict[str, str]) -> str:
        alt = images.alt_text(attrs)
        if self.open_links and self.open_links[-1] is not None:
            self.open_links[-1].add_text(alt)
        if self.found.watches(attrs):
            return ""
        source = self._source(attrs.get("src", ""), alt)
        if source is None:
            return _placeholder(attrs, alt)
        self.sources.add(source)
        return f'<img src="{escape(source)}" alt="{escape(alt)}"{self._common("img", attrs)}>'

    def _source(self, source: str, alt: str) -> str | None:
        """An address of our own for this picture, if there is one."""
        inside = _CONTENT_ID.fullmatch(source)
        if inside:
            name = unquote(inside[1].strip()).strip("<>")
            return self.cids.get(name)
        address = self.found.remote(source)
        if address is None:
            return None
        image = self.remote.get(address.url)
        if image is None:
            image = self.remote[address.url] = Image(len(self.remote) + 1, address.url, address.host, alt)
        return None if self.image_prefix is None else f"{self.image_prefix}{image.number}"


def _placeholder(attrs: dict[str, str], alt: str) -> str:
    """A box of the picture's size with its words, so that nothing jumps when it comes."""
    width, height = images.size(attrs)
    box = "".join(
        f";{name}:{min(side, 1200)}px"
        for name, side in (("width", width), ("height", height))
        if side and side > 2
    )
    if not alt and not box:
        return ""
    if not alt and (width or 99) <= 24 and (height or 99) <= 24:
        return f'<span style="display:inline-block{box}"></span>'
    if width is not None and width < min(72, 7 * len(alt)):
        alt = ""  # an icon: its words would run over what stands beside it
    return f'<span style="{_PLACEHOLDER}{box}">{escape(alt)}</span>'


def document(body: Formatted | str, *, title: str = "", lang: str = "", csp_note: str = FRAME_CSP) -> str:
    """A complete page around the formatted view, to be served with `FRAME_CSP` as a header.

    `csp_note` is repeated in a meta element, so that a saved copy stays closed as well; `sandbox` and
    `frame-ancestors` count in headers only and are left out there.
    """
    markup = body.html if isinstance(body, Formatted) else body
    parts = (part.strip() for part in csp_note.split(";"))
    meta = "; ".join(part for part in parts if part and part.split()[0] not in ("sandbox", "frame-ancestors"))
    language = f' lang="{escape(lang)}"' if lang else ""
    return (
        f'<!doctype html><html{language}><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(meta)}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="referrer" content="no-referrer">'
        f'<meta name="color-scheme" content="light"><title>{escape(title)}</title><style>{_BASE_STYLE}</style></head>'
        f"<body>{markup}</body></html>"
    )
