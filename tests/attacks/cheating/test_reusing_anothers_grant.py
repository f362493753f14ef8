"""A colleague sends the address of his grant around: to support, to the lead who approved it, to a reviewer, to an admin."""


def test_P12_a_grant_is_its_holders(
    make_person, press, proved, desk, sue, rex, ada, grant, message, path, canary
):
    for other in (make_person("tom", "Tom", "support"), sue, rex, ada):
        proved(other, "access.open", grant)
        answer = press(other, path(grant, message, "text"))
        assert answer.status_code == 403
        assert canary not in answer.text
        assert desk.read(other, grant, message) in ("not-yours", "role")
    assert desk.acts(grant) == []
