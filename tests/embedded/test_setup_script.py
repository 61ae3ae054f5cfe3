"""scripts/setup on machines that are not as one would wish."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.embedded.product import REPOSITORY

# What the script itself needs; a Python is what it has to find.
TOOLS = [
    *("awk", "cat", "cksum", "dirname", "flock", "grep", "mkdir", "mv", "rm", "sed", "sh"),
    *("sleep", "tail", "tee", "tr", "uname"),
]
BASE_PYTHON = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose path has a space, with nothing to install, so that no network is needed."""
    folder = tmp_path / "a checkout"
    shutil.copytree(REPOSITORY / "scripts", folder / "scripts")
    for name in ("requirements.txt", "requirements-dev.txt", "constraints.txt"):
        (folder / name).write_text("# nothing\n")
    return folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The only folder on PATH, with pyenv's broken promise for every name of Python."""
    folder = tmp_path / "path"
    folder.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        if found:
            (folder / name).symlink_to(found)
    for name in ("python", "python3", "python3.12", "python3.13", "python3.14"):
        write_program(folder / name, "echo 'pyenv: command not found' >&2; exit 127")
    return folder


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def set_up(checkout: Path, path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    home = checkout.parent / "home"
    return subprocess.run(
        [str(checkout / "scripts" / "setup")],
        env={"PATH": str(path), "HOME": str(home), **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def spent_by_children_s() -> float:
    """Of the processor: how long something takes is up to whoever else is at work."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_it_finds_a_python_that_only_pyenv_knows_and_the_second_time_is_instant(
    checkout: Path, path: Path, tmp_path: Path
) -> None:
    versions = tmp_path / "home" / ".pyenv" / "versions"
    for version, target in (("3.11.7", "/bin/false"), ("3.13.99", str(BASE_PYTHON))):
        (versions / version / "bin").mkdir(parents=True)
        (versions / version / "bin" / "python3").symlink_to(target)
    first = set_up(checkout, path)
    assert first.returncode == 0, first.stderr
    assert str(versions / "3.13.99") in first.stdout
    before = spent_by_children_s()
    second = set_up(checkout, path)
    assert spent_by_children_s() - before < 0.2
    assert (second.returncode, second.stdout) == (0, "")


def test_what_was_cut_short_is_made_anew_and_two_at_a_time_do_not_meet(
    checkout: Path, path: Path
) -> None:
    venv = checkout / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / ".unfinished").touch()
    (venv / "bin" / "python").symlink_to("/nowhere/python3")
    command = [str(checkout / "scripts" / "setup")]
    environment = {"PATH": str(path), "PYTHON": str(BASE_PYTHON)}
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(2)]
    said = [process.communicate(timeout=120)[0].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("Making .venv" in words for words in said) == 1
    assert not (venv / ".unfinished").exists()
    assert subprocess.run([venv / "bin" / "python", "-c", ""], check=True).returncode == 0


def test_a_python_that_cannot_make_environments_is_left_for_uv(
    checkout: Path, path: Path, tmp_path: Path
) -> None:
    # As on Debian without python3-venv: the interpreter is new enough, ensurepip is missing.
    write_program(
        path / "python3",
        f'case "$*" in *ensurepip*) exit 1 ;; esac; exec {BASE_PYTHON} "$@"',
    )
    write_program(
        path / "uv",
        f'[ "$1" = --version ] || {{ echo "$@" >"{tmp_path}/asked"; {BASE_PYTHON} -m venv .venv; }}',
    )
    made = set_up(checkout, path)
    assert made.returncode == 0, made.stderr
    assert (
        "--seed --no-python-downloads --python >=3.12,<3.15 .venv"
        in (tmp_path / "asked").read_text()
    )


def test_without_any_python_it_says_so(checkout: Path, path: Path) -> None:
    failed = set_up(checkout, path)
    assert failed.returncode == 1
    assert "No Python was found at all. Nothing was installed." in failed.stderr


def test_without_a_network_it_says_so(checkout: Path, path: Path) -> None:
    (checkout / "requirements.txt").write_text("no-such-thing-of-countersign==1\n")
    failed = set_up(
        checkout,
        path,
        PYTHON=str(BASE_PYTHON),
        PIP_INDEX_URL="http://127.0.0.1:9/simple",
        PIP_CONFIG_FILE=os.devnull,
        PIP_RETRIES="1",
    )
    assert failed.returncode == 1
    assert "The network did not answer." in failed.stderr
    assert (checkout / ".venv" / ".unfinished").exists()


def test_every_requirement_is_pinned_and_has_its_reason() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (REPOSITORY / name).read_text().splitlines():
            if line and line[0] not in "#-":
                assert "==" in line.split("#")[0], line
                assert len(line.partition("#")[2].strip()) > 10, line


def test_every_requirement_is_in_the_constraints() -> None:
    pinned = (REPOSITORY / "constraints.txt").read_text().lower()
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (REPOSITORY / name).read_text().splitlines():
            if "==" in line:
                project, _, rest = line.partition("==")
                version = rest.replace(";", " ").split()[0]
                wanted = f"{project.partition('[')[0].strip().lower()}=={version}"
                assert wanted in pinned, f"run scripts/pin: {wanted} is not in constraints.txt"
