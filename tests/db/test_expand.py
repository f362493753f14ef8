"""Upgrades while mail flows: steps that old code can live with, locks that are given up rather than waited for, and one run at a time."""

import importlib
import re
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from webmail import provision
from webmail.migrations.releases import RELEASES

ROOT = Path(provision.__file__).parent
VERSIONS = ROOT / "migrations" / "versions"

# --- what a step may do ---------------------------------------------------------------------------------------------------

NAME = r"(?:public\.)?\"?(\w+)\"?"
REFUSED = {
    "takes away what old code may use": (
        r"\bDROP\s+(?:TABLE|VIEW|FUNCTION|TRIGGER|TYPE)\b",
        r"\bALTER\s+TABLE\b.*\bDROP\s+(?:COLUMN|CONSTRAINT)\b",
        r"\bRENAME\b",
        r"^\s*REVOKE\b(?!.*\bFROM\s+PUBLIC\b)",
        r"\bALTER\s+COLUMN\b.*\b(?:TYPE|DROP\s+DEFAULT)\b",
    ),
    "refuses rows that old code writes": (
        r"\bALTER\s+COLUMN\b.*\bSET\s+NOT\s+NULL\b",
        r"\bADD\s+(?:COLUMN\s+)?(?!CONSTRAINT)\w+(?!.*\bDEFAULT\b).*\bNOT\s+NULL\b",
    ),
    "holds a table in use while it looks at every row": (
        r"\bADD\s+(?:COLUMN\s+)?(?!CONSTRAINT).*\bDEFAULT\s+(?:clock_timestamp|random|gen_random_uuid|nextval)\b",
        r"\bADD\s+CONSTRAINT\b.*\b(?:CHECK|FOREIGN\s+KEY)\b(?!.*\bNOT\s+VALID\b)",
        r"\bADD\s+(?:CONSTRAINT\s+\w+\s+)?(?:UNIQUE|PRIMARY\s+KEY|EXCLUDE)\b(?!.*\bUSING\s+INDEX\b)",
        r"^\s*(?:UPDATE|DELETE)\b",
        r"\bLOCK\s+TABLE\b",
    ),
}
INDEX = re.compile(
    rf"\bCREATE\s+(?:UNIQUE\s+)?INDEX\s+(?!CONCURRENTLY\b).*?\bON\s+(?:ONLY\s+)?{NAME}", re.I | re.S
)
ALTERED = re.compile(rf"^\s*ALTER\s+TABLE\s+(?:ONLY\s+|IF\s+EXISTS\s+)*{NAME}", re.I)
MADE = re.compile(rf"\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{NAME}", re.I)


def statements(sql: str) -> list[str]:
    """The statements of a text; what stands between dollar signs is one word."""
    bare = re.sub(r"\$(\w*)\$.*?\$\1\$", "'…'", sql, flags=re.S)
    bare = re.sub(r"--[^\n]*", "", bare)
    return [one.strip() for one in bare.split(";") if one.strip()]


