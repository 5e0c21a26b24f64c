"""What was chosen: one frozen tree of settings, read once by an entry point.

Order of precedence: flags > environment > ``.env`` > ``conf/<profile>.toml`` > default.
An environment variable is ``TICKHOUSE_`` + section + ``__`` + field in capitals:
``TICKHOUSE_KINESIS__SHARDS=4``. Credentials keep the names their owners gave them:
``ALPACA_API_KEY``, ``ALPACA_SECRET_KEY`` and boto3's own chain for AWS.

Long because what can be chosen has one list.
"""

from functools import reduce
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
)

from conf.loading import checked, fields
from conf.sources import PREFIX, read

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

Port = Annotated[int, Field(ge=1, le=65535)]
Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=0.5)]

# fmt: off
DEFAULT_SYMBOLS = [
    "AAPL", "MSFT", "TSLA", "NVDA", "GOOGL", "AMZN", "SPY", "QQQ", "IWM", "META",
    "AMD", "NFLX", "INTC", "JPM", "BAC", "XOM", "DIS", "BA", "KO", "WMT", "V", "CSCO",
    "PFE", "T",
]
# fmt: on


def _split(names: object) -> object:
    """Accept ``AAPL,MSFT``, as the environment and flags write a list."""
    if isinstance(names, str):
        return [name.strip() for name in names.split(",") if name.strip()]
    return names


Names = Annotated[list[str], BeforeValidator(_split)]
# A relative path is relative to the checkout, whatever the working directory.
Rooted = Annotated[Path, AfterValidator(lambda path: ROOT / path)]


def _named(location: str) -> str:
    if "<" in location:
        raise ValueError("name your own bucket in its place")
    return location


Location = Annotated[str, AfterValidator(_named)]


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )


class AlpacaSettings(_Section):
    """The market-data feed: Alpaca's, or the simulator that speaks its protocol."""

    url: str = Field(
        "wss://stream.data.alpaca.markets", description="WebSocket base URL"
    )
    feed: Literal["iex", "sip", "test"] = Field("iex", description="/v2/<feed>")
    encoding: Literal["json", "msgpack"] = Field(
        "json", description="Encoding asked of the server"
    )
    api_key: SecretStr = Field(SecretStr("simulator"), description="ALPACA_API_KEY")
    secret_key: SecretStr = Field(
        SecretStr("simulator"), description="ALPACA_SECRET_KEY"
    )
    trades: Names = Field(DEFAULT_SYMBOLS, description="Symbols of the trades")
    quotes: Names = Field(DEFAULT_SYMBOLS, description="Symbols of the quotes")
    bars: Names = Field(DEFAULT_SYMBOLS, description="Symbols of the minute bars")
    updated_bars: Names = Field(
        DEFAULT_SYMBOLS, description="Symbols of the restated minute bars"
    )
    daily_bars: Names = Field([], description="Symbols of the day bars")
    statuses: Names = Field(
        DEFAULT_SYMBOLS, description="Symbols of halts and resumptions"
    )
    lulds: Names = Field(DEFAULT_SYMBOLS, description="Symbols of limit up, limit down")
    trade_updates: bool = Field(
        False, description="The account's order updates too, into silver.orders"
    )
    account_url: str | None = Field(
        None,
        description="Account stream; empty: Alpaca's paper account, or the simulator's",
    )
    plan: Literal["free", "paid"] = Field(
        "free", description="free: at most 30 symbols of trades and quotes on iex"
    )
    reconnect_max_s: PositiveFloat = Field(30.0, description="Longest backoff")
    mute_timeout_s: PositiveFloat = Field(
        30.0, description="Reconnect when nothing at all arrives for so long"
    )


