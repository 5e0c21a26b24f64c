"""``python -m api`` as the supervisor and a person start it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.__main__ import listen
from conf.errors import FixSetup
from conf.settings import ROOT, ApiSettings, Settings


def start(var: Path, **variables: str) -> subprocess.Popen[str]:
    environment = {"TICKHOUSE_VAR": str(var), "TICKHOUSE_LAKE__ROOT": str(var / "lake")}
    return subprocess.Popen(
        [sys.executable, "-m", "api"],
        cwd=ROOT,
        env={**os.environ, **environment, **variables},
        stderr=subprocess.PIPE,
        text=True,
    )


def told(var: Path, state: str) -> dict[str, Any]:
    """Wait until the process says that it is in a state."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        file = var / "run" / "api.json"
        status: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        if status.get("state") == state:
            return status
        time.sleep(0.05)
    raise AssertionError(f"never {state}: {status}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_takes_the_next_free_port_and_stops_when_told(
    tmp_path: Path, number: signal.Signals
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(tmp_path, TICKHOUSE_API__PORT=str(port))
        try:
            url = told(tmp_path, "live")["url"]
            assert int(url.rpartition(":")[2]) in range(port + 1, port + 20)
            assert httpx.get(f"{url}/health").json()["status"] == "ok"
            process.send_signal(number)
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.communicate()
    assert told(tmp_path, "stopped")["error"] is None


def test_wrong_setup_ends_it_with_one_line(tmp_path: Path):
    process = start(tmp_path, TICKHOUSE_LAKE__ROOT="s3a://bucket/lake")
    _, said = process.communicate(timeout=30)
    assert process.returncode == 3
    assert said.splitlines()[-1].startswith("api: lake.root: s3a://bucket/lake")
    assert "not a local folder" in told(tmp_path, "failed")["error"]


def test_an_address_that_this_machine_has_not_is_named():
    with pytest.raises(FixSetup, match=r"TICKHOUSE_API__HOST: 192\.0\.2\.1"):
        listen(Settings(api=ApiSettings(host="192.0.2.1")))
