"""What a measurement ran on: versions, commit, processor, load."""

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from conf.settings import ROOT

_PACKAGES = ("pyspark", "delta-spark", "deltalake", "duckdb")
CODE = ("conf", "producer", "bronze", "silver", "gold", "infra", "uv.lock")
"""What a measurement depends on; a change elsewhere leaves it valid."""


def versions() -> dict[str, str | int | None]:
    """Return the versions of what a run consists of, and the machine's processor."""
    return {
        "python": platform.python_version(),
        "java": _java_version(),
        **{name: _package_version(name) for name in _PACKAGES},
        "commit": commit(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
    }


def commit() -> str | None:
    """Return the checked-out commit, with ``+changes`` if the code differs from it.

    None outside a git checkout, or before its first commit.
    """
    head = _output("git", "rev-parse", "--verify", "HEAD")
    if not head:
        return None
    changed = _output(
        "git", "--no-optional-locks", "status", "--porcelain", "--", *CODE
    )
    return f"{head}+changes" if changed else head


def is_same_code(measured: str | None) -> bool:
    """Return whether the code is still the one of a measurement's commit."""
    if measured is None or not re.fullmatch("[0-9a-f]{40}", measured):
        return False
    if _output("git", "cat-file", "-t", measured) != "commit":
        return False
    untracked = _output("git", "ls-files", "--others", "--exclude-standard", *CODE)
    return not (
        _output("git", "--no-optional-locks", "diff", "--stat", measured, "--", *CODE)
        or untracked
    )


def cpu_model() -> str:
    """Return the processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = re.findall(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE)
        if names:
            return str(names[0])
    return platform.processor() or platform.machine()


def load_average() -> float:
    """Return how many processes wanted a core in the last minute, on average."""
    return round(os.getloadavg()[0], 2)


def _java_version() -> str | None:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else "java"
    first, *_ = (_output(java, "-version", stream="stderr") or "").splitlines() or [""]
    found = re.search(r'"(.+?)"', first)
    return found.group(1) if found else None


def _package_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _output(*command: str, stream: str = "stdout") -> str | None:
    """Return what a command says in the checkout; None if it cannot or fails."""
    try:
        done = subprocess.run(  # noqa: S603 (fixed commands)
            command, cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return str(getattr(done, stream)).strip()
