"""Every kind of event that the code records is known, may be read by somebody, and has words."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from webmail import audit
from webmail.web.log_words import KINDS as WORDS

ROOT = Path(__file__).resolve().parents[2]
DOTTED = re.compile(r"[a-z_]+(\.[a-z_]+)+")


def _functions() -> Iterator[tuple[str, ast.AST]]:
    for package in ("webmail", "workers", "inbound"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "versions" not in path.parts:
                tree = ast.parse(path.read_text("utf-8"))
                yield from (
                    (f"{path.name}:{node.lineno}", node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
                )  # fmt: skip


def _recorded() -> dict[str, str]:
    """Kinds in calls of `record` and `seal`, as regular expressions, and where: strings, names assigned in the same function, and
    f-strings, whose holes may be anything."""
    found = {}
    for where, function in _functions():
        assigned: dict[str, list[ast.expr]] = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    assigned.setdefault(ast.unparse(target), []).append(node.value)
        for call in ast.walk(function):
            if not isinstance(call, ast.Call) or ast.unparse(call.func) not in ("audit.record", "audit.seal"):
                continue
            kind = call.args[ast.unparse(call.func) == "audit.seal"]
            for value in assigned.get(kind.id, []) if isinstance(kind, ast.Name) else [kind]:
                found |= dict.fromkeys(_patterns(value), where)
    return found


def _patterns(value: ast.expr) -> list[str]:
    if isinstance(value, ast.JoinedStr):
        parts = [
            re.escape(str(one.value)) if isinstance(one, ast.Constant) else "[a-z_.]+" for one in value.values
        ]
        return ["".join(parts)]
    texts = [
        one.value for one in ast.walk(value) if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]
    return [re.escape(text) for text in texts if DOTTED.fullmatch(text)]


def _in_sql() -> dict[str, str]:
    found = {}
    for path in sorted((ROOT / "webmail" / "migrations" / "versions").glob("*.py")):
        for call in re.finditer(
            r"audit_append\((.*?),\s*'(?:account|system|cli):", path.read_text("utf-8"), re.S
        ):
            for kind in re.findall(r"'([a-z_]+(?:\.[a-z_]+)+)'", call[1]):
                found[re.escape(kind)] = path.name
    return found


def test_every_kind_that_is_recorded_is_known():
    recorded = _recorded() | _in_sql()
    assert len(recorded) > 20
    unknown = {
        kind: where
        for kind, where in recorded.items()
        if not any(re.fullmatch(kind, known) for known in audit.KINDS)
    }
    assert not unknown, "name it in webmail/audit/kinds.py and webmail/web/log_words.py"


def test_every_kind_has_words_and_readers():
    assert set(WORDS) == set(audit.KINDS)
    for name, kind in audit.KINDS.items():
        assert DOTTED.fullmatch(name)
        assert "auditor" in kind.readers
        assert len(str(WORDS[name])) > 5
    assert len(set(map(str, WORDS.values()))) == len(WORDS)


@pytest.mark.parametrize(("roles", "sees"), [({"auditor"}, None), ({"admin"}, True), ({"support_lead"}, False), ({"support"}, False)])  # fmt: skip
def test_a_role_reads_what_is_its_to_read(roles, sees):
    kinds = audit.read_by(frozenset(roles))
    assert kinds is None if sees is None else ("setting.changed" in kinds) is sees
    if roles == {"support"}:
        assert kinds == []
    if roles == {"support_lead"}:
        assert "access.opened" in kinds
