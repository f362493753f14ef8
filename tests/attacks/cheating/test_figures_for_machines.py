"""Somebody asks for the figures that machines read, without a name or with his own: they count, and name nobody."""


def test_P25_no_figure_names_anybody(stranger, browser_of, desk, sam, ann, grant, message, canary):
    desk.read(sam, grant, message)
    for client in (stranger, browser_of(sam)):
        for where in ("/metrics", "/healthz", "/readyz", "/privacy/counts", "/privacy/log"):
            told = client.get(where).text
            for word in (canary, ann.address, "evil.example", str(message), str(grant), str(ann.mailbox_id)):
                assert word not in told, where
