"""Where settings come from, who wins, and what a person is told about a wrong one."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf import settings
from conf.errors import FixSetup
from conf.settings import (
    ROOT,
    AlpacaSettings,
    KinesisSettings,
    Settings,
    SimulatorSettings,
    environment,
    explain,
    fields,
    load,
)
from conf.sources import FLAGS, FOREIGN_NAMES


@pytest.fixture(autouse=True)
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of its own, and an environment without settings."""
    for name in [*os.environ]:
        if name.startswith(("TICKHOUSE_", "AWS_")) or name in FOREIGN_NAMES:
            monkeypatch.delenv(name)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "local.toml").write_text("[kinesis]\nshards = 3\n")
    (tmp_path / "conf" / "aws.toml").write_text('[lake]\nroot = "s3a://<bucket>/x"\n')
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    return tmp_path


def test_the_strongest_place_wins(house: Path, monkeypatch: pytest.MonkeyPatch):
    assert KinesisSettings().shards == 2
    assert load().kinesis.shards == 3  # conf/local.toml
    (house / ".env").write_text("TICKHOUSE_KINESIS__SHARDS=4\n")
    assert load().kinesis.shards == 4
    monkeypatch.setenv("TICKHOUSE_KINESIS__SHARDS", "5")
    assert load().kinesis.shards == 5
    assert load(kinesis__shards=6).kinesis.shards == 6


def test_a_flag_that_was_not_given_changes_nothing():
    assert load(rate=None, kinesis__shards=None) == load()


def test_one_flag_can_set_several_settings():
    chosen = load(symbols="FAKEPACA")
    assert chosen.simulator.symbols == ["FAKEPACA"]
    assert chosen.alpaca.trades == chosen.alpaca.quotes == chosen.alpaca.bars
    assert chosen.alpaca.bars == chosen.alpaca.updated_bars == ["FAKEPACA"]
    assert chosen.alpaca.statuses == chosen.alpaca.lulds == ["FAKEPACA"]
    assert chosen.alpaca.daily_bars == []


def test_who_sends_orders_listens_to_them_unless_told_otherwise():
    assert not load().alpaca.trade_updates
    assert load(orders__enabled=True).alpaca.trade_updates
    assert not load(orders__enabled=False).alpaca.trade_updates
    deaf = load(orders__enabled=True, alpaca__trade_updates=False)
    assert not deaf.alpaca.trade_updates


def test_a_switch_that_is_neither_on_nor_off_is_told_once():
    with pytest.raises(FixSetup, match="'maybe' is not allowed") as refused:
        load(orders__enabled="maybe")
    assert str(refused.value).startswith("orders.enabled (flag --orders--enabled)")
    assert "true or false" in str(refused.value)
    assert not hasattr(refused.value, "__notes__")


def test_every_flag_names_settings_that_exist():
    assert {key for keys in FLAGS.values() for key in keys} <= set(fields(Settings))


@pytest.mark.parametrize("place", ["environment", "dotenv"])
def test_alpaca_keys_have_their_owners_names(
    house: Path, monkeypatch: pytest.MonkeyPatch, place: str
):
    def write(name: str, value: str) -> str:
        if place == "environment":
            monkeypatch.setenv(name, value)
        else:
            with (house / ".env").open("a") as file:
                file.write(f"{name}={value}\n")
        return load().alpaca.api_key.get_secret_value()

    assert write("APCA_API_KEY_ID", "older") == "older"
    assert write("ALPACA_API_KEY", "newer") == "newer"
    assert write("TICKHOUSE_ALPACA__API_KEY", "ours") == "ours"


def test_an_empty_credential_is_not_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALPACA_SECRET_KEY", "")
    assert load().alpaca.secret_key == AlpacaSettings().secret_key


