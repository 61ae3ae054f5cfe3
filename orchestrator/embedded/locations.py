"""Where the embedded servers live: pure functions of the data folder, so that any process finds them."""

import hashlib
import os
import re
from pathlib import Path

# A Unix socket's path may have 107 bytes on Linux and 103 on macOS; PostgreSQL adds its own name.
SOCKET_FOLDER_BYTES_MAX = 80
# The folder is written into URLs, and django-environ does not decode what a URL would encode.
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")
# Only part of the socket's name. Said aloud, because PGPORT in somebody's shell would change it.
POSTGRES_PORT = 5432
# The owner has the tables and changes them; the application uses them, and cannot rewrite its log.
POSTGRES_OWNER = "countersign"
POSTGRES_APPLICATION = "countersign_app"
POSTGRES_DATABASE = "countersign"


def socket_dir(var_dir: Path) -> Path:
    """The private folder of the sockets: below the data, or in /tmp when that path cannot serve.

    /tmp by name: TMPDIR and XDG_RUNTIME_DIR differ between a terminal, cron and sudo, and every
    process has to come to the same answer.
    """
    folder = var_dir / "run"
    short = len(os.fsencode(folder)) <= SOCKET_FOLDER_BYTES_MAX
    if short and PLAIN_PATH.fullmatch(str(folder)):
        return folder
    digest = hashlib.sha256(os.fsencode(var_dir)).hexdigest()[:12]
    return Path("/tmp") / f"countersign-{digest}"  # noqa: S108 - owner and mode are checked


def valkey_socket(var_dir: Path) -> Path:
    return socket_dir(var_dir) / "valkey.sock"


def database_url(var_dir: Path) -> str:
    return _url_of(POSTGRES_APPLICATION, var_dir)


def database_owner_url(var_dir: Path) -> str:
    return _url_of(POSTGRES_OWNER, var_dir)


def _url_of(role: str, var_dir: Path) -> str:
    where = f"host={socket_dir(var_dir)}&port={POSTGRES_PORT}"
    return f"postgresql://{role}@/{POSTGRES_DATABASE}?{where}"


def redis_url(var_dir: Path) -> str:
    return f"unix://{valkey_socket(var_dir)}?db=0"
