"""Every collected attack, cleaned, in a real browser: no script, no request, no navigation, no dialog.

The frame's own CSP is left out on purpose: the cleaning must hold alone.
"""

import re

import pytest

from webmail.mail.sanitize import document, formatted, plain, reading

BATCH = 250
PARTS = 4
POKE = """async () => {
  const bad = [], kinds = ['mouseover', 'focus', 'pointerenter', 'animationstart', 'toggle', 'error', 'load'];
  const active = /^on|^hx-|^data-|^(?:id|name|class|srcset|srcdoc|ping|form.*|is|slot)$/;
  for (const section of document.body.children) {
    for (const element of section.querySelectorAll('*')) {
      for (const kind of kinds) element.dispatchEvent(new Event(kind, {bubbles: true, cancelable: true}));
      if (!element.closest('a')) element.dispatchEvent(new Event('click', {bubbles: true, cancelable: true}));
      for (const attribute of element.attributes)
        if (active.test(attribute.name)) bad.push(section.title + ' ' + attribute.name);
      if (element.hasAttribute('href') &&
          !['http:', 'https:', 'mailto:'].includes(new URL(element.getAttribute('href'), 'invalid:').protocol))
        bad.push(section.title + ' href ' + element.getAttribute('href'));
    }
  }
  await new Promise(done => setTimeout(done, 100));
  return bad.concat(window.__ran);
}"""

pytestmark = [pytest.mark.browser, pytest.mark.corpora]


def _page(markup: str) -> str:
    """The page around a frame without its CSP."""
    return re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", document(markup))


def show(watch, outputs: list[tuple[str, str]]) -> list[str]:
    """Load all outputs in one page that may run script, and poke at every element."""
    body = "".join(f'<section title="{title}">{html}</section>\n' for title, html in outputs)
    found, tried = watch.show(_page(body), POKE)
    if found is None:
        return tried
    sections = watch.page.locator("body > section").count()
    counted = [] if sections == len(outputs) else [f"{len(outputs)} outputs became {sections}"]
    return found + counted + tried


VIEWS = {
    "reading": lambda html: reading(html, link_prefix=None).html,
    "formatted": lambda html: formatted(html, link_prefix=None).html,
    "plain": plain,
}


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, PARTS))]
)
@pytest.mark.parametrize("view", VIEWS)
def test_cleaned_vectors_do_nothing(watch, html_vectors, view, part):
    outputs = [(row["id"], VIEWS[view](row["html"])) for row in html_vectors[part::PARTS]]
    assert outputs
    for start in range(0, len(outputs), BATCH):
        assert show(watch, outputs[start : start + BATCH]) == []


def test_the_watch_sees_what_it_must(watch):
    """The same page with raw markup: otherwise the test above could not fail."""
    found = show(
        watch,
        [
            ("script", "<script>alert(1)</script>"),
            ("handler", "<b onmouseover=alert(2)>x</b>"),
            ("image", '<img src="https://t.example/x.png">'),
            ("href", '<a href="javascript:alert(3)">x</a>'),
        ],
    )
    text = "\n".join(found)
    for sign in ("alert:1", "alert:2", "handler onmouseover", "t.example/x.png", "href href javascript:"):
        assert sign in text
    away = show(watch, [("refresh", '<meta http-equiv=refresh content="0;url=https://t.example/away">')])
    assert "t.example/away" in "\n".join(away)
