"""For tests of whatever meets the local Clerk: a browser, and calls as the app's server makes them. Loopback alone."""

from __future__ import annotations

import html
import http.client
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit

import jwt

from webmail.embedded.clerk.server import LocalClerk
from webmail.embedded.people import DEMO_PASSWORD


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def location(self) -> str:
        return self.headers["Location"]

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def send(port: int, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
    """One request to 127.0.0.1 whatever host `url` names, as *.localhost need not resolve."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body, {"Host": parts.netloc, **headers})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


@dataclass
class Browser:
    """Keeps cookies as browsers do, by name and domain; ports make no difference."""

    clerk: LocalClerk
    jar: dict[tuple[str, str, bool], str] = field(default_factory=dict)

    def take(self, host: str, lines: list[str]) -> None:
        for line in lines:
            pair, *rest = (part.strip() for part in line.split(";"))
            name, _, value = pair.partition("=")
            attributes = {key.lower(): text for key, _, text in (part.partition("=") for part in rest)}
            domain = attributes.get("domain", "")
            assert not domain or host == domain or host.endswith("." + domain), line
            key = (name, domain or host, bool(domain))
            if "1970" in attributes.get("expires", "") or attributes.get("max-age") == "0":
                self.jar.pop(key, None)
            else:
                self.jar[key] = value

    def cookies(self, host: str) -> dict[str, str]:
        return {
            name: value
            for (name, domain, wide), value in self.jar.items()
            if host == domain or (wide and host.endswith("." + domain))
        }

    def open(
        self, url: str, form: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        host = urlsplit(url).hostname or ""
        sent = {"Accept": "text/html", "Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies(host).items())}
        body = None
        if form is not None:
            body = urlencode(form).encode()
            sent |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.clerk.instance.url}
        port = urlsplit(url).port or 80
        answer = send(port, "GET" if form is None else "POST", url, sent | (headers or {}), body)
        self.take(host, answer.headers.get_all("Set-Cookie") or [])
        return answer

    def page(self, path: str) -> str:
        return urljoin(self.clerk.instance.url, path)

    def submit(self, answer: Answer, values: dict[str, str], index: int = 0, **more: Any) -> Answer:
        """Fill in and send the form number `index` of a page."""
        form = re.findall(r'<form method="post" action="([^"]+)">(.*?)</form>', answer.text, re.S)[index]
        fields = {
            html.unescape(name): html.unescape(value)
            for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[1])
        }
        assert all(f'name="{name}"' in form[1] for name in values)
        return self.open(self.page(html.unescape(form[0])), {**fields, **values}, **more)

    def sign_in(self, who: str, code: str = "", url: str = "", password: str = DEMO_PASSWORD) -> Answer:
        """Through the form, to the redirect back; to the page that asks for the code where there is one."""
        url = url or f"{self.clerk.instance.origin}/"
        shown = self.open(self.page(f"/sign-in?redirect_url={quote(url, safe='')}"))
        assert shown.status == 200
        answer = self.submit(shown, {"identifier": who, "password": password})
        return self.submit(answer, {"code": code}) if code else answer

    def handshake(self, url: str, **more: str) -> Answer:
        query = urlencode({"redirect_url": url, "suffixed_cookies": "false", "format": "nonce", **more})
        return self.open(self.page(f"/v1/client/handshake?{query}"))


def call(clerk: LocalClerk, method: str, path: str, body: Any = None, secret: str | None = None) -> Answer:
    """A Backend API (or /_local) call, as the app's server makes it."""
    headers = {"Authorization": f"Bearer {secret or clerk.local.secret}", "Clerk-API-Version": "2026-05-12"}
    data = None if body is None else json.dumps(body).encode()
    return send(clerk.port, method, f"http://127.0.0.1:{clerk.port}{path}", headers, data)


def directives_of(clerk: LocalClerk, location: str) -> list[str]:
    """What a development handshake brought, by either way, checked as the app checks it."""
    query = parse_qs(urlsplit(location).query)
    if "__clerk_handshake_nonce" in query:
        answer = call(
            clerk, "GET", "/v1/clients/handshake_payload?nonce=" + query["__clerk_handshake_nonce"][0]
        )
        assert answer.status == 200
        return list(answer.json["directives"])
    return envelope(clerk, query["__clerk_handshake"][0])


def envelope(clerk: LocalClerk, token: str) -> list[str]:
    assert "cat" not in jwt.get_unverified_header(token)
    """The directives of a handshake token, which must be signed by the instance."""
    return list(jwt.decode(token, clerk.environment()["CLERK_JWT_KEY"], algorithms=["RS256"])["handshake"])


def value_of(lines: list[str], name: str) -> str:
    return [line.partition(";")[0].partition("=")[2] for line in lines if line.startswith(name + "=")][-1]


def verify(clerk: LocalClerk, token: str, **more: Any) -> dict[str, Any]:
    """The claims of a session token, under the published PEM and the rules the app applies."""
    key = clerk.environment()["CLERK_JWT_KEY"]
    header = jwt.get_unverified_header(token)
    assert (header["alg"], header["typ"], header["cat"]) == ("RS256", "JWT", "cl_B7d4PD111AAA")
    return jwt.decode(
        token, key, algorithms=["RS256"], issuer=f"https://{clerk.instance.host}", leeway=1, **more
    )


def given(clerk: LocalClerk, user_id: str, **more: Any) -> dict[str, Any]:
    """A signed-in browser's cookies, without the forms."""
    answer = call(clerk, "POST", "/_local/sign-in", {"user_id": user_id, **more})
    assert answer.status == 200
    return dict(answer.json)


def knobs(clerk: LocalClerk, **wanted: Any) -> None:
    assert call(clerk, "POST", "/_local/controls", wanted).status == 200


def refresh(clerk: LocalClerk, cookies: dict[str, str], sid: str, **over: Any) -> Answer:
    """The call that renews an expired token; `over` replaces parts of its body."""
    body = {
        "format": "cookie",
        "expired_token": cookies["__session"],
        "refresh_token": cookies[f"__refresh_{clerk.instance.suffix}"],
        "request_origin": clerk.instance.origin,
        "request_headers": {"user-agent": ["test"]},
    }
    return call(clerk, "POST", f"/v1/sessions/{sid}/refresh?suffixed_cookies=true", {**body, **over})
