"""The requester names one mailbox in the request and messages of another in its list, so that the approver sees the wrong one."""


def test_P10_messages_belong_to_the_mailbox_that_is_asked_for(
    desk, sam, ann, ben, message, deliver, letter, whys
):
    bens = deliver(ben, letter())
    assert desk.ask(sam, ann, [message, bens])[1] == "gone"
    assert desk.ask(sam, ben, [message])[1] == "gone"
    assert whys() == ["gone", "gone"]


def test_P10_a_grant_on_one_mailbox_opens_none_of_anothers(desk, sam, ben, grant, deliver, letter):
    assert desk.read(sam, grant, deliver(ben, letter())) == "out-of-scope"
    assert desk.acts(grant) == []
