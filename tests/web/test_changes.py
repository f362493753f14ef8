"""What changed, in the app: as the changelog has it, for everybody with a mailbox."""

import tomllib
from pathlib import Path

from click.testing import CliRunner

from webmail import cli
from webmail.version import own_version
from webmail.web import changes

TEXT = """# Changes

## 1.1

**For people with a mailbox**
- A `thing` that
  goes on, see [here](docs/x.md).
- **Another**.

## 1.0

- The first.
"""


def test_a_changelog_is_read():
    newest, first = changes.parse(TEXT)
    assert newest.name == "1.1"
    assert newest.groups == [("For people with a mailbox", ["A thing that goes on, see here.", "Another."])]
    assert first.groups == [("", ["The first."])]


def test_ours_is_read_whole():
    assert changes.releases()
    assert all(lines for release in changes.releases() for _heading, lines in release.groups)


def test_everybody_with_a_mailbox_reads_it(browser_of, ann):
    page = browser_of(ann).get("/help/changes")
    assert page.status_code == 200
    assert "conversations" in page.text.lower()
    assert "`" not in page.text.split("<main", 1)[1].split("</main>", 1)[0]


def test_an_installation_without_it_says_so(browser_of, ann, monkeypatch):
    monkeypatch.setattr(changes, "releases", list)
    assert "no list of changes" in browser_of(ann).get("/help/changes").text


def test_strangers_are_asked_to_sign_in(stranger):
    assert stranger.get("/help/changes").status_code in (302, 303, 307, 401)


def test_the_version_is_told_by_the_command_and_the_page(browser_of, ann):
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    told = tomllib.loads(project.read_text("utf-8"))["project"]["version"]
    assert own_version() == told
    assert CliRunner().invoke(cli.cli, ["--version"]).output == f"mtumail {told}\n"
    assert f"mtumail {told}." in browser_of(ann).get("/help/changes").text
