import os
import socket
import sys
from pathlib import Path

import pytest

from conf import settings as configuration
from conf.errors import FixSetup
from conf.settings import AlpacaSettings, KinesisSettings, Settings
from infra.local.services import DRAIN_ORDER, require_free, require_setup, services


def test_each_process_starts_after_what_it_needs():
    names = [service.name for service in services(configuration.load())]
    assert names == [
        *("emulator", "simulator", "api", "lake", "producer", "minutes", "quality")
    ]


def test_orders_end_at_once_and_the_drain_follows_the_flow():
    table = sorted(
        services(configuration.load(orders__enabled=True)),
        key=lambda service: service.drain_rank,
    )
    assert [service.name for service in table] == list(DRAIN_ORDER)
    first, *flow = DRAIN_ORDER
    assert first == "paper_orders"
    assert flow == [
        *("simulator", "producer", "lake", "minutes", "quality", "api", "emulator")
    ]


def test_a_run_that_would_order_with_money_does_not_start():
    live = {"alpaca__account_url": "wss://api.alpaca.markets/stream"}
    with pytest.raises(FixSetup, match=r"alpaca\.account_url"):
        require_setup(configuration.load(orders__enabled=True, **live))


def test_alpaca_and_aws_need_no_double():
    chosen = Settings(
        alpaca=AlpacaSettings(url="wss://stream.data.alpaca.markets"),
        kinesis=KinesisSettings(endpoint_url=None),
    )
    names = [service.name for service in services(chosen)]
    assert names == ["api", "lake", "producer", "minutes", "quality"]


def test_validation_can_be_turned_off_and_is_not_vital():
    chosen = configuration.load()
    assert [s.name for s in services(chosen) if not s.vital] == ["quality"]
    chosen = configuration.load(quality__enabled=False)
    assert "quality" not in [service.name for service in services(chosen)]


def test_children_load_the_settings_of_their_supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    chosen = configuration.load(
        rate=1234, symbols="AAPL,MSFT", var=tmp_path, lake__trigger_ms=750
    )
    for service in services(chosen):
        for name in [name for name in os.environ if name.startswith("TICKHOUSE_")]:
            monkeypatch.delenv(name)
        for name, value in service.environment.items():
            monkeypatch.setenv(name, value)
        assert configuration.load() == chosen


def test_emulator_is_told_port_and_folder(tmp_path: Path):
    chosen = configuration.load(var=tmp_path, emulator__port=4999)
    emulator = services(chosen)[0]
    options = dict(zip(emulator.command[3::2], emulator.command[4::2], strict=True))
    assert options["--host"] == "127.0.0.1"
    assert options["--port"] == "4999"
    assert options["--data"] == str(tmp_path / "kinesis")


def test_taken_port_is_named_with_its_owner_and_the_setting():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(FixSetup) as refused:
            require_free(port, "emulator.port")
    assert f"port {port}" in str(refused.value)
    if sys.platform == "linux":
        assert f"pid {os.getpid()}" in str(refused.value)
    assert "TICKHOUSE_EMULATOR__PORT" in str(refused.value)


def test_free_port_is_accepted():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    require_free(port, "emulator.port")


def test_port_that_nobody_would_find_is_refused():
    with pytest.raises(FixSetup, match=r"TICKHOUSE_KINESIS__ENDPOINT_URL.*4999"):
        require_setup(configuration.load(emulator__port=4999))
