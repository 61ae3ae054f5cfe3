"""A worker to be killed: `python -m tests.agents.worker FOLDER` waits for three calls that hang."""

import sys
import threading
from pathlib import Path

import django


def main(folder: Path) -> None:
    ISOLATION.start()
    for number in range(3):
        config = {"kind": "function", "name": "run_program_and_wait"}
        call = make_call(config, item=str(folder / f"call-{number}"), timeout_s=600.0)
        threading.Thread(target=ISOLATION.call, args=(call,)).start()


if __name__ == "__main__":
    django.setup()
    from orchestrator.agents.isolated import ISOLATION
    from tests.agents.conftest import make_call

    main(Path(sys.argv[1]))
