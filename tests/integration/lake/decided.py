"""A lake on which a model decides minute by minute, without Spark."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from conf.lake.commit_embedded import EmbeddedCommitter
from conf.lake.create import ensure_tables
from conf.lake.fence import open_fence
from conf.lake.streams import ignore_report
from conf.lake.tables import PORTFOLIO, QUOTES, SIGNALS, STATUSES, TRADES
from gold.signals import Signals
from models.calibration import Calibration
from models.card import Card
from models.observation import ACCOUNT_INPUTS, MARKET_INPUTS
from models.registry import Registry
from models.scoring import Layers, Network
from models.serving import NAME, Serving
from silver.built_bars import nanoseconds
from tests.integration.lake.scripted import SYMBOLS, Lake, Script, lineage

START = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
INPUTS = [*MARKET_INPUTS, *ACCOUNT_INPUTS]


def restless(seed: int) -> Network:
    """Return a network that knows nothing and trades often."""
    rng = np.random.default_rng(seed)

    def layers(*sizes: int) -> Layers:
        weights = tuple(rng.normal(size=shape) for shape in pairwise(sizes))
        return Layers(weights, tuple(rng.normal(size=n) for n in sizes[1:]))

    count = len(INPUTS)
    return Network("policy", "tanh", layers(count, 8, 3), layers(count, 8, 1))


def register(folder, made: datetime = START, seed: int = 0) -> str:
    card = Card(
        name=NAME,
        algorithm="maskable-ppo",
        head="policy",
        activation="tanh",
        inputs=INPUTS,
        seeds=[0, 1, 2],
        data="a test",
        is_simulated=True,
        costs={"fee_bps": 0.5},
        trials=3,
        is_leak_free=True,
        calibrated_on=2_000,
        horizon=10,
        evidence={},
        libraries={},
    )
    registry = Registry(str(folder), NAME)
    calibration = Calibration(np.array([1.0]), np.array([0.4, 0.6]), 2_000, 10)
    networks = [restless(seed + n) for n in range(3)]
    version = registry.add(card, networks, calibration, made)
    registry.promote(version, made)
    return version


class Decided(Lake):
    """Silver's tables, a model, and what it decides on them."""

    def __init__(self, folder):
        super().__init__(folder)
        ensure_tables(self.settings.root, [STATUSES, SIGNALS, PORTFOLIO])
        self.registry = folder / "models"
        self.version = register(self.registry)
        self.gold = open_fence(self.settings.root, "gold", 15)
        self.minutes = self.start()
        self.signals = self.decide()

    def decide(self) -> Signals:
        committer = EmbeddedCommitter(self.settings, self.gold)
        serving = Serving(str(self.registry))
        return Signals(self.settings, serving, committer, ignore_report)

    def live(
        self,
        script: Script,
        minutes: int,
        start: datetime = START,
        *,
        decides: bool = True,
    ) -> None:
        """Let a market go on: ticks, now and then a correction, then what follows."""
        for number in range(minutes):
            begin = start + number * MINUTE
            trades = [
                script.trade(
                    begin + script.random.uniform(0, 59) * SECOND,
                    begin + 59 * SECOND,
                    symbol=symbol,
                    conditions=["@"],
                )
                for symbol in SYMBOLS
                for _ in range(3)
            ]
            quotes = [
                script.quote(at, at)
                for second in range(0, 60, 4)
                for at in [begin + second * SECOND]
                for _ in SYMBOLS
            ]
            if script.random.random() < 0.1:
                script.correction(trades[0], begin + 59 * SECOND)
            self.append(TRADES, trades)
            self.append(QUOTES, quotes)
            self.correct(script.trades, script.corrections)
            self.minutes.look()
            if decides:
                self.signals.look()

    def halt(self, symbol: str, at: datetime, code: str = "H") -> None:
        row = {
            "event_time": at,
            "symbol": symbol,
            "event_time_ns": nanoseconds(at),
            "message_hash": nanoseconds(at),
            "channel": "status",
            "status_code": code,
            "day": at.date(),
        }
        self.append(STATUSES, [row | lineage(at)])

    def release(self) -> None:
        self.fence.release()
        self.gold.release()
