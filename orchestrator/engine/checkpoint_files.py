"""Checkpoints outside the database: one line each in CHECKPOINT_DIR/checkpoints-YYYY-MM.jsonl.

A line is `{"line": ..., "signature": ...}`: the text that was signed, as a string, and its signature.
"""

import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.core.codec import canonical, read
from orchestrator.core.proof.statement import Signed
from orchestrator.core.proof.trust import Unreadable


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a file went at one moment, so that what is written later does not disturb a reader."""

    file: Path
    size: int


def extents(folder: Path) -> list[Extent]:
    """A half line at the very end, as a crash or a hasty copy leaves it, does not count."""
    if not folder.is_dir():
        return []
    with _locked(folder, fcntl.LOCK_SH):
        found = _files(folder)
        whole = [Extent(file, file.stat().st_size) for file in found[:-1]]
        return whole + [Extent(file, _end_of_whole_lines(file)) for file in found[-1:]]


def read_lines(parts: list[Extent]) -> Iterator[Signed | Unreadable]:
    for part in parts:
        with part.file.open("rb") as file:
            number = 0
            while file.tell() < part.size:
                number += 1
                yield _parse(file.readline(), f"line {number} of {part.file}")


def last_line(folder: Path) -> Signed | Unreadable | None:
    """The last whole one: what a crash left half written does not count."""
    for file in reversed(_files(folder)):
        raw = _last_whole_line(file)
        if raw:
            return _parse(raw, f"the last line of {file}")
    return None


@contextmanager
def appending(folder: Path) -> Iterator[None]:
    """One process of this host at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder, fcntl.LOCK_EX):
        yield


def append(folder: Path, signed: Signed) -> None:
    """On the disk when it returns. What a crash left half written is written anew."""
    path = folder / f"checkpoints-{signed.statement.at[:7]}.jsonl"
    line = canonical({"line": signed.text, "signature": signed.signature}).encode() + b"\n"
    is_new = not path.exists()
    with path.open("ab") as file:
        file.truncate(_end_of_whole_lines(path))
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        _sync(folder)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoints-[0-9][0-9][0-9][0-9]-[0-9][0-9].jsonl"))


def _parse(raw: bytes, where: str) -> Signed | Unreadable:
    if not raw.endswith(b"\n"):
        return Unreadable(where, "it was cut in the middle")
    try:
        data = read(raw.decode())
        if not isinstance(data, dict):
            raise TypeError("it is no object")
        return Signed.read(str(data["line"]), str(data["signature"]))
    except (ValueError, TypeError, KeyError) as error:
        return Unreadable(where, " ".join(str(error).split()))


def _last_whole_line(file: Path) -> bytes:
    end = _end_of_whole_lines(file)
    if not end:
        return b""
    with _view(file) as view:
        return view[view.rfind(b"\n", 0, end - 1) + 1 : end]


def _end_of_whole_lines(file: Path) -> int:
    if not file.stat().st_size:
        return 0
    with _view(file) as view:
        return view.rfind(b"\n") + 1


@contextmanager
def _view(file: Path) -> Iterator[mmap.mmap]:
    """Looked at from its end, however large it is."""
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as view:
        yield view


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """On the folder itself: a copy on a medium that cannot be written can be locked all the same."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)
