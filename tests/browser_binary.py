"""Which Chromium the browser tests drive. `python -m tests.browser_binary` prints it."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW_TO_GET_ONE = "Install Chromium, or set CHROMIUM=/path/to/chromium, then run `make test` again."


@cache
def find_chromium() -> str | None:
    """CHROMIUM, else one on PATH, else the one `playwright install chromium` brought."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named if _runs(named) else None
    candidates = [shutil.which(name) for name in NAMES] + _list_of_playwright()
    return next((path for path in candidates if path and _runs(path)), None)


def _list_of_playwright() -> list[str]:
    chosen = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    home = Path.home()
    folders = (
        [Path(chosen)]
        if chosen
        else [
            home / ".cache" / "ms-playwright",
            home / "Library" / "Caches" / "ms-playwright",
        ]
    )
    patterns = (
        "chromium-*/chrome-linux*/chrome",
        "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
    )
    return [
        str(path)
        for folder in folders
        for pattern in patterns
        for path in sorted(folder.glob(pattern), reverse=True)
    ]


def _runs(path: str) -> bool:
    # Ubuntu's /usr/bin/chromium-browser may be a script that only advertises a snap.
    try:
        asked = subprocess.run([path, "--version"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0 and b"Chrom" in asked.stdout


if __name__ == "__main__":
    found = find_chromium()
    sys.stdout.write(f"{found or HOW_TO_GET_ONE}\n")
    sys.exit(found is None)
