"""One owner per data folder: a lock the kernel gives back when its holder dies, however it dies."""

import fcntl
import os
from pathlib import Path
from typing import Self

from orchestrator.embedded.errors import AlreadyRunning, CannotStart


class FolderLock:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        return self._descriptor is not None

    def take(self, holder: str) -> None:
        """Take the lock and say in it who holds it; never wait."""
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            other = self.path.read_text().strip()
            raise AlreadyRunning(f"{self.path.parent} is in use by {other}.", other) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, holder.encode())
        self._descriptor = descriptor

    def release(self) -> None:
        # The file stays: removing it would let two newcomers lock two different files.
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def _open(self) -> int:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CannotStart(
                f"{self.path} cannot be written ({error.strerror}). Nothing was started. "
                "Make the folder writable, or set VAR_DIR to one that is."
            ) from error
