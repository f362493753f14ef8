"""The holder sends the form that opened a part once more: from the history, by reload, with the old token. Each is an act."""


def test_P11_a_reload_is_written_down_like_the_first_time(
    browser_of, csrf, desk, sam, may_read, message, path
):
    client = browser_of(sam)
    form = {"csrf_token": csrf(client)}
    for _again in range(3):
        assert client.post(path(may_read, message, "text"), data=form).status_code == 200
    assert [act[0] for act in desk.acts(may_read)] == [1, 2, 3]
    assert len(desk.events("access.opened")) == 3


def test_P11_after_so_many_nothing_more_opens(behind, desk, sam, grant, message, whys):
    desk.read(sam, grant, message)
    behind(
        "INSERT INTO access_act (mailbox_id, grant_id, number, message_id, part, account_id, at, event)"
        " SELECT mailbox_id, grant_id, n, message_id, part, account_id, at, -n FROM access_act, generate_series(2, 200) n"
    )
    assert desk.read(sam, grant, message) == "too-many"
    assert whys() == ["too-many"]
