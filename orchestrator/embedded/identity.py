"""PostgreSQL refuses root and users without a name: who a child becomes instead."""

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.embedded.errors import CannotStart

BECOME = str(Path(__file__).with_name("become.py"))
# Inside a namespace any name will do; outside, one that owns as little as possible.
NAMES_INSIDE = ("daemon", "bin", "nobody")
NAMES_OUTSIDE = ("postgres", "nobody")


@dataclass(frozen=True)
class Identity:
    """Ours; ours with another number inside a namespace; or another user's."""

    number_inside: int | None = None
    uid: int | None = None

    @property
    def word(self) -> str:
        """As become.py reads it."""
        if self.number_inside is not None:
            return f"namespace:{self.number_inside}"
        return "same" if self.uid is None else f"user:{self.uid}"

    def own(self, folder: Path) -> None:
        if self.uid is not None:
            os.chown(folder, self.uid, -1)


OURSELVES = Identity()


def choose_identity(must_reach: Iterable[Path]) -> Identity:
    """The gentlest that works here. A namespace needs no account and changes no file's owner."""
    uid = os.geteuid()
    if uid != 0 and name_of(uid):
        return OURSELVES
    inside = Identity(number_inside=_find_uid(NAMES_INSIDE))
    if inside.number_inside is not None and _works(inside, "/"):
        return inside
    if uid != 0:
        raise CannotStart(
            f"PostgreSQL needs a user with a name, user {uid} has none in /etc/passwd, and this "
            "machine allows no user namespace. Nothing was started. Run `make up` as a user with "
            "a name, or set DATABASE_URL to a server that runs elsewhere."
        )
    return _choose_other_user(must_reach)


def command_as(
    identity: Identity, command: tuple[str, ...], orphan_signal: signal.Signals = signal.SIGKILL
) -> tuple[str, ...]:
    """The same command by way of become.py: it ends with us, and as who it should be."""
    tied = (str(os.getpid()), str(int(orphan_signal)), identity.word)
    return (sys.executable, "-I", "-S", BECOME, *tied, *command)


def _choose_other_user(must_reach: Iterable[Path]) -> Identity:
    other = Identity(uid=_find_uid(NAMES_OUTSIDE))
    for path in must_reach:
        if other.uid is None or not _works(other, str(path)):
            raise CannotStart(
                "PostgreSQL does not run as root, this machine allows no user namespace, and "
                f"another user cannot reach {path}. Nothing was started. Run `make up` as a "
                "normal user, or set DATABASE_URL to a server that runs elsewhere."
            )
    return other


def _works(identity: Identity, path: str) -> bool:
    command = command_as(identity, ("/bin/ls", "-d", path))
    return subprocess.run(command, check=False, cwd="/", capture_output=True).returncode == 0


def _find_uid(names: Iterable[str]) -> int | None:
    for name in names:
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    return None


def name_of(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
