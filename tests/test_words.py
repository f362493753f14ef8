"""Every sentence of the web and of letters goes through the translation layer, and can be found there by whoever translates."""

import ast
import re
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.extract import extract

PROJECT = Path(__file__).resolve().parent.parent
ROOT = PROJECT / "webmail"
WEB = sorted((ROOT / "web").rglob("*.py"))
MARKS = {
    "_": None,
    "_l": None,
    "gettext": None,
    "ngettext": (1, 2),
    "_n": (1, 2),
    "lazy_gettext": None,
    "lazy_ngettext": (1, 2),
    "marked": None,
    "nmarked": (1, 2),
}
"""What marks a message, as Babel wants to be told."""
NOT_FOR_PEOPLE = {
    "text",
    "compile",
    "Blueprint",
    "SettingError",
    "RuntimeError",
    "ValueError",
    "AssertionError",
    "KeyError",
}
"""Calls whose words are SQL, patterns, names, or for whoever reads a traceback."""
LOGGERS = {"log", "debug", "info", "warning", "error", "critical", "exception"}
SENTENCE = re.compile(r"[A-Z][a-z’']+ .*[a-z]|[A-Z][a-z]+[.!?]$")
CLAUSE = re.compile(SENTENCE.pattern + r"|(?:[A-Za-z][a-z’']*[,:;]? ){2,}[a-z]|[A-Z][a-z]+,$")
"""In what writes letters, pieces of sentences, too: there is no reason to have one."""
NOT_OURS = {
    "webmail/sending/invitations.py": "the web hands it the words",
    "webmail/sending/submitting.py": "what somebody wrote",
    "webmail/sending/vacation.py": "what somebody wrote",
}
"""Modules that make messages of others' words."""


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _left_alone(tree: ast.AST) -> set[int]:
    """Nodes that are docstrings, marked, or not for people."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.add(id(node.value))
        if isinstance(node, ast.Call) and _name(node) in {*MARKS, *NOT_FOR_PEOPLE, *LOGGERS}:
            found.update(id(inner) for inner in ast.walk(node))
    return found


def _imports_phrases(tree: ast.AST) -> bool:
    return any(
        node.module == "webmail.phrases"
        or (node.module == "webmail" and any(name.name == "phrases" for name in node.names))
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    )


def _letters() -> tuple[list[Path], list[str]]:
    """Modules outside of the web that write to people; and those that make a message and are not among them."""
    found, others = [], []
    for path in sorted(
        path for name in ("webmail", "workers", "inbound") for path in (PROJECT / name).rglob("*.py")
    ):
        where = path.relative_to(PROJECT).as_posix()
        if where.startswith(("webmail/web/", "webmail/embedded/", "webmail/migrations/")):
            continue
        tree = ast.parse(path.read_text("utf-8"))
        if _imports_phrases(tree):
            found.append(path)
        elif any(isinstance(node, ast.Call) and _name(node) == "Composition" for node in ast.walk(tree)):
            others.append(where)
    return found, others


LETTERS, OTHERS = _letters()
MODULES = [*WEB, *LETTERS]


def bare(source: str, looks: re.Pattern[str] = SENTENCE) -> list[str]:
    """Sentences in a module that no translator will ever see."""
    tree = ast.parse(source)
    alone = _left_alone(tree)
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in alone
        and looks.match(node.value)
        and "|" not in node.value  # a type
        and not re.match(r"(SELECT|INSERT|UPDATE|DELETE|WITH)\b", node.value)
    ]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('flash("Your mail was sent.")', ["Your mail was sent."]),
        ('flash(_("Your mail was sent."))', []),
        ('WORDS = {"sent": "Your mail was sent."}', ["Your mail was sent."]),
        ('WORDS = {"sent": _l("Your mail was sent.")}', []),
        ('def f():\n    """Your mail was sent."""', []),
        ('log.warning("Mail not sent")', []),
        ('x = "Saved."', ["Saved."]),
        ('x = "Content-Type"', []),
    ],
)
def test_a_sentence_that_is_not_marked_is_found(source, found):
    assert bare(source) == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('body = "as you asked, it is gone."', ["as you asked, it is gone."]),
        ('body = f"Our staff opened {what} of yours."', ["Our staff opened "]),
        ('PURPOSES = {"protect": "to look into an alert"}', ["to look into an alert"]),
        ('PURPOSES = {"protect": marked("to look into an alert")}', []),
        ('OPENED = nmarked("It opened %(num)s message.", "It opened %(num)s messages.")', []),
        ('hello = "Hello,"', ["Hello,"]),
        ('header = "auto-generated"', []),
    ],
)
def test_in_letters_pieces_of_sentences_are_found_too(source, found):
    assert bare(source, CLAUSE) == found


def test_what_makes_a_message_writes_it_through_phrases():
    assert sorted(NOT_OURS) == OTHERS
    names = {path.relative_to(PROJECT).as_posix() for path in LETTERS}
    assert {
        "webmail/sending/telling.py",
        "webmail/sending/composing/notice.py",
        "workers/alerting.py",
    } <= names


@pytest.mark.parametrize("path", LETTERS, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_sentences_of_letters_go_through_phrases(path):
    assert bare(path.read_text("utf-8"), CLAUSE) == []


@pytest.mark.parametrize("path", WEB, ids=lambda path: path.relative_to(ROOT / "web").as_posix())
def test_sentences_of_views_go_through_gettext(path):
    found = bare(path.read_text("utf-8"))
    if (
        path.name == "policy.py"
    ):  # headings of the policy, by which its sections are found; it is translated as a whole
        policy = (ROOT / "privacy" / "policy.txt").read_text("utf-8")
        assert found
        found = [one for one in found if one not in policy]
    assert found == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_what_is_marked_is_one_text_with_named_places(path):
    """A translator gets whole sentences: nothing is glued together inside the mark, and what is filled in has a name."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and _name(node) in MARKS and node.args:
            for words in node.args[: len(MARKS[_name(node)] or (1,))]:
                assert not isinstance(words, ast.JoinedStr | ast.BinOp), (
                    f"line {node.lineno}: built at run time"
                )
                if isinstance(words, ast.Constant) and isinstance(words.value, str):
                    assert not re.search(r"%[sd]|\{\w*\}", words.value), (
                        f"line {node.lineno}: a place without a name"
                    )


def messages() -> set[str]:
    """What Babel extracts from modules and templates, as a translator's file would have it."""
    found: set[str] = set()
    for path in MODULES:
        for _line, words, _notes, _context in extract("python", BytesIO(path.read_bytes()), keywords=MARKS):
            found.add(words if isinstance(words, str) else words[0])
    options = {
        "extensions": "jinja2.ext.do,jinja2.ext.loopcontrols",
        "silent": "false",
        "newstyle_gettext": "true",
    }
    for path in sorted((ROOT / "templates").rglob("*.html")):
        for _line, words, _notes, _context in extract(
            "jinja2.ext:babel_extract", BytesIO(path.read_bytes()), keywords=MARKS, options=options
        ):
            found.add(words if isinstance(words, str) else words[0])
    return found


def test_a_translator_finds_them_all():
    found = messages()
    assert len(found) > 1500
    assert {"Inbox", "Compose", "This is mtumail %(version)s."} <= found
    assert {"The last backup failed.", "no phishing", "Still on its way: %(subject)s"} <= found
    assert "" not in found
