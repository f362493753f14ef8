"""`./run`: it installs what is pinned, once, heals what is broken, and becomes the program it starts.

Most tests have a stand-in for uv on PATH, which makes a real environment and one small package in it; one uses the real pip.
"""

import base64
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

STAND_IN = """\
#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import os, pathlib, subprocess, sys
with open({calls!r}, "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
if os.environ.get("STAND_IN_FAILS"):
    sys.exit("uv: no")
if sys.argv[1] == "venv":
    sys.exit(subprocess.call([sys.executable, "-m", "venv", "--without-pip", sys.argv[-1]]))
[site] = pathlib.Path(sys.argv[sys.argv.index("--python") + 1]).parent.parent.glob("lib/python3*/site-packages")
(site / "small").mkdir(exist_ok=True)
(site / "small" / "__init__.py").write_text("")
(site / "pytest.py").write_text("import os, sys; print('pytest', os.getcwd(), *sys.argv[1:])")
(site / "small-1.dist-info").mkdir(exist_ok=True)
(site / "small-1.dist-info" / "RECORD").write_text("small/__init__.py,,\\nsmall-1.dist-info/RECORD,,\\n")
"""

CLI = """\
import os, signal, sys, time
def main():
    if sys.argv[1] == "wait":
        try:
            print("up", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            return 7
    print(os.path.basename(sys.argv[0]), *sys.argv[1:], os.environ.get("HOME"))
    return 0
"""


