"""Where the embedded servers live: pure functions of the data folder, so that any process finds them."""

import hashlib
import os
import tempfile
from pathlib import Path

# A Unix socket's path may have 107 bytes on Linux and 103 on macOS; PostgreSQL adds its own name.
SOCKET_FOLDER_BYTES_MAX = 80
POSTGRES_USER = "countersign"
POSTGRES_DATABASE = "countersign"


def socket_dir(var_dir: Path) -> Path:
    """The private folder of the sockets: below the data, or below the system's runtime folder when that is too deep."""
    folder = var_dir / "run"
    if len(os.fsencode(folder)) <= SOCKET_FOLDER_BYTES_MAX:
        return folder
    digest = hashlib.sha256(os.fsencode(var_dir)).hexdigest()[:12]
    runtime = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(runtime) / f"countersign-{os.getuid()}-{digest}"


def database_url(var_dir: Path) -> str:
    return f"postgresql://{POSTGRES_USER}@/{POSTGRES_DATABASE}?host={socket_dir(var_dir)}"


def redis_url(var_dir: Path) -> str:
    return f"unix://{socket_dir(var_dir)}/valkey.sock?db=0"
