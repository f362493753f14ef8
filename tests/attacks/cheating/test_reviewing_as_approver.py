"""Who approved an access, or decided that its owner may not know, judges it as well. He had a part in it."""

import pytest

from webmail.db import transaction
from webmail.identity import roles


@pytest.mark.parametrize("part", ["approver", "owner"])
def test_P16_whoever_had_a_part_does_not_judge(owner_app, desk, sam, sue, ann, grant, message, whys, part):
    judge = {"approver": sue, "owner": ann}[part]
    with owner_app.app_context(), transaction():
        roles.grant(judge.account_id, "reviewer", by=None, reason="few people", actor="system:tests")
    desk.read(sam, grant, message)
    desk.close(sam, grant)
    assert desk.review(judge, ann, grant) == "not-independent"
    assert whys() == ["not-independent"]
