"""What leaves over the wire is counted: by domain as it is answered, by how its connection was encrypted, and drawn from that."""

from sqlalchemy import text

from workers import domains as folding

FIRST, SECOND = "carla@example.org", "dmitri@example.net"


def test_what_a_relay_answers_becomes_numbers_of_the_day(sending, sink, ann, write, worker, superuser):
    sink.says[SECOND] = ["550 5.1.1 nobody of that name"]
    write(ann, f"{FIRST}, {SECOND}", ("one", "two", "three"))
    assert sending.drain() == 3
    with worker.app_context():
        folding.fold(None)
    found = superuser.execute(
        text("SELECT measure, name, detail, number FROM delivery_day ORDER BY 1, 2, 3")
    ).all()
    counts = {
        (row.measure, row.name if row.measure != "tls" else "", row.detail): row.number for row in found
    }
    assert counts == {
        ("handed", "example.org", ""): 3,
        ("failed", "example.net", "5.1"): 3,
        ("tls", "", "none"): 3,
        ("waited", "", "m1"): 3,
    }
    everything = superuser.execute(
        text("SELECT string_agg(delivery_day::text, ' ') FROM delivery_day")
    ).scalar()
    assert "@" not in everything
    assert "carla" not in everything


def test_nothing_is_written_where_nothing_left(sending, sink, empty, superuser):
    assert sending.drain() == 0
    assert superuser.execute(text("SELECT count(*) FROM delivery_tally")).scalar() == 0
