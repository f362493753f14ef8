"""Every collected attack, cleaned, in a real browser: no script, no request, no navigation, no dialog.

The frame's own CSP is left out on purpose: the cleaning must hold alone.
"""

import json
import os
import re
from pathlib import Path

import pytest

from webmail.mail.sanitize import document, formatted, plain, reading

playwright = pytest.importorskip("playwright.sync_api", reason="the browser extra is not installed")

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
CORPORA = Path(os.environ.get("MTUMAIL_CORPORA", Path(__file__).parents[3] / "shared" / "corpora"))
VECTORS = CORPORA / "html-sanitizer" / "vectors.jsonl"
BATCH = 250
PARTS = 4
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HOOKS = """
window.__ran = [];
for (const name of ['alert', 'confirm', 'prompt', 'print', 'open'])
  window[name] = (...given) => { window.__ran.push(name + ':' + given.join()); };
"""
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

pytestmark = [
    pytest.mark.browser,
    pytest.mark.corpora,
    pytest.mark.skipif(not VECTORS.exists(), reason=f"test material {VECTORS} is not here (MTUMAIL_CORPORA)"),
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no browser at {CHROMIUM} (CHROMIUM)"),
]


@pytest.fixture(scope="module")
def context():
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            made = browser.new_context(service_workers="block")
            made.add_init_script(HOOKS)
            yield made
        finally:
            browser.close()


class Watch:
    """One page whose network ends here, and what it tried to do."""

    def __init__(self, context) -> None:
        self.tried: list[str] = []
        self.html = ""
        self.page = context.new_page()
        self.page.route("**/*", self._answer)
        self.page.on("dialog", self._dialog)
        self.page.on("popup", lambda popup: self.tried.append("popup " + popup.url))

    def _answer(self, route) -> None:
        if route.request.url == "http://mail.test/":
            route.fulfill(status=200, content_type="text/html; charset=utf-8", body=self.html)
            return
        self.tried.append(route.request.resource_type + " " + route.request.url)
        route.abort()

    def _dialog(self, dialog) -> None:
        self.tried.append("dialog " + dialog.message)
        dialog.dismiss()

    def show(self, outputs: list[tuple[str, str]]) -> list[str]:
        """Load all outputs in one page that may run script, and poke at every element."""
        self.tried.clear()
        body = "".join(f'<section title="{title}">{html}</section>\n' for title, html in outputs)
        self.html = _page(body)
        self.page.goto("http://mail.test/", wait_until="load")
        try:
            found: list[str] = self.page.evaluate(POKE)
        except playwright.Error as error:
            return [f"navigated: {error.message}", *self.tried]
        sections = self.page.locator("body > section").count()
        if sections != len(outputs):
            found.append(f"{len(outputs)} outputs became {sections}")
        if self.page.url != "http://mail.test/":
            found.append("navigated to " + self.page.url)
        return found + self.tried


def _page(markup: str) -> str:
    """The page around a frame without its CSP."""
    return re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", document(markup))


def _rows(part: int) -> list[dict[str, str]]:
    with VECTORS.open(encoding="utf-8") as lines:
        return [json.loads(line) for number, line in enumerate(lines) if number % PARTS == part]


VIEWS = {
    "reading": lambda html: reading(html, link_prefix=None).html,
    "formatted": lambda html: formatted(html, link_prefix=None).html,
    "plain": plain,
}


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, PARTS))]
)
@pytest.mark.parametrize("view", VIEWS)
def test_cleaned_vectors_do_nothing(context, view, part):
    watch = Watch(context)
    outputs = [(row["id"], VIEWS[view](row["html"])) for row in _rows(part)]
    try:
        for start in range(0, len(outputs), BATCH):
            assert watch.show(outputs[start : start + BATCH]) == []
    finally:
        watch.page.close()


def test_the_watch_sees_what_it_must(context):
    """The same page with raw markup: otherwise the test above could not fail."""
    watch = Watch(context)
    found = watch.show(
        [
            ("script", "<script>alert(1)</script>"),
            ("handler", "<b onmouseover=alert(2)>x</b>"),
            ("image", '<img src="https://t.example/x.png">'),
            ("href", '<a href="javascript:alert(3)">x</a>'),
        ]
    )
    text = "\n".join(found)
    for sign in ("alert:1", "alert:2", "handler onmouseover", "t.example/x.png", "href href javascript:"):
        assert sign in text
    away = watch.show([("refresh", '<meta http-equiv=refresh content="0;url=https://t.example/away">')])
    watch.page.close()
    assert "t.example/away" in "\n".join(away)
