"""One contender at work.

``python -m infra.local.bench.worker NAME FOLDER LIFE SECONDS`` stores so many seconds
of the recording at once, again and again. It may be killed at any moment and started
again as its next life. ``<folder>/<name>/batches.jsonl`` gets a line for each batch; it
ends when the recording or its time does, which ``<folder>/<name>/stop`` says.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name

import msgspec

from conf import logs
from infra.local.bench.contender import CONTENDERS, PACKAGE, Contender, Taken
from infra.local.bench.recording import records_file
from infra.local.process_table import usage

Variants = dict[str, Callable[[Path], Contender]]


def open_contender(name: str, folder: Path) -> Contender:
    """Return a contender; only its own libraries are imported."""
    variants: Variants = resolve_name(f"{PACKAGE}.{CONTENDERS[name]}:VARIANTS")
    return variants[name](folder)


def work(name: str, folder: Path, life: int, at_once_s: int) -> None:
    """Store batch after batch."""
    own = folder / name
    contender = open_contender(name, own)
    with (own / "batches.jsonl").open("ab", buffering=0) as told:
        first = contender.next_second()
        while not (own / "stop").exists():
            records = _records(folder, first, at_once_s)
            if not records:
                break
            began = time.perf_counter()
            contender.take(first, records)
            ms = round((time.perf_counter() - began) * 1000, 2)
            rss_mb, cpu_s = usage(os.getpid())
            taken = Taken(life, first, len(records), ms, cpu_s, rss_mb)
            told.write(msgspec.json.encode(taken) + b"\n")
            first = taken.end
    contender.finish()


def _records(folder: Path, first: int, count: int) -> list[Path]:
    paths = (records_file(folder, number) for number in range(first, first + count))
    return [path for path in paths if path.exists()]


if __name__ == "__main__":
    logs.configure("bench", level="WARNING")
    work(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
