"""The documents say what the code does: settings, commands, names, places, links."""

import os
import re
import subprocess
import tomllib
from dataclasses import fields
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest

from webmail.cli import cli
from webmail.config import Settings
from webmail.embedded.dev import DevOptions
from webmail.embedded.people import DEMO_DOMAIN, DEMO_PASSWORD, DEMO_PEOPLE, DEMO_TOTP_SECRET

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCUMENTS = (
    README,
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "CHANGELOG.md",
    ROOT / "docs" / "deploy.md",
    ROOT / "docs" / "production.md",
    ROOT / "docs" / "domains.md",
    ROOT / "docs" / "logs.md",
    ROOT / "docs" / "queues.md",
)


@pytest.fixture(params=DOCUMENTS, ids=lambda path: path.name)
def document(request) -> Path:
    return request.param


def _between(path: Path, name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", path.read_text("utf-8"), re.S)
    assert found, f"{path.name} has no table between <!-- {name} --> and <!-- /{name} -->"
    return found[1]


# --- settings ------------------------------------------------------------------------------------------------------------


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not value and value != 0:
        return ""
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value)) if isinstance(value[0], tuple) else f"{value[0]}:{value[1]}"
    return str(value)


def _row(*cells: str) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def _settings_table() -> str:
    rows = ["| Variable | Meaning | Default | Example |", "|---|---|---|---|"]
    for item in fields(Settings):
        default, example = (
            f"`{text}`" if text else "" for text in (_shown(item.default), item.metadata["example"])
        )
        rows.append(
            _row(f"`{item.metadata['name']}`", item.metadata["help"].replace("|", "\\|"), default, example)
        )
    return "\n".join(rows)


def test_the_readme_lists_every_setting():
    expected = _settings_table()
    if _between(README, "settings") != expected:
        pytest.fail(
            f"the README's table of settings is not that of webmail/config.py, which is:\n\n{expected}\n",
            pytrace=False,
        )


def test_the_readme_lists_every_setting_of_clerk():
    source = (ROOT / "webmail" / "identity" / "clerk" / "settings.py").read_text("utf-8")
    assert set(re.findall(r"^\| `(CLERK_\w+)`", _between(README, "clerk"), re.M)) == set(
        re.findall(r"CLERK_[A-Z_]*[A-Z]", source)
    )


def test_documents_name_settings_that_exist(document):
    sources = [*(ROOT / "webmail").rglob("*.py"), *(ROOT / "tests").rglob("conftest.py")]
    known = set(
        re.findall(
            r"\b(?:MTUMAIL|CLERK)_[A-Z_]*[A-Z]\b", "".join(path.read_text("utf-8") for path in sources)
        )
    )
    known |= {f"MTUMAIL_PASSWORD_{role}" for role in ("OWNER", "WEB", "WORKER", "INBOUND", "BACKUP")}
    text = document.read_text("utf-8")
    assert set(re.findall(r"\b(?:MTUMAIL|CLERK)_[A-Z_]*[A-Z]\b(?!_\*)", text)) - known == set()


# --- commands ------------------------------------------------------------------------------------------------------------


def _code(path: Path) -> str:
    """What stands in code blocks and between backticks."""
    text = path.read_text("utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.S | re.M)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", rest)])


def test_documents_name_commands_that_exist(document):
    for words in re.findall(
        r"(?:^|\s|;|bin/)(?:mtumail|\./run|-m webmail\.cli)((?: [a-z]+(?![\w@.:/-]))+)", _code(document), re.M
    ):
        group: click.Command = cli
        for word in words.split():
            if word == "test" and group is cli:
                break  # of ./run, which is no command of mtumail
            assert isinstance(group, click.Group), f"{words}: nothing comes after {group.name}"
            assert word in group.commands, f"`{words.strip()}` is no command"
            group = group.commands[word]
            if not isinstance(group, click.Group):
                break