class SimulatorSettings(_Section):
    """The simulated Alpaca server and its market."""

    port: Port = Field(8765, description="WebSocket and REST")
    seed: int = Field(7, description="Same seed, same bytes")
    rate_per_s: Positive = Field(500, description="Messages per second, open-loop")
    symbols: Names = Field(DEFAULT_SYMBOLS, description="Symbols it knows")
    calendar: Literal["always", "nyse"] = Field(
        "always", description="Always in session, or NYSE hours with half days"
    )
    extended_hours: bool = Field(
        False, description="NYSE's pre- and post-market too, 04:00 to 20:00 New York"
    )
    halt_every_s: PositiveFloat | None = Field(
        None, description="Mean time between two halts; empty, nobody is halted"
    )
    halt_s: PositiveFloat = Field(30.0, description="Length of a halt")
    corrected_share: Share = Field(
        0.0, description="Messages that correct an earlier trade"
    )
    canceled_share: Share = Field(
        0.0, description="Messages that cancel an earlier trade"
    )
    repeated_share: Share = Field(0.0, description="Messages sent a second time")
    out_of_order_share: Share = Field(0.0, description="Sent up to 30 s late")
    late_share: Share = Field(0.0, description="Sent up to 6 h late")
    malformed_share: Share = Field(0.0, description="Messages that mean nothing")
    hot_symbol: str | None = Field(
        None, description="One symbol that gets hot_rate_per_s on its own"
    )
    hot_rate_per_s: Positive = Field(1_000, description="Messages of hot_symbol")
    replay: Rooted | None = Field(None, description="Folder of recorded *.jsonl.gz")
    speed: PositiveFloat | None = Field(
        None, description="Replay speed; left out, as fast as rate_per_s allows"
    )
    history: bool = Field(True, description="Publish previous sessions of bars first")
    history_sessions: Positive = Field(1, description="How many sessions of bars")
    rest_minutes: Positive = Field(
        30, description="How long REST knows what was sent on the stream"
    )
    rest_calls_per_min: Positive = Field(
        10_000, description="REST calls of one key; more are answered 429"
    )
    truth_dir: Rooted | None = Field(None, description="Where to keep what was sent")
    stop_after_s: PositiveFloat | None = Field(
        None, description="End the market after so long; the server stays up"
    )
    client_buffer_bytes: Positive = Field(
        16 * 1024 * 1024, description="A client with more unsent is disconnected"
    )


class KinesisSettings(_Section):
    """The stream between producer and bronze."""

    stream_name: str = Field("stock-market-stream", description="Name of the stream")
    region: str = Field("us-east-1", description="AWS region of the stream")
    endpoint_url: str | None = Field(None, description="Empty: AWS itself")
    initial_position: str = Field(
        "TRIM_HORIZON",
        pattern=r"^(TRIM_HORIZON|LATEST|AT_TIMESTAMP .+)$",
        description="TRIM_HORIZON, LATEST or AT_TIMESTAMP <RFC 3339>",
    )
    resume: Literal["bronze", "initial_position"] = Field(
        "bronze", description="Where to go on when the checkpoint is gone"
    )
    fail_on_data_loss: bool = Field(
        True,
        description="Stop when records were trimmed before bronze read them; false: "
        "log the range and go on with what is left",
    )
    shards: Positive = Field(2, description="Shards of a stream that we create")
    linger_ms: Positive = Field(100, description="Longest wait before a record is sent")
    record_max_bytes: Positive = Field(25_000, description="Most in one record")
    record_max_messages: Positive = Field(200, description="Most in one record")
    queue_max_bytes: Positive = Field(
        64 * 1024 * 1024,
        description="Unsent bytes kept in memory; more wait on disk alone",
    )
    batch_max_bytes: Positive = Field(
        4 * 1024 * 1024, description="Most that one Spark micro-batch plans"
    )


class SpoolSettings(_Section):
    """The producer's disk: what was received and is not in the stream yet."""

    max_mb: Positive = Field(
        1_024, description="Above so much the feed is left until Kinesis took some"
    )


class BackfillSettings(_Section):
    """How gaps are filled from Alpaca's history."""

    url: str | None = Field(
        None, description="Data API; empty: Alpaca's, or the simulator's own"
    )
    lookback_s: Positive = Field(
        45, description="How much before a gap is asked for again: delayed messages"
    )
    late_after_s: Positive = Field(
        60, description="A gap that is over and not filled by then is told to be late"
    )
    give_up_after_s: Positive = Field(
        1_800, description="A gap that could not be filled so long is lost"
    )


