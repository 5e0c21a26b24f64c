"""A key that somebody is about to commit stops ``make check``."""

import subprocess
from pathlib import Path

import pytest

from conf.settings import ROOT

# Put together here, so that this file does not look like a leak itself.
AWS_KEY = "AKIA" + "Z7QW4RTY8PLM2XCV"
ALPACA_KEY = "PK" + "7H2J9QWEMZ4XN8RTVB"
ALPACA_SECRET = "".join(["q8Zx3LmN0v", "Bt6YrKpW2s", "Hd9fGj4cUa", "7eRiT1oQwE"])

PLANTED = {
    "notes.txt": ALPACA_KEY,
    "settings.py": f'KEY = "{AWS_KEY}"',
    "deploy.sh": f"export ALPACA_SECRET_KEY={ALPACA_SECRET}",
    "local.toml": f'secret_key = "{ALPACA_SECRET}"',
    ".env.local": f"APCA_API_SECRET_KEY={ALPACA_SECRET}",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text(".env\n")
    (tmp_path / "README.md").write_text("Set ALPACA_SECRET_KEY in .env.\n")
    git(tmp_path, "add", ".")
    return tmp_path


def test_a_repository_without_secrets_passes(repository: Path):
    (repository / ".env").write_text(f"ALPACA_SECRET_KEY={ALPACA_SECRET}\n")
    assert scan(repository).returncode == 0


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.parametrize("is_tracked", [False, True])
def test_a_planted_key_fails(repository: Path, name: str, is_tracked: bool):
    (repository / name).write_text(PLANTED[name] + "\n")
    if is_tracked:
        git(repository, "add", name)

    found = scan(repository)

    assert found.returncode != 0
    assert f"{name}:1" in found.stdout
    assert PLANTED[name] not in found.stdout


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True)


def scan(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / ".ci" / "secret-scan"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
