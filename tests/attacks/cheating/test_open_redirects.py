"""A colleague is sent to a foreign page by an address of ours, with what was opened in its referrer: we lead nowhere else."""

EVIL = (
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "/%2f%2fevil.example/",
    "/%5cevil.example",
    "javascript:alert(1)",
    "\thttps://evil.example",
    "https:evil.example",
    "/.//evil.example",
)


def test_P17_no_way_back_leads_away(press, browser_of, stranger, sam):
    client = browser_of(sam)
    for there in EVIL:
        for answer in (
            press(client, "/confirm", next=there),
            client.get("/auth/sign-in", query_string={"next": there}),
            stranger.get("/auth/sign-in", query_string={"next": there}),
            press(client, "/staff/tracing", {"Referer": there if there.isprintable() else ""}, next=there),
        ):
            where = answer.headers.get("Location", "/")
            assert where.startswith(("/", "http://clerk.localhost:8001/")), (there, where)
            assert not where.startswith(("//", "/\\")), (there, where)
            assert where.partition("//")[2][:13] != "evil.example/", (there, where)


def test_P11_what_was_opened_goes_into_no_referrer(press, sam, may_read, message, path):
    for part in ("headers", "text", "layout"):
        answer = press(sam, path(may_read, message, part))
        assert answer.status_code == 200
        assert answer.headers.get("Referrer-Policy") in ("no-referrer", "same-origin"), part
