"""Java as Spark would find it: JAVA_HOME first, then the PATH."""

from pathlib import Path

import pytest

from conf.errors import FixSetup
from conf.java import INSTALL, require_java


def install(home: Path, script: str) -> Path:
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\n{script}\n")
    java.chmod(0o755)
    return home


def says(version: str) -> str:
    return f"echo 'openjdk version \"{version}\" 2025-04-15' >&2"


def test_the_java_of_java_home_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(install(tmp_path / "a", says("17.0.15")) / "bin"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert require_java() == 17
    monkeypatch.setenv("JAVA_HOME", str(install(tmp_path / "b", says("21"))))
    assert require_java() == 21


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (says("1.8.0_392"), "is Java 8"),
        (says("25.0.1"), "is Java 25"),
        ("echo 'Unable to locate a Java Runtime.' >&2; exit 1", "does not run"),
    ],
)
def test_a_java_that_spark_does_not_run_on_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, found: str
):
    monkeypatch.setenv("JAVA_HOME", str(install(tmp_path / "jdk", script)))
    with pytest.raises(FixSetup, match=found) as refused:
        require_java()
    assert refused.value.suggestion == INSTALL


def test_no_java_is_refused_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(FixSetup, match="apt-get install openjdk-17"):
        require_java()
