"""Somebody holds other people's mail for no case, for a closed one, or without the role for it."""

from sqlalchemy import text


def held(superuser):
    return superuser.execute(text("SELECT count(*) FROM message WHERE held_by IS NOT NULL")).scalar()


def test_P07_no_case_no_quarantine(hold, reported, sue, rex, ann, superuser, desk):
    case, item = reported
    for who, number, why in ((sue, 5, "case-closed"), (rex, case, "role"), (ann, case, "role")):
        assert hold(who, number, item)[1] == why
    superuser.execute(text("UPDATE case_file SET state = 'closed', closed_at = now(), outcome = 'unclear'"))
    assert hold(sue, case, item)[1] == "case-closed"
    assert held(superuser) == 0
    whys = [one["facts"]["why"] for one in desk.events("quarantine.denied")]
    assert whys == ["case-closed", "role", "role", "case-closed"]


def test_P07_nor_by_the_form(press, browser_of, sue, ann, reported, superuser):
    assert (
        press(sue, "/staff/quarantines/new", rule="phishing", words="It takes passwords.").status_code == 422
    )
    assert press(ann, "/staff/quarantines/new").status_code == 403
    assert held(superuser) == 0


def test_P07_nor_by_raw_sql_as_a_role_or_as_their_owner(refused, superuser, reported, sue, spread):
    superuser.execute(text("UPDATE case_file SET state = 'closed', closed_at = now(), outcome = 'unclear'"))
    row = (
        "INSERT INTO quarantine (quarantine_id, case_id, item_id, content, rule, words, acted_by, until)"
        f" SELECT 9, case_id, item_id, mark, 'phishing', 'x', {sue.account_id}, now() + interval '1 day' FROM case_item"
    )
    for role in ("web", "staff", "worker", "inbound"):
        assert "permission denied" in refused(role, row)
    for role in ("owner", "superuser"):
        assert refused(role, row) == "a quarantine begins with what was reported, in its open case"
