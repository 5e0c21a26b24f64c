"""Finds the Java that Spark needs, before Spark fails for want of it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from conf.errors import FixSetup

SUPPORTED = range(17, 22)
"""Spark 4.0 runs on Java 17 and 21; Hadoop's security calls are gone in 24."""

INSTALL = (
    "Debian, Ubuntu: apt-get install openjdk-17-jre-headless · "
    "macOS: brew install openjdk@17 && export JAVA_HOME=$(brew --prefix openjdk@17)"
)


def require_java() -> int:
    """Return the major version of the Java that Spark will start.

    Raises:
        FixSetup: There is none, or Spark does not run on it.
    """
    home = os.environ.get("JAVA_HOME")
    java = Path(home, "bin", "java") if home else Path(shutil.which("java") or "java")
    version = _major_version(java)
    if version is None:
        raise FixSetup("Java", f"{java} does not run, Spark needs JDK 17", INSTALL)
    if version not in SUPPORTED:
        raise FixSetup("Java", f"{java} is Java {version}, Spark needs 17", INSTALL)
    return version


def _major_version(java: Path) -> int | None:
    try:
        # macOS has a `java` that only says where to get one, hence the exit code.
        done = subprocess.run(  # noqa: S603 (the path Spark itself would run)
            [java, "-version"], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr)
    return int(found.group(1)) if found else None