def problems(sql: str) -> list[str]:
    """What is wrong with a step, in words; tables that it makes itself are nobody's yet."""
    found, new = [], {name.lower() for name in MADE.findall(sql)}
    for one in statements(sql):
        altered = ALTERED.match(one)
        if altered and altered[1].lower() in new:
            continue
        for why, patterns in REFUSED.items():
            if any(re.search(pattern, one, re.I | re.S) for pattern in patterns):
                found.append(f"{why}: {' '.join(one.split())[:100]}")
        found += [
            f"holds a table in use while it looks at every row: CREATE INDEX on {name} without CONCURRENTLY"
            for name in INDEX.findall(one)
            if name.lower() not in new
        ]
    return found


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE message ADD COLUMN colour text",
        "ALTER TABLE message ADD COLUMN colour text NOT NULL DEFAULT ''",
        "ALTER TABLE message ADD COLUMN seen timestamptz NOT NULL DEFAULT now()",
        (
            "CREATE TABLE shade (shade_id bigint PRIMARY KEY, name text NOT NULL); CREATE INDEX shade_name ON shade (name);"
            " ALTER TABLE shade ADD CONSTRAINT shade_named CHECK (name <> '')"
        ),
        "CREATE INDEX CONCURRENTLY message_colour ON message (colour)",
        "ALTER TABLE message ADD CONSTRAINT message_colour_is_known CHECK (colour IN ('red')) NOT VALID",
        "ALTER TABLE message VALIDATE CONSTRAINT message_colour_is_known",
        "CREATE FUNCTION paint() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DELETE FROM shade; DROP TABLE x; END $$",
        "REVOKE ALL ON FUNCTION paint() FROM PUBLIC; GRANT EXECUTE ON FUNCTION paint() TO mtumail_web",
        "-- DROP TABLE message\nSELECT 1",
    ],
)
def test_a_step_that_adds_is_let_through(sql):
    assert problems(sql) == []


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("DROP TABLE message", "takes away"),
        ("ALTER TABLE message DROP COLUMN state", "takes away"),
        ("ALTER TABLE message RENAME COLUMN state TO phase", "takes away"),
        ("DROP FUNCTION service_facts(text[])", "takes away"),
        ("REVOKE SELECT ON message FROM mtumail_web", "takes away"),
        ("ALTER TABLE message ALTER COLUMN state TYPE integer USING 1", "takes away"),
        ("ALTER TABLE message ALTER COLUMN colour SET NOT NULL", "refuses rows"),
        ("ALTER TABLE message ADD COLUMN colour text NOT NULL", "refuses rows"),
        ("ALTER TABLE message ADD COLUMN at timestamptz DEFAULT clock_timestamp()", "every row"),
        ("ALTER TABLE message ADD CONSTRAINT message_x CHECK (true)", "every row"),
        ("ALTER TABLE message ADD CONSTRAINT message_x UNIQUE (state)", "every row"),
        ("CREATE INDEX message_colour ON message (colour)", "CONCURRENTLY"),
        ("UPDATE message SET colour = 'red'", "every row"),
        ("LOCK TABLE message", "every row"),
    ],
)
def test_a_step_that_old_code_or_a_table_in_use_would_not_bear_is_refused(sql, why):
    assert any(why in one for one in problems(sql)), problems(sql)


class Recorder:
    """Stands for alembic's `op`: keeps what a step would execute."""

    def __init__(self) -> None:
        self.sql: list[str] = []

    def execute(self, statement: object) -> None:
        self.sql.append(str(statement))

    def get_bind(self) -> None:
        raise NotImplementedError

    def get_context(self) -> SimpleNamespace:
        @contextmanager
        def autocommit_block():
            yield

        return SimpleNamespace(autocommit_block=autocommit_block)


