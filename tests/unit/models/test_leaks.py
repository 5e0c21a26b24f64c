"""The look-ahead prover catches planted leaks, and nothing honest."""

from collections.abc import Callable

import numpy as np
import pytest

from models.leaks import Columns, Computed, find_leaks, of_tape
from models.tape import Tape

MINUTE_NS = 60_000_000_000
BARS = 200


def bars() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(6)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, BARS)))
    return {
        "time_ns": np.arange(BARS, dtype=np.int64) * MINUTE_NS,
        "close": close,
        "volume": rng.uniform(1, 9, BARS),
    }


Maker = Callable[[Columns], np.ndarray]


def trailing(raw: Columns) -> np.ndarray:
    return raw["close"] - np.concatenate([raw["close"][:1], raw["close"][:-1]])


def backfilled(raw: Columns) -> np.ndarray:
    known = np.where(np.arange(len(raw["close"])) % 10 == 0, raw["volume"], np.nan)
    later = np.append(known[1:], np.nan)
    return np.where(np.isnan(known), later, known)


def centred(raw: Columns) -> np.ndarray:
    return np.convolve(raw["close"], np.ones(5) / 5, mode="same")


def normalised(raw: Columns) -> np.ndarray:
    return (raw["close"] - raw["close"].mean()) / raw["close"].std()


def path(feature: Maker, fill_shift: int = 1) -> Callable[[Columns], Computed]:
    def compute(raw: Columns) -> Computed:
        price = raw["close"]
        fill = np.append(price[fill_shift:], [np.nan] * fill_shift)
        return of_tape(
            Tape(
                time_ns=raw["time_ns"],
                session=np.zeros(len(price), np.int64),
                features=feature(raw)[:, None],
                mark=price,
                bid=fill,
                ask=fill,
                unit=np.ones(len(price)),
            )
        )

    return compute


def found(compute: Callable[[Columns], Computed]) -> dict[str, str]:
    raw = bars()
    moments = [m * MINUTE_NS for m in (30, 99, 150)]
    leaks = find_leaks(compute, raw, raw["time_ns"], moments)
    return {leak.output: leak.reason for leak in leaks}


def test_an_honest_path_is_proved():
    assert found(path(trailing)) == {}


@pytest.mark.parametrize("feature", [backfilled, centred, normalised])
def test_a_feature_that_knows_the_future_is_caught(feature: Maker):
    assert found(path(feature)) == {"features": "knows the future"}


def test_a_fill_at_the_bar_that_was_decided_on_is_caught():
    past = "is filled in the past"
    assert found(path(trailing, fill_shift=0)) == {"bid": past, "ask": past}


def test_what_happened_before_but_arrived_after_is_future():
    raw = bars()
    arrived = raw["time_ns"].copy()
    arrived[50] += 20 * MINUTE_NS
    order = np.argsort(arrived, kind="stable")
    late = {name: column[order] for name, column in raw.items()}

    def by_event_time(rows: Columns) -> Computed:
        order = np.argsort(rows["time_ns"], kind="stable")
        ordered = {name: column[order] for name, column in rows.items()}
        return path(trailing)(ordered)

    moments = [60 * MINUTE_NS]
    leaks = find_leaks(by_event_time, late, arrived[order], moments)
    assert "features" in {leak.output for leak in leaks}
