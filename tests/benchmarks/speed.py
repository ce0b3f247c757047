"""The benchmarks of speed, one command: each beside its peers, in turns within one run, as ratios.

    python tests/benchmarks/speed.py [PART ...] [--rounds 5] [--json FILE]

Parts are the modules named in `PARTS`; without any, all of them run. A peer that is not installed is said to be
missing, and `pip install 'pytest-streamkit[benchmarks]'` brings them all.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
from pathlib import Path

from measure import Table, show

#: By name, the module whose `tables(rounds)` measures it.
PARTS = {
    "decode": "bench_decode",
    "accumulate": "bench_accumulate",
    "check": "bench_check",
    "cassettes": "bench_cassettes",
    "proof": "bench_proof",
    "startup": "bench_startup",
}


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    unknown = [part for part in chosen.parts if part not in PARTS]
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    found: dict[str, list[Table]] = {}
    for part in chosen.parts or PARTS:
        found[part] = importlib.import_module(PARTS[part]).tables(chosen.rounds)
        show(found[part])
    if chosen.json is not None:
        report = {
            "format": 1,
            "python": platform.python_version(),
            "rounds": chosen.rounds,
            "parts": {part: [table.to_json() for table in tables] for part, tables in found.items()},
        }
        chosen.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