def steps() -> list[ModuleType]:
    names = sorted(path.stem for path in VERSIONS.glob("[0-9]*.py"))
    found = []
    for name in names:
        spec = importlib.util.spec_from_file_location(f"step_{name}", VERSIONS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found.append(module)
    return found


def written(step: ModuleType) -> str:
    recorder = Recorder()
    step.op = recorder
    step.upgrade()
    return ";\n".join(recorder.sql)


def unfit(releases: tuple[tuple[str, str], ...], made: list[ModuleType]) -> list[str]:
    """What is wrong with the steps that came after the last release; those that contract say which release is done without it."""
    if not releases:
        return []
    versions, last = [version for version, _ in releases], releases[-1][1]
    found = []
    for step in made:
        if step.revision <= last:
            continue
        told = getattr(step, "CONTRACTS", "")
        if told and told not in versions:
            found.append(f"{step.revision}: {told} is no release")
        if not told:
            try:
                found += [f"{step.revision}: {one}" for one in problems(written(step))]
            except NotImplementedError:
                found.append(f"{step.revision}: works row by row")
    return found


def test_steps_after_the_last_release_suit_the_release_before():
    made = steps()
    assert [one.revision for one in made] == sorted(one.revision for one in made)
    assert {revision for _, revision in RELEASES} <= {one.revision for one in made}
    assert unfit(RELEASES, made) == []


def test_a_step_that_works_row_by_row_is_refused_after_a_release():
    """What it would do cannot be read, and it holds what it touches until it ends: filling in is a worker's task."""
    made = [one for one in steps() if "op.get_bind" in Path(one.__file__).read_text("utf-8")]
    assert made
    assert unfit((("0.9.0", "0000"),), made[:1]) == [f"{made[0].revision}: works row by row"]


def test_what_is_written_after_a_release_is_looked_at():
    """As if 0.9 had been released with the first half of the steps that there are: the second half was not written with that in mind."""
    made = steps()
    middle = made[len(made) // 2].revision
    found = unfit((("0.9.0", middle),), made)
    assert found
    assert all(one.partition(":")[0] > middle for one in found)
    contracting = SimpleNamespace(revision="9999", CONTRACTS="0.8.0", upgrade=lambda: None)
    assert unfit((("0.9.0", made[-1].revision),), [contracting]) == ["9999: 0.8.0 is no release"]
    contracting.CONTRACTS = "0.9.0"
    assert unfit((("0.9.0", made[-1].revision),), [contracting]) == []


def test_code_asks_tables_for_columns_by_name():
    """A column that comes later must not appear in what older code reads, nor be missing in what it writes."""
    wide = re.compile(
        r"[\"\s]SELECT \* FROM \w+[\"\s;]*\"{1,3}\)|RETURNING \*|INSERT INTO \w+ (?:VALUES|DEFAULT)"
    )
    found = [
        path.relative_to(ROOT.parent).as_posix()
        for folder in ("webmail", "workers", "inbound")
        for path in (ROOT.parent / folder).rglob("*.py")
        if "versions" not in path.parts and wide.search(path.read_text("utf-8"))
    ]
    assert found == []


# --- how it is done -------------------------------------------------------------------------------------------------------


@pytest.fixture
def fresh(database):
    """A database of its own without a table: the owner's address, and a superuser's connection."""
    passwords = dict.fromkeys(provision.ROLES, "for-tests-only")
    name = "mtumail_expand"
    url = provision.provision(database.server_url, passwords, name)["owner"]
    engine = create_engine(
        database.server_url.replace("/postgres?", f"/{name}?"),
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
    )
    try:
        yield SimpleNamespace(url=url, engine=engine)
    finally:
        engine.dispose()
        server = create_engine(database.server_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        server.dispose()


def test_two_runs_at_once_make_one_schema(fresh):
    failed = []

    def run():
        try:
            provision.migrate(fresh.url)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert not any(one.is_alive() for one in threads)
    assert failed == []
    assert provision.pending(fresh.url) == []
    with fresh.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar_one() == 1


def test_a_step_that_cannot_have_its_table_lets_others_work_and_is_tried_again(fresh, monkeypatch):
    """While it waits for a lock, everybody else waits behind it: it gives up soon, and comes back."""
    monkeypatch.setattr(provision, "LOCK_SECONDS", 1)
    monkeypatch.setattr(provision, "LOCK_PAUSE", 0.5)
    provision.migrate(fresh.url)
    before = steps()[-2].revision
    waited = []
    reader, other = fresh.engine.connect(), fresh.engine.connect()
    reader.execute(text("BEGIN"))
    reader.execute(
        text("LOCK TABLE alembic_version IN ROW EXCLUSIVE MODE")
    )  # a row of ours, held by somebody
    reader.execute(text("SELECT version_num FROM alembic_version FOR UPDATE"))
    thread = threading.Thread(target=lambda: waited.append(provision.migrate(fresh.url, before)))
    thread.start()
    time.sleep(2.5)
    assert thread.is_alive()
    began = time.monotonic()
    other.execute(text("SELECT count(*) FROM account")).scalar_one()
    assert time.monotonic() - began < 1
    reader.execute(text("COMMIT"))
    thread.join(30)
    assert waited == [None]
    assert provision.pending(fresh.url) == [steps()[-1].revision]
    reader.close()
    other.close()


def test_a_step_that_never_gets_its_table_is_given_up(fresh, monkeypatch):
    for name, value in (("LOCK_SECONDS", 1), ("LOCK_TRIES", 2), ("LOCK_PAUSE", 0.1)):
        monkeypatch.setattr(provision, name, value)
    provision.migrate(fresh.url)
    with fresh.engine.connect() as reader:
        reader.execute(text("BEGIN"))
        reader.execute(text("SELECT version_num FROM alembic_version FOR UPDATE"))
        began = time.monotonic()
        with pytest.raises(OperationalError):
            provision.migrate(fresh.url, steps()[-2].revision)
        assert time.monotonic() - began < 10
        reader.execute(text("ROLLBACK"))
    assert provision.pending(fresh.url) == []
