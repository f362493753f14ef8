"""The holder puts the number of another message into the address: another one of the same mailbox, or none at all."""


def test_P10_a_grant_opens_what_it_names(
    press, desk, sam, ann, may_read, deliver, letter, path, canary, whys
):
    other = deliver(ann, letter(f"{canary} elsewhere", f"{canary} elsewhere\r\n"))
    for part in ("headers", "text", "attachments", "layout"):
        for message in (other, other + 1):
            answer = press(sam, path(may_read, message, part))
            assert answer.status_code == 403
            assert canary not in answer.text
    assert whys() == ["out-of-scope"] * 8
    assert desk.acts(may_read) == []