def test_options_of_dev_are_named_as_they_are():
    known = {option for item in cli.commands["dev"].params for option in item.opts}
    assert known == {f"--{item.name.replace('_', '-')}" for item in fields(DevOptions)} | (known & {"-h"})
    text = README.read_text("utf-8")
    assert all(f"`{option}`" in text for option in known if option.startswith("--"))


def test_the_first_screen_has_the_two_commands():
    screen = README.read_text("utf-8").splitlines()[:22]
    assert any(line.startswith("./run dev") for line in screen)
    assert any(line.startswith("./run test") for line in screen)


def test_the_readme_names_the_demo_as_it_is():
    text = README.read_text("utf-8")
    options = DevOptions()
    for number in (options.http_port, options.smtp_port, options.clerk_port, options.relay_port):
        assert f":{number}`" in text or f":{number}>" in text
    assert all(f"`{person.username}`" in text for person in DEMO_PEOPLE)
    assert f"@{DEMO_DOMAIN}" in text
    assert DEMO_PASSWORD in text
    assert DEMO_TOTP_SECRET in text


# --- places and links ----------------------------------------------------------------------------------------------------


def _links(path: Path, *, pictures: bool) -> list[str]:
    found = re.findall(
        rf"{'' if pictures else '(?<!!)'}{'!' if pictures else ''}\[[^\]]*\]\(([^)\s]+)\)",
        path.read_text("utf-8"),
    )
    return [link for link in found if not urlsplit(link).scheme]


def test_links_lead_somewhere(document):
    for link in _links(document, pictures=False):
        target, _, heading = link.partition("#")
        path = (document.parent / target).resolve() if target else document
        assert path.is_file(), link
        if heading:
            titles = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.M)
            assert heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, (
                link
            )


def test_pictures_are_there():
    pictures = _links(README, pictures=True)
    assert len(pictures) == 2
    for link in pictures:
        assert (ROOT / link).read_bytes().startswith(b"\x89PNG\r\n"), link


def test_places_in_the_tree_exist(document):
    """What is named between backticks like a file or folder of ours is one."""
    names = re.findall(
        r"`((?:webmail|inbound|workers|tests|docs)/[\w./-]*|(?:\w+)\.(?:py|toml|lock))`",
        document.read_text("utf-8"),
    )
    missing = [name for name in names if not name.startswith("0002") and not (ROOT / name).exists()]
    assert not missing


def test_the_map_has_every_package():
    """Each top-level package of webmail, and every module beside them that is not plumbing."""
    text = README.read_text("utf-8")
    packages = [
        path
        for path in (ROOT / "webmail").iterdir()
        if path.is_dir() and path.name not in ("__pycache__", "translations")
    ]
    assert [path.name for path in packages if f"`webmail/{path.name}/`" not in text] == []


def test_documents_are_about_mtumail_alone(document):
    """Nothing of the machine that they were written on."""
    text = document.read_text("utf-8")
    assert not re.search(r"(?<![\w.])/(?:work|root|home|tmp|Users)/", text)
    assert max(map(len, text.splitlines())) <= 360
    assert "\t" not in text


# --- the rest ------------------------------------------------------------------------------------------------------------


def test_the_licence_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["license"] == "AGPL-3.0-or-later"
    head = (ROOT / "LICENSE").read_text("utf-8").lstrip().splitlines()[:2]
    assert [line.strip() for line in head] == [
        "GNU AFFERO GENERAL PUBLIC LICENSE",
        "Version 3, 19 November 2007",
    ]
    assert "GNU Affero General Public License, version 3 or later" in README.read_text("utf-8")


def test_the_changelog_begins_with_what_is_not_released():
    titles = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert titles[0] == "Unreleased"


def test_the_checks_are_those_that_contributors_are_told_of():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    steps = re.findall(r"^step (.+)$", script.read_text("utf-8"), re.M)
    assert [step for step in steps if "./run test" in step]
    told = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for tool in ("ruff check", "ruff format --check", "mypy"):
        assert any(f".venv/bin/{tool}" in step for step in steps), tool
        assert f".venv/bin/{tool}" in told, tool
