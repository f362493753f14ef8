"""How often what is asked, and how long it takes: by endpoint and code, never by address or person."""

import time

from flask import Flask, Response, g, request

from webmail import metrics


def init_app(app: Flask) -> None:
    """Count every request. To be called before all else that looks at answers: these are looked at in reverse order."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.began = time.perf_counter()


def _end(response: Response) -> Response:
    metrics.count("http_requests_total", (request.endpoint or "none").lower(), str(response.status_code))
    if "began" in g:
        metrics.observe("http_request_seconds", time.perf_counter() - g.began)
    size = response.calculate_content_length()
    if size:
        metrics.count("http_response_bytes_total", amount=size)
    return response