class Project:
    def __init__(self, folder: Path):
        self.root = folder / "a project"
        self.calls_file = folder / "calls"
        self.bin = folder / "bin"
        (self.root / "webmail").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy2(ROOT / "run", self.root / "run")
        (self.root / "webmail" / "__init__.py").write_text("")
        (self.root / "webmail" / "cli.py").write_text(CLI)
        for lock in ("requirements.lock", "requirements-browser.lock"):
            (self.root / lock).write_text("# nothing yet\n")
        uv = self.bin / "uv"
        uv.write_text(STAND_IN.format(python=sys.executable, calls=str(self.calls_file)))
        uv.chmod(0o755)
        self.environment = {"PATH": str(self.bin), "HOME": str(folder), "PIP_NO_INDEX": "1"}

    def command(self, *arguments):
        return [getattr(sys, "_base_executable", sys.executable), str(self.root / "run"), *arguments]

    def run(self, *arguments, **environment):
        return subprocess.run(
            self.command(*arguments),
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            timeout=120,
        )

    def calls(self):
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    @property
    def site(self):
        [found] = self.root.glob(".venv/lib/python3*/site-packages")
        return found


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A project that is set up; tests mend what they break."""
    made = Project(tmp_path_factory.mktemp("ready"))
    assert made.run("doctor").returncode == 0
    return made


def test_first_start_installs_in_a_path_with_blanks_and_the_second_does_nothing(project):
    first = project.run("doctor", "--flag")
    assert (first.returncode, first.stdout.split()[:3]) == (0, ["mtumail", "doctor", "--flag"])
    assert [call.split()[0] for call in project.calls()] == ["venv", "pip"]
    assert "--require-hashes" in project.calls()[1]
    assert project.calls()[1].endswith("/requirements.lock")
    assert "Installing packages" in first.stderr
    assert "\033" not in first.stderr
    second = project.run("doctor")
    assert (second.returncode, second.stderr, len(project.calls())) == (0, "", 2)
    installed = subprocess.run(
        [project.root / ".venv/bin/mtumail", "doctor"], capture_output=True, text=True, check=True
    )
    assert installed.stdout.startswith("mtumail doctor")


def test_the_second_start_is_quick(ready):
    bare, whole = [], []
    for _ in range(3):
        for times, command in (
            (bare, [ready.root / ".venv/bin/python", ready.root / ".venv/bin/mtumail", "x"]),
            (whole, ready.command("x")),
        ):
            started = time.monotonic()
            subprocess.run(command, env=ready.environment, stdout=subprocess.DEVNULL, check=True)
            times.append(time.monotonic() - started)
    assert min(whole) - min(bare) < 0.5


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-browser.lock"])
def test_a_changed_lock_installs_again(ready, lock):
    before = len(ready.calls())
    (ready.root / lock).write_text((ready.root / lock).read_text() + "# changed\n")
    assert ready.run("doctor").returncode == 0
    assert [call.split()[0] for call in ready.calls()[before:]] == ["pip"]


def test_browser_packages_come_with_the_option_and_serve_for_all(project):
    assert project.run("test", "-k", "x").stdout == f"pytest {project.root} -k x\n"
    assert project.calls()[-1].endswith("/requirements.lock")
    assert project.run("test", "--browser", "--co").stdout == f"pytest {project.root} --co\n"
    assert project.calls()[-1].endswith("/requirements-browser.lock")
    before = len(project.calls())
    project.run("doctor")
    assert len(project.calls()) == before


def test_browser_packages_come_where_there_is_a_browser(project):
    browser = project.bin / "chromium"
    browser.write_text("#!/bin/sh\n")
    browser.chmod(0o755)
    project.run("test")
    assert project.calls()[-1].endswith("/requirements-browser.lock")


def break_by_removing_a_package(project):
    shutil.rmtree(project.site / "small")


def break_by_removing_a_file(project):
    (project.site / "small" / "__init__.py").unlink()
    (project.site / "odd").mkdir()


def break_by_losing_python(project):
    python = project.root / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/nowhere/python3")


def break_by_stopping_half_way(project):
    shutil.rmtree(project.root / ".venv")
    (project.root / ".venv/lib").mkdir(parents=True)


def break_by_a_file_in_its_place(project):
    shutil.rmtree(project.root / ".venv")
    (project.root / ".venv").write_text("")


def break_the_command(project):
    (project.root / ".venv/bin/mtumail").unlink()


@pytest.mark.parametrize(
    "damage",
    [
        break_by_removing_a_package,
        break_by_removing_a_file,
        break_by_losing_python,
        break_by_stopping_half_way,
        break_by_a_file_in_its_place,
        break_the_command,
    ],
)
def test_a_broken_environment_heals(ready, damage):
    damage(ready)
    done = ready.run("doctor")
    assert (done.returncode, done.stdout.split()[:2]) == (0, ["mtumail", "doctor"])
    assert (ready.site / "small" / "__init__.py").exists()
    before = len(ready.calls())
    assert ready.run("doctor").returncode == 0
    assert len(ready.calls()) == before


def test_a_moved_project_works_at_its_new_place(project, tmp_path):
    project.run("doctor")
    project.root = project.root.rename(tmp_path / "moved away")
    done = project.run("doctor")
    assert done.stdout.startswith("mtumail doctor")
    assert (project.site / "mtumail.pth").read_text() == f"{tmp_path / 'moved away'}\n"


def test_two_first_starts_at_once_install_once(project):
    both = [
        subprocess.Popen(
            project.command("doctor"),
            env=project.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    assert [process.communicate()[0].split()[0] for process in both] == [b"mtumail"] * 2
    assert [call.split()[0] for call in project.calls()] == ["venv", "pip"]


def test_without_home_one_is_lent_to_the_installer_alone(project):
    uv = project.bin / "uv"
    uv.write_text(
        uv.read_text().replace(
            "if sys.argv[1] ==",
            f"open({str(project.bin / 'home')!r}, 'w').write(os.environ['HOME'])\nif sys.argv[1] ==",
            1,
        )
    )
    done = project.run("doctor", HOME="/nonexistent")
    assert (project.bin / "home").read_text() == str(project.root / ".boot/home")
    assert done.stdout.split()[-1] == "/nonexistent"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 7), (signal.SIGTERM, -signal.SIGTERM)])
def test_signals_reach_the_program_because_run_becomes_it(ready, number, code):
    process = subprocess.Popen(
        ready.command("wait"),
        env=ready.environment,
        stdout=subprocess.PIPE,
        # What was started in the background by a script ignores Ctrl-C, and would hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout.readline() == b"up\n"
    process.send_signal(number)
    assert process.wait(20) == code
    process.stdout.close()


def test_where_nothing_can_install_one_sentence_says_what_to_do(project):
    (project.root / "requirements.lock").write_text("small==1 --hash=sha256:" + "0" * 64 + "\n")
    done = project.run("doctor", STAND_IN_FAILS="1", PIP_CONFIG_FILE="/dev/null")
    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("./run: the packages cannot be installed (")
    assert "Install uv, or Debian's python3-venv and python3-pip" in last


def test_usage_needs_no_installation(project):
    assert project.run("--help").stdout.startswith("Sets mtumail up")
    assert project.run().returncode == 2
    assert project.calls() == []


def test_an_old_python_is_told_so():
    source = (ROOT / "run").read_text()
    assert os.access(ROOT / "run", os.X_OK)
    early = (
        source.split("ROOT = ")[0]
        .replace("sys.version_info < (3, 11)", "True")
        .replace("os.environ.get(", "(lambda *_: '')(")
    )
    done = subprocess.run(
        [sys.executable, "-c", early.replace("sys.version_info[:2]", "(3, 8)")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "mtumail needs Python 3.11 or newer; this is 3.8 and no newer one is on PATH\n"


@pytest.mark.slow
def test_pip_alone_installs_what_the_hash_allows_and_nothing_else(project):
    if subprocess.run(
        [*project.command()[:1], "-m", "pip", "--version"], capture_output=True, check=False
    ).returncode:
        pytest.skip("this Python has no pip")
    wheels = project.root / "wheels"
    wheels.mkdir()
    wheel = wheels / "small-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        files = {
            "small/__init__.py": "",
            "small-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: small\nVersion: 1\n",
        }
        files["small-1.dist-info/WHEEL"] = (
            "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        for name, text in files.items():
            archive.writestr(name, text)
        digests = {
            name: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            for name, text in files.items()
        }
        record = "".join(f"{name},sha256={digest},{len(files[name])}\n" for name, digest in digests.items())
        archive.writestr("small-1.dist-info/RECORD", record + "small-1.dist-info/RECORD,,\n")
    (project.bin / "uv").unlink()
    offline = {"PIP_FIND_LINKS": wheels.as_uri(), "PIP_CONFIG_FILE": "/dev/null"}
    lock = project.root / "requirements.lock"
    lock.write_text("small==1 --hash=sha256:" + "0" * 64 + "\n")
    refused = project.run("doctor", **offline)
    assert refused.returncode == 1
    assert "HASH" in refused.stderr.upper()
    lock.write_text(f"small==1 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    done = project.run("doctor", **offline)
    assert (done.returncode, done.stdout.split()[:2]) == (0, ["mtumail", "doctor"])
    assert (project.site / "small" / "__init__.py").exists()
    assert stat.S_IMODE((project.root / ".venv/bin/mtumail").stat().st_mode) == 0o755
