"""``python -m infra`` as a person or a script calls it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from conf.lake.create import ensure_tables
from conf.lake.roots import table_uri
from conf.lake.tables import REJECTS, TABLES
from conf.settings import ROOT


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Nothing of the caller's settings, and a var folder and a lake of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TICKHOUSE_")}
    return {
        **kept,
        "COLUMNS": "100",
        "TICKHOUSE_VAR": str(tmp_path / "var"),
        "TICKHOUSE_LAKE__ROOT": str(tmp_path / "lake"),
    }


def infra(
    environment: dict[str, str], *arguments: str, text: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra", *arguments],
        cwd=ROOT,
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_wrong_setting_is_one_line_and_exit_code_3(environment: dict[str, str]):
    environment["TICKHOUSE_KINESIS__SHARD"] = "4"
    done = infra(environment, "doctor")
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr == (
        "error: environment variable TICKHOUSE_KINESIS__SHARD: there is no setting "
        "kinesis.shard. Did you mean kinesis.shards?\n"
    )


def test_wrong_usage_is_exit_code_2(environment: dict[str, str]):
    assert infra(environment, "run", "--rate", "fast").returncode == 2
    assert infra(environment, "launch").returncode == 2


def test_doctor_names_a_taken_port_and_a_missing_java(
    environment: dict[str, str], taken_port: int, tmp_path: Path
):
    environment["TICKHOUSE_EMULATOR__PORT"] = str(taken_port)
    environment["JAVA_HOME"] = str(tmp_path)

    done = infra(environment, "doctor", "--json")

    found = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert found["emulator.port"]["state"] == "note"
    assert f"{taken_port} is taken" in found["emulator.port"]["found"]
    assert found["Java"]["state"] == "missing"
    assert done.returncode == 3
    assert "apt-get install openjdk-17-jre-headless" in done.stderr


def test_a_quiet_doctor_says_nothing_about_a_good_machine(environment: dict[str, str]):
    done = infra(environment, "doctor", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_config_show_tells_value_and_origin(environment: dict[str, str]):
    done = infra(environment, "config", "show", "--profile", "small", "--json")
    shown = json.loads(done.stdout)
    assert shown["profile"] == {"value": "small", "origin": "flag --profile"}
    assert shown["spark.driver_memory"]["origin"] == "conf/small.toml"
    assert shown["var"]["origin"] == "environment variable TICKHOUSE_VAR"


def test_sql_answers_one_statement_as_json(environment: dict[str, str]):
    ensure_tables(environment["TICKHOUSE_LAKE__ROOT"], TABLES.values())
    done = infra(
        environment, "sql", "--json", "-c", "SELECT count(*) AS n FROM silver.trades"
    )
    assert json.loads(done.stdout) == [{"n": 0}]


def test_the_sql_shell_goes_on_after_an_error(environment: dict[str, str]):
    done = infra(environment, "sql", text="SELECT\n 40 + 2 AS a;\nSELEC;\nSELECT 7")
    assert "42" in done.stdout
    assert "7" in done.stdout
    assert "Parser Error" in done.stderr
    assert done.returncode == 0


def test_a_wrong_statement_is_one_line(environment: dict[str, str]):
    done = infra(environment, "sql", "-c", "SELECT * FROM silver.nothing")
    assert done.returncode == 1
    assert done.stderr.startswith("error: Catalog Error")
    assert "Traceback" not in done.stderr


def test_reset_asks_before_it_deletes(environment: dict[str, str]):
    lake = Path(environment["TICKHOUSE_VAR"]) / "lake"
    ensure_tables(str(lake), [REJECTS])
    assert infra(environment, "reset", text="n\n").returncode == 1
    assert lake.exists()
    assert infra(environment, "reset", text="y\n").returncode == 0
    assert not lake.exists()


def test_nothing_runs_here(environment: dict[str, str]):
    assert infra(environment, "stop").returncode == 0


def one_reject() -> pa.Table:
    now = datetime.now(UTC)
    reject = {
        "arrival_time": now,
        "shard_id": "shardId-0",
        "sequence_number": "1",
        "position": 1,
        "reason": "broken",
        "message": "{",
        "ingest_time": now,
        "day": now.date(),
    }
    return pa.Table.from_pylist([reject], schema=REJECTS.schema)


def test_a_shell_sees_rows_that_are_written_while_it_is_open(
    environment: dict[str, str],
):
    root = environment["TICKHOUSE_LAKE__ROOT"]
    ensure_tables(root, [REJECTS])
    shell = subprocess.Popen(
        [sys.executable, "-m", "infra", "sql"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write("SELECT 'before' AS word;\n")
        shell.stdin.flush()
        while "before" not in shell.stdout.readline():
            pass
        write_deltalake(table_uri(root, REJECTS), one_reject(), mode="append")
        answer, _ = shell.communicate("SELECT reason FROM silver.rejects;\n", 60)
    assert "broken" in answer