def test_aws_lines_of_dotenv_reach_boto3_but_do_not_replace(
    house: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_PROFILE", "")  # so that the test restores it
    monkeypatch.delenv("AWS_PROFILE")
    lines = ["AWS_REGION=us-east-1", "AWS_PROFILE=ticks"]
    (house / ".env").write_text("\n".join(lines))

    load()

    assert (os.environ["AWS_REGION"], os.environ["AWS_PROFILE"]) == (
        "eu-west-1",
        "ticks",
    )


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TICKHOUSE_ALPACA__TRADES", "AAPL, MSFT,")
    monkeypatch.setenv("TICKHOUSE_ALPACA__QUOTES", "")
    assert load().alpaca.trades == ["AAPL", "MSFT"]
    assert load().alpaca.quotes == []


def test_empty_text_is_none_where_none_is_allowed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TICKHOUSE_KINESIS__ENDPOINT_URL", "")
    assert load().kinesis.endpoint_url is None
    monkeypatch.setenv("TICKHOUSE_KINESIS__SHARDS", "")
    with pytest.raises(FixSetup, match="It must be a valid integer"):
        load()


def test_relative_paths_do_not_depend_on_the_working_directory(
    house: Path, monkeypatch: pytest.MonkeyPatch
):
    (house / "elsewhere").mkdir()
    monkeypatch.chdir(house / "elsewhere")
    chosen = load(var="data", replay="ticks")
    assert chosen.var == house / "data"
    assert chosen.simulator.replay == house / "ticks"
    assert load(var="/data").var == Path("/data")


def test_the_feed_is_alpacas_unless_a_profile_says_otherwise():
    assert AlpacaSettings().url == "wss://stream.data.alpaca.markets"
    assert AlpacaSettings().feed == "iex"
    assert KinesisSettings().endpoint_url is None


@pytest.mark.parametrize("name", ["local", "small"])
def test_local_profiles_need_neither_keys_nor_cloud(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(settings, "ROOT", ROOT)
    chosen = load(profile=name)
    assert chosen.alpaca.url == f"ws://127.0.0.1:{chosen.simulator.port}"
    assert chosen.kinesis.endpoint_url == f"http://127.0.0.1:{chosen.emulator.port}"


UNKNOWN = [
    ("TICKHOUSE_KINESIS__SHARD", "Did you mean kinesis.shards?"),
    ("TICKHOUSE_PROFLE", "Did you mean profile?"),
    ("TICKHOUSE_ZZZZ", "docs/reference/configuration.md"),
]


@pytest.mark.parametrize(("name", "hint"), UNKNOWN)
def test_an_unknown_variable_is_refused_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch, name: str, hint: str
):
    monkeypatch.setenv(name, "1")
    assert hint in refused(where=f"environment variable {name}")


@pytest.mark.parametrize(
    ("name", "hint"), [*UNKNOWN, ("ALPACA_APIKEY", "Did you mean ALPACA_API_KEY?")]
)
def test_an_unknown_line_of_dotenv_is_refused(house: Path, name: str, hint: str):
    (house / ".env").write_text(f"{name}=1\n")
    assert hint in refused(where=f".env, {name}")


@pytest.mark.parametrize("text", ["[kinesis]\nshard = 1", "[kinesiss]\nshards = 1"])
def test_an_unknown_key_of_a_profile_is_refused(house: Path, text: str):
    (house / "conf" / "local.toml").write_text(text)
    assert refused(where="conf/local.toml") == "Did you mean kinesis.shards?"


def test_an_unknown_flag_is_refused():
    hint = refused(where="flag --kinesis--shard", kinesis__shard=1)
    assert hint == "Did you mean kinesis.shards?"


def refused(where: str, **flags: object) -> str:
    """Return the suggestion of the refusal, which must name its place."""
    with pytest.raises(FixSetup, match="there is no setting") as refusal:
        load(**flags)
    assert refusal.value.where == where
    return refusal.value.suggestion


WRONG = [
    ({"rate": 0}, "simulator.rate_per_s (flag --rate): 0", "greater than 0"),
    ({"port": 70_000}, "api.port (flag --port): 70000", "less than or equal to"),
    ({"feed": "nyse"}, "alpaca.feed (flag --feed): 'nyse'", "'iex', 'sip' or 'test'"),
    ({"engine": "x"}, "lake.engine (flag --engine): 'x'", "'embedded' or 'spark'"),
    ({"speed": float("nan")}, "simulator.speed (flag --speed): nan", "finite"),
    (
        {"kinesis__initial_position": "EARLIEST"},
        "kinesis.initial_position",
        "TRIM_HORIZON, LATEST or AT_TIMESTAMP",
    ),
    ({"profile": "prod"}, "profile (flag --profile): 'prod'", "one of aws, local"),
    ({"profile": "aws"}, "lake.root (conf/aws.toml): 's3a://<bucket>/x'", "bucket"),
]


@pytest.mark.parametrize(("flags", "where", "allowed"), WRONG)
def test_a_wrong_value_is_refused_with_key_place_value_and_what_is_allowed(
    flags: dict[str, object], where: str, allowed: str
):
    with pytest.raises(FixSetup) as refused:
        load(**flags)
    assert str(refused.value).startswith(where)
    assert allowed in refused.value.suggestion


def test_all_wrong_values_are_told_at_once():
    with pytest.raises(FixSetup, match=r"simulator\.rate_per_s") as refused:
        load(rate=0, kinesis__shards=-1)
    assert ["kinesis.shards" in note for note in refused.value.__notes__] == [True]


def test_a_file_that_is_not_toml_is_named(house: Path):
    (house / "conf/local.toml").write_text("[kinesis\n")
    with pytest.raises(FixSetup, match=r"conf/local\.toml: is not TOML.*line 1"):
        load()


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALPACA_SECRET_KEY", "hunter2")
    with pytest.raises(FixSetup) as refused:
        load(alpaca__api_key=["hunter2"], rate=0)
    shown = [repr(load()), repr(explain()), str(refused.value)]
    assert not any("hunter2" in text for text in (*shown, *refused.value.__notes__))
    assert refused.value.__context__ is None, "pydantic's error would show it"


def test_explain_tells_where_each_value_came_from(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TICKHOUSE_LOG_LEVEL", "DEBUG")
    found = {key: (value, origin) for key, value, origin in explain(rate=9)}
    assert list(found) == list(fields(Settings))
    assert found["log_level"] == ("DEBUG", "environment variable TICKHOUSE_LOG_LEVEL")
    assert found["simulator.rate_per_s"] == ("9", "flag --rate")
    assert found["kinesis.shards"] == ("3", "conf/local.toml")
    assert found["kinesis.region"] == ("us-east-1", "default")


names = st.lists(st.sampled_from(["AAPL", "BRK.B", "SPY"]), max_size=3)
trees = st.builds(
    Settings,
    profile=st.just("local"),
    alpaca=st.builds(
        AlpacaSettings,
        api_key=st.sampled_from(["k", "with = and #", "'\""]),
        trades=names,
        quotes=names,
    ),
    simulator=st.builds(
        SimulatorSettings,
        rate_per_s=st.integers(1, 20_000),
        speed=st.none() | st.floats(0.001, 1000),
        history=st.booleans(),
        replay=st.none() | st.just(Path("/ticks with space")),
    ),
    kinesis=st.builds(KinesisSettings, endpoint_url=st.none() | st.just("http://h:1")),
)


@given(tree=trees)
def test_a_child_process_loads_what_its_parent_had(tree: Settings):
    with pytest.MonkeyPatch.context() as patch:
        for name, text in environment(tree).items():
            patch.setenv(name, text)
        assert load() == tree


def test_every_setting_says_what_it_is_for():
    assert [
        key for key, field in fields(Settings).items() if not field.description
    ] == []


@pytest.mark.parametrize(
    ("flags", "symbols"),
    [
        ({"replay": "recording"}, ["*"]),
        ({"feed": "test"}, ["FAKEPACA"]),
        ({"feed": "test", "symbols": "AAPL"}, ["AAPL"]),
    ],
)
def test_the_feed_chooses_the_symbols_where_it_has_not_ours(flags, symbols):
    chosen = load(**flags).alpaca

    assert chosen.trades == chosen.quotes == chosen.bars == symbols
    assert chosen.updated_bars == chosen.statuses == chosen.lulds == symbols


def test_the_folder_of_the_recordings_is_no_setting(monkeypatch):
    monkeypatch.setenv("TICKHOUSE_DATA", "recordings")

    assert load().profile == "local"


def test_the_lake_moves_with_the_var_folder(monkeypatch):
    monkeypatch.setenv("TICKHOUSE_VAR", "elsewhere")
    monkeypatch.setenv("TICKHOUSE_LAKE__CHECKPOINTS", "mine")
    chosen = load()
    assert chosen.lake.root == "elsewhere/lake"
    assert chosen.lake.checkpoints == "mine"