class WatchSettings(_Section):
    """Who is told how the producer is."""

    metrics_port: Port | None = Field(
        None, description="Prometheus metrics on 127.0.0.1; empty: none"
    )
    webhook_url: str | None = Field(
        None, description="Alerts are posted there as JSON; empty: only logged"
    )
    sns_topic_arn: str | None = Field(
        None, description="Alerts are published to this topic too; empty: to none"
    )
    disconnected_s: Positive = Field(
        30, description="An alert when not connected for so long"
    )


class LambdaSettings(_Section):
    """The producer as an AWS Lambda function: one invocation follows the other."""

    leave_before_s: Positive = Field(
        10, description="The feed is left so long before the time limit, to drain"
    )


class EmulatorSettings(_Section):
    """The local Kinesis."""

    port: Port = Field(4567, description="Kinesis API")
    duplicate_rate: Share = Field(
        0.0, description="Share of entries stored and yet answered failed"
    )


class LakeSettings(_Section):
    """Where the tables are and who commits to them."""

    root: Location = Field("var/lake", description="URI or folder of the tables")
    checkpoints: Location = Field("var/checkpoints", description="URI or folder")
    engine: Literal["embedded", "spark"] = Field(
        "embedded", description="deltalake in this process, or delta-spark"
    )
    trigger_ms: int = Field(1_000, ge=0, description="Bronze trigger")
    late_trigger_s: Positive = Field(30, description="Trigger of the late-data query")
    late_after_s: Positive = Field(120, description="Older than this is late")
    future_max_s: Positive = Field(5, description="Further ahead is rejected")
    compact_every: Positive = Field(50, description="Commits between two compactions")
    lease_s: Positive = Field(15, description="A writer unheard of so long is replaced")


class LatestSettings(_Section):
    """The newest row per symbol, for reads that cannot wait for a query."""

    store: Literal["embedded", "dynamodb", "none"] = Field(
        "embedded", description="A file in the lake, a table of AWS, or none"
    )
    dynamodb_table: str = Field(
        "tickhouse-latest", description="Of store dynamodb; it must exist"
    )
    region: str = Field("us-east-1", description="AWS region of that table")
    endpoint_url: str | None = Field(None, description="Empty: AWS itself")
    every_s: PositiveFloat = Field(1.0, description="Time between two writes")


class AgentSettings(_Section):
    """The agent that decides on closed bars."""

    registry: Location = Field(
        "var/models/registry", description="URI or folder of the models"
    )


class OrdersSettings(_Section):
    """The agent's decisions as orders of the paper account; never with money."""

    enabled: bool = Field(
        False, description="Send them, and keep what becomes of them in silver.orders"
    )
    usd_per_symbol: PositiveFloat = Field(
        2_000.0, description="Bought for at most so much, in whole shares; sold: all"
    )
    lapse_after_s: PositiveFloat = Field(
        30.0, description="A decision that is older is not sent any more"
    )


class SparkSettings(_Section):
    """The one Spark driver of a local run."""

    master: str = Field("local[2]", description="Spark master; two cores")
    driver_memory: str = Field(
        "3g", pattern=r"^\d+[mg]$", description="Heap of the driver"
    )
    ui_port: Port = Field(4040, description="Next free port if taken")
    rehearse: bool = Field(
        True, description="Warm a driver without checkpoints up before it is live"
    )


class ApiSettings(_Section):
    """The HTTP API, the live stream and the dashboard that it serves."""

    host: str = Field("127.0.0.1", description="Address to bind; loopback by default")
    port: Port = Field(8000, description="Next free port if taken")
    allowed_hosts: Names = Field(
        ["127.0.0.1", "localhost", "::1"],
        description="Host headers that are answered; others get 400",
    )
    stream_hz: PositiveFloat = Field(5.0, description="Frames per second of the stream")
    stream_clients_max: Positive = Field(256, description="Open streams in all")
    stream_clients_per_address: Positive = Field(
        64, description="Open streams of one address"
    )
    stream_queue_max: Positive = Field(
        64, description="Frames that wait for one client before it is cut off"
    )
    dashboard: Rooted = Field(
        Path("dashboard/out"), description="Folder of the built dashboard"
    )


