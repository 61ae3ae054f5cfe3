"""`make bench`: measure, print a table, write var/bench.json. Never a test: it judges nothing.

Machines are shared and noisy. Trust ratios (both sides measured in the same run), CPU time, query
counts and transactions; a single wall time says little. `python -m tests.bench pipeline fanout`
measures only these. `make bench-scale` is `python -m tests.bench scale`, which writes a file of its own;
`scale 100000` loads that many proposals and not a million.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from orchestrator.embedded.servers import EmbeddedServers

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    folder = ROOT / "var" / "bench"
    os.environ["VAR_DIR"] = str(folder)
    os.environ["DJANGO_SETTINGS_MODULE"] = "orchestrator.settings"
    given = os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")
    servers: AbstractContextManager[object] = nullcontext() if given else EmbeddedServers(folder)
    is_scale = sys.argv[1:2] == ["scale"]
    with servers:
        figures = measure_at_scale() if is_scale else measure_all()
    target = ROOT / "var" / ("bench-scale.json" if is_scale else "bench.json")
    target.write_text(json.dumps(figures, indent=2) + "\n")
    print_table(figures)
    print(f"\nwritten to {target}")
    return 0


def measure_all() -> dict[str, float]:
    """Django is set up only now, when the servers' addresses are known."""
    import django

    django.setup()
    from tests.bench import measures

    with measures.fresh_database():
        figures: dict[str, float] = {}
        for measure in chosen(measures.ALL):
            print(f"measuring {measure.__name__} ...", flush=True)
            figures |= measure()
    return figures


def measure_at_scale() -> dict[str, float]:
    import django

    django.setup()
    from tests.bench import scale

    return scale.measure_scale(*map(int, sys.argv[2:3]))


def chosen[Measure: Callable[[], dict[str, float]]](measures: Iterable[Measure]) -> list[Measure]:
    """Those named on the command line, or all."""
    names, known = sys.argv[1:], {measure.__name__: measure for measure in measures}
    if unknown := [name for name in names if name not in known]:
        sys.exit(f"There is no measure {', '.join(unknown)}. Known are: {', '.join(known)}.")
    return [known[name] for name in names] if names else list(known.values())


def print_table(figures: dict[str, float]) -> None:
    width = max(map(len, figures))
    print()
    for name, value in figures.items():
        print(f"{name:<{width}}  {value:>12,.3f}")


if __name__ == "__main__":
    sys.exit(main())
