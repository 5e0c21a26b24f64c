"""Says what this machine has and lacks, each lack with the one line that mends it."""

import os
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from conf.errors import FixSetup
from conf.findings import Finding
from conf.java import require_java
from conf.settings import ROOT, Settings
from infra.local.services import require_free

_GIB = 1024**3
_NEEDED_MEMORY_GB = {"local": 8, "small": 4, "aws": 4}


def examine(settings: Settings) -> list[Finding]:
    """Return every finding, in the order a person would mend them."""
    return [
        _python(),
        _java(),
        _jars(ROOT / "var" / "jars"),
        _memory(settings.profile),
        _disk(settings),
        *_ports(settings),
    ]


def require(findings: Iterable[Finding]) -> None:
    """Go on only on a machine that can run the pipeline.

    Raises:
        FixSetup: Something a run needs is missing; further lacks are its notes.
    """
    lacks = [FixSetup(f.name, f.found, f.fix) for f in findings if f.state == "missing"]
    if lacks:
        error, *others = lacks
        for other in others:
            error.add_note(str(other))
        raise error


def _python() -> Finding:
    version = platform.python_version()
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding("Python", "ok", version)
    return Finding("Python", "missing", version, "Needs 3.11, 3.12 or 3.13")


def _java() -> Finding:
    try:
        return Finding("Java", "ok", str(require_java()))
    except FixSetup as error:
        return Finding("Java", "missing", error.what, error.suggestion)


def _jars(folder: Path) -> Finding:
    count = sum(1 for _ in folder.rglob("*.jar"))
    if count:
        return Finding("Spark jars", "ok", f"{count} in var/jars")
    return Finding("Spark jars", "note", "none yet", "The first start fetches 8 MB")


def _memory(profile: str) -> Finding:
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / _GIB
    needed = _NEEDED_MEMORY_GB[profile]
    if found >= needed:
        return Finding("Memory", "ok", f"{found:.1f} GiB")
    fix = f"The {profile} profile needs {needed} GiB; PROFILE=small needs 4"
    return Finding("Memory", "note", f"{found:.1f} GiB", fix)


def _disk(settings: Settings) -> Finding:
    existing = next(p for p in (settings.var, *settings.var.parents) if p.exists())
    free = shutil.disk_usage(existing).free / 1e9
    if free > settings.storage.min_free_gb:
        return Finding("Disk", "ok", f"{free:.0f} GB free")
    fix = f"Free some: ingestion pauses under {settings.storage.min_free_gb} GB"
    return Finding("Disk", "missing", f"{free:.1f} GB free", fix)


def _ports(settings: Settings) -> Iterator[Finding]:
    wanted = {
        "simulator.port": settings.simulator.port,
        "emulator.port": settings.emulator.port,
    }
    for key, port in wanted.items():
        try:
            require_free(port, key)
        except FixSetup as taken:
            yield Finding(key, "note", f"{port} is {taken.what}", taken.suggestion)
        else:
            yield Finding(key, "ok", f"{port} is free")
