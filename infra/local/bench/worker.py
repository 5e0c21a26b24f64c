"""One contender at work: ``python -m infra.local.bench.worker NAME FOLDER``.

It may be killed at any moment and started again. ``<folder>/<name>/batches.jsonl`` gets
a line for each second that it stored; it ends when the recording or its time does,
which ``<folder>/<name>/stop`` says.
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


def work(name: str, folder: Path) -> None:
    """Store second after second."""
    own = folder / name
    own.mkdir(exist_ok=True)
    contender = open_contender(name, own)
    with (own / "batches.jsonl").open("ab", buffering=0) as told:
        number = contender.next_second()
        while not (own / "stop").exists():
            records = records_file(folder, number)
            if not records.exists():
                break
            began = time.perf_counter()
            contender.take(number, records)
            taken_ms = (time.perf_counter() - began) * 1000
            rss_mb, cpu_s = usage(os.getpid())
            taken = Taken(os.getpid(), number, round(taken_ms, 2), cpu_s, rss_mb)
            told.write(msgspec.json.encode(taken) + b"\n")
            number += 1
    contender.finish()


if __name__ == "__main__":
    logs.configure("bench", level="WARNING")
    work(sys.argv[1], Path(sys.argv[2]))