class QualitySettings(_Section):
    """Validation: what the tables promise, checked beside the stream."""

    enabled: bool = Field(True, description="Validate while the pipeline runs")
    every_s: PositiveFloat = Field(40.0, description="Time between two validations")
    max_rows: Positive = Field(
        250_000, description="Rows of one table that one validation takes at most"
    )
    fresh_s: Positive = Field(
        60, description="Older on arrival, or longer without rows, is not fresh"
    )
    docs_every_s: PositiveFloat = Field(
        600.0, description="Data Docs are built anew so often, and when a verdict turns"
    )
    keep_days: Positive = Field(30, description="Results older than this are deleted")


class StorageSettings(_Section):
    """Disk budget of a local run."""

    max_gb: PositiveFloat = Field(10.0, description="Oldest closed days go first")
    min_free_gb: PositiveFloat = Field(2.0, description="Below this, ingestion pauses")


class Settings(_Section):
    """The whole tree; ``load()`` is called by entry points only."""

    profile: Literal["local", "small", "aws"] = Field(
        "local", description="Names the file conf/<profile>.toml"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least important line that is logged"
    )
    var: Rooted = Field(Path("var"), description="Everything a local run writes")
    alpaca: AlpacaSettings = AlpacaSettings()
    simulator: SimulatorSettings = SimulatorSettings()
    kinesis: KinesisSettings = KinesisSettings()
    spool: SpoolSettings = SpoolSettings()
    backfill: BackfillSettings = BackfillSettings()
    watch: WatchSettings = WatchSettings()
    aws_lambda: LambdaSettings = LambdaSettings()
    emulator: EmulatorSettings = EmulatorSettings()
    lake: LakeSettings = LakeSettings()
    latest: LatestSettings = LatestSettings()
    agent: AgentSettings = AgentSettings()
    orders: OrdersSettings = OrdersSettings()
    spark: SparkSettings = SparkSettings()
    api: ApiSettings = ApiSettings()
    quality: QualitySettings = QualitySettings()
    storage: StorageSettings = StorageSettings()

    @property
    def data_docs(self) -> Path:
        """Where validation writes its pages, which the API serves as ``/quality``."""
        return self.var / "quality" / "docs"


def load(**flags: object) -> Settings:
    """Return the settings of this process.

    Args:
        **flags: Values of the command line, by flag (``rate=500``) or by dotted key
            with ``__`` (``kinesis__shards=4``); None means not given.

    Raises:
        FixSetup: A key is unknown or a value not allowed; the message names the key,
            where it came from and what is allowed.
    """
    return checked(Settings, read(flags, ROOT))


def explain(**flags: object) -> list[tuple[str, str, str]]:
    """Return (dotted key, value, origin) of every setting; secrets are masked.

    Raises:
        FixSetup: As ``load``.
    """
    given = read(flags, ROOT)
    settings = checked(Settings, given)
    return [
        (
            key,
            as_text(_value(settings, key)),
            given[key].origin if key in given else "default",
        )
        for key in fields(Settings)
    ]


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables that make a child process load these settings.

    They hold the secrets in clear. Compiled kernels go where everything else does.
    """
    values = {key: _value(settings, key) for key in fields(Settings)}
    given = {
        variable(key): value.get_secret_value()
        if isinstance(value, SecretStr)
        else as_text(value)
        for key, value in values.items()
    }
    return {**given, "NUMBA_CACHE_DIR": str(settings.var / "numba")}


def variable(key: str) -> str:
    """Return the environment variable of a dotted key."""
    return PREFIX + key.replace(".", "__").upper()


def as_text(value: object) -> str:
    """Return a value as the environment writes it: lists by commas, None as empty."""
    if isinstance(value, list):
        return ",".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _value(settings: Settings, key: str) -> object:
    return reduce(getattr, key.split("."), settings)
