"""The commands of ``python -m producer.simulator`` against one that runs."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conf.errors import FixSetup
from conf.settings import SimulatorSettings
from producer.simulator import __main__ as command_line
from producer.simulator import control
from tests.integration.simulated import http, simulated

ROOT = Path(__file__).parents[2]


async def run(*arguments: str) -> tuple[int, Any]:
    """Return exit code and answer of a process."""
    command = [sys.executable, "-m", "producer.simulator", *arguments]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    return done.returncode, json.loads(done.stdout)


async def test_faults_are_ordered_scripted_and_cleared():
    script = "script", "--seed", "3", "--count", "4", "--kinds", "cut,mute", "--send"
    async with simulated() as number:
        port = "--port", str(number)
        (ordered, (fault,)), (sent, made) = await asyncio.gather(
            run(*port, "fault", "mute", "after_s=60", "symbols=KO,BA"),
            run(*port, *script),
        )
        _, listed, _ = await http(number, "GET", "/sim/faults")
        cleared, (gone,) = await run(*port, "clear", str(fault["id"]))

    assert (ordered, sent, cleared) == (0, 0, 0)
    assert fault["fault"]["after_s"] == 60
    assert fault["fault"]["symbols"] == ["KO", "BA"]
    assert len(made) == 4
    assert {each["fault"]["kind"] for each in made} <= {"cut", "mute"}
    ids = [each["id"] for each in listed]
    assert sorted(ids) == sorted([fault["id"], *(each["id"] for each in made)])
    assert gone["state"] == "removed"


async def test_a_refusal_has_its_exit_code():
    async with simulated() as number:
        code, answer = await run("--port", str(number), "clear", "999")

    assert (code, answer) == (command_line.EXIT_REFUSED, {"message": "no such fault"})


def test_a_script_is_printed(capsys: pytest.CaptureFixture[str]):
    command_line.app(["script", "--count", "4"], standalone_mode=False)

    made = json.loads(capsys.readouterr().out)
    assert len(made) == 4
    assert {each["kind"] for each in made} <= {"cut", "mute", "half_open", "torn_frame"}


def test_flags_and_settings_reach_the_server(monkeypatch: pytest.MonkeyPatch):
    served: list[SimulatorSettings] = []

    async def serve(settings: SimulatorSettings) -> None:
        served.append(settings)

    monkeypatch.setattr(command_line, "serve", serve)
    monkeypatch.setattr(command_line, "configure", lambda *_, **__: None)
    given = ["--port", "4711", "--rate", "7", "--symbols", "KO,BA", "--set", "seed=9"]
    command_line.app(given, standalone_mode=False)

    (settings,) = served
    assert (settings.port, settings.rate_per_s, settings.seed) == (4711, 7, 9)
    assert settings.symbols == ["KO", "BA"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "1", "status"], "does not answer"),
        (["fault", "flood"], "Kinds are cut, mute"),
        (["fault", "cut", "colour=red"], "colour"),
        (["script", "--kinds", "flood"], "Kinds are cut, mute"),
        (["--set", "sede=3"], "seed"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    monkeypatch.setattr(command_line, "configure", lambda *_, **__: None)
    monkeypatch.setattr("sys.argv", ["simulator", *arguments])

    assert command_line.run() == command_line.EXIT_FIX_SETUP
    printed = capsys.readouterr()
    assert says in printed.out + printed.err


def test_a_refusal_names_the_page():
    with pytest.raises(FixSetup, match="use-the-simulator"):
        control.fault("cut", {"for_s": "soon"})
