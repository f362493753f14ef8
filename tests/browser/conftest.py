"""Chromium at pages that a test makes, whose network ends there, or at the application itself, signed in."""

import threading
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

ORIGIN = "http://mail.localhost:8000"
MADE = "http://mail.test/"
HOOKS = """
window.__ran = [];
for (const name of ['alert', 'confirm', 'prompt', 'print', 'open'])
  window[name] = (...given) => { window.__ran.push(name + ':' + given.join()); };
"""


# --- pages that a test makes ---------------------------------------------------------------------------------------------


class Watch:
    """One page whose network ends here, and what it tried to do."""

    def __init__(self, page) -> None:
        self.page = page
        self.tried: list[str] = []
        self.html = ""
        page.route("**/*", self._answer)
        page.on("dialog", self._dialog)
        page.on("popup", lambda popup: self.tried.append("popup " + popup.url))

    def _answer(self, route) -> None:
        if route.request.url == MADE:
            route.fulfill(status=200, content_type="text/html; charset=utf-8", body=self.html)
            return
        self.tried.append(route.request.resource_type + " " + route.request.url)
        route.abort()

    def _dialog(self, dialog) -> None:
        self.tried.append("dialog " + dialog.message)
        dialog.dismiss()

    def show(self, html: str, look: str) -> tuple[object, list[str]]:
        """What the script `look` found in a page that may run script (None if the page went away), and what was tried."""
        from playwright.sync_api import Error

        self.tried.clear()
        self.html = html
        self.page.goto(MADE, wait_until="load")
        try:
            found = self.page.evaluate(look)
        except Error as error:
            return None, [f"navigated: {error.message}", *self.tried]
        away = [] if self.page.url == MADE else ["navigated to " + self.page.url]
        return found, self.tried + away


@pytest.fixture(scope="module")
def watch(launch) -> Watch:
    context = launch().new_context(service_workers="block")
    context.add_init_script(HOOKS)
    return Watch(context.new_page())


# --- the application -----------------------------------------------------------------------------------------------------


class Quiet(WSGIRequestHandler):
    """Says nothing of what is asked."""

    def log_request(self, *_given: object) -> None:
        pass


@pytest.fixture(scope="module")
def chromium(web_app: Flask, launch) -> Iterator[object]:
    """A browser that finds the application at its origin, and nothing else anywhere."""
    server = make_server("127.0.0.1", 0, web_app, threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield launch(
            f"--host-resolver-rules=MAP mail.localhost:8000 127.0.0.1:{server.server_port}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        )
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


@pytest.fixture
def window(chromium, ann, token) -> Iterator[Callable[..., object]]:
    """Open a page of Ann's. Errors in its scripts fail the test at its end."""
    contexts, trouble = [], []

    def come(path: str = "/", *, scripts: bool = True, width: int = 1280) -> object:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, reduced_motion="reduce", java_script_enabled=scripts
        )
        context.set_default_timeout(8000)
        contexts.append(context)
        told = {"__session": token(ann.user_id), "__client_uat": "1600000000", "__clerk_db_jwt": "dvb_x"}
        context.add_cookies([{"name": n, "value": v, "url": ORIGIN} for n, v in told.items()])
        page = context.new_page()
        page.on("pageerror", lambda error: trouble.append(f"{error} {error.stack}"))
        page.goto(ORIGIN + path)
        return page

    yield come
    for context in contexts:
        context.close()
    assert trouble == []
