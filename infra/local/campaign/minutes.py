"""Whether closed minutes were built once, whatever happened to who builds them."""

from pathlib import Path

from conf.lake.read import scan
from conf.lake.tables import BARS, FEATURES
from conf.market.bars import MINUTE_S

_BUILT, _REPORTED = "trades", "data"
_KEY = ("symbol", "window_start")


def judge_minutes(lake: Path) -> dict[str, int]:
    """Return how many minutes were not built, or twice, in a lake at rest.

    Owed is a built bar for each that the feed reported, up to the newest one built,
    and features for each that was built.
    """
    columns = ["source", "kind", "revision", "bar_length_s", *_KEY]
    bars = scan(str(lake), BARS, columns=columns).to_pylist()
    features = scan(str(lake), FEATURES, columns=columns[2:]).to_pylist()
    built = [
        (row["symbol"], row["window_start"], row["revision"])
        for row in bars
        if row["source"] == _BUILT and row["bar_length_s"] == MINUTE_S
    ]
    told = [
        (row["symbol"], row["window_start"], row["revision"])
        for row in features
        if row["bar_length_s"] == MINUTE_S
    ]
    minutes = {key[:2] for key in built}
    newest = max((start for _, start in minutes), default=None)
    reported = {
        (row["symbol"], row["window_start"])
        for row in bars
        if row["kind"] == _REPORTED and newest and row["window_start"] <= newest
    }
    return {
        "minutes": len(minutes),
        "minutes_missing": len(reported - minutes)
        + len(minutes - {key[:2] for key in told}),
        "minutes_twice": sum(len(keys) - len(set(keys)) for keys in (built, told)),
    }
