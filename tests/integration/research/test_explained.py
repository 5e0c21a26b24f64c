"""Views that explain: the gaps and halts before a bar, the signals revised since."""

from datetime import timedelta

import pytest

from conf.lake.read import connect
from conf.lake.tables import BARS, FEATURES, GAPS, SIGNALS, STATUSES
from tests.integration.research.lakes import OPEN, SECOND, row, write

MINUTE = timedelta(minutes=1)


def asked(root, sql):
    with connect(str(root)) as lake:
        return lake.sql(sql).fetchall()


def feature(minute, **fields):
    start = OPEN + minute * MINUTE
    known = {"revision": 0, "missing_minutes": 0, "window_end": start + MINUTE}
    return row(FEATURES, start, **known | fields)


def halt(minute, code, **fields):
    return row(STATUSES, OPEN + minute * MINUTE, status_code=code, **fields)


def gap(first, end, state, **fields):
    times = {"end_time": None if end is None else OPEN + end * MINUTE}
    known = {"state": state, "channel": "trades", "gap_id": f"{first}"}
    return row(GAPS, OPEN + first * MINUTE, **known | times | fields)


@pytest.fixture
def explained(tmp_path):
    """Return halt and gaps of minutes 0, 1, 5 (four are missing before it) and 6."""

    def ask(statuses, gaps):
        write(tmp_path, FEATURES, *(feature(n) for n in (0, 1, 6)))
        write(tmp_path, FEATURES, feature(5, missing_minutes=3))
        write(tmp_path, STATUSES, *statuses)
        write(tmp_path, GAPS, *gaps)
        return asked(
            tmp_path,
            "SELECT date_diff('second', TIMESTAMPTZ '2026-11-23 14:30Z', halt_time),"
            " gap_states FROM silver.features_with_gaps ORDER BY window_start",
        )

    return ask


def test_a_halt_is_told_by_the_bars_beside_it(explained):
    told = explained([halt(1.5, "H"), halt(1.75, "T")], [gap(100, 101, "lost")])

    assert [halted for halted, _ in told] == [None, 90, 90, None]


def test_another_symbols_halt_and_a_resumption_are_none(explained):
    others = [halt(0.5, "H", symbol="MSFT"), halt(0.5, "T"), halt(0.5, None)]

    assert [halted for halted, _ in explained(others, [gap(9, 9, "lost")])] == [
        None
    ] * 4


def test_gaps_of_trades_are_told_with_their_newest_state(explained):
    gaps = [
        gap(2, None, "opened", known_time=OPEN),
        gap(2, 3, "backfilled", known_time=OPEN + MINUTE),
        gap(4, 5, "lost", symbol="*"),
        gap(0, 9, "lost", channel="quotes", gap_id="quotes"),
        gap(0, 9, "lost", symbol="MSFT", gap_id="MSFT"),
    ]

    told = explained([halt(-100, "H")], gaps)
    assert [states for _, states in told] == [[], [], ["backfilled", "lost"], []]


def test_a_gap_that_is_open_reaches_to_now(explained):
    told = explained([halt(-100, "H")], [gap(5.5, None, "opened")])

    assert [states for _, states in told] == [[], [], ["opened"], ["opened"]]


def signal(minute, feature_revision, bar_revision):
    return row(
        SIGNALS,
        OPEN + minute * MINUTE,
        feature_revision=feature_revision,
        bar_revision=bar_revision,
        bar_source="trades",
    )


def bar(minute, revision, **fields):
    known = {"source": "trades", "revision": revision, "bar_length_s": 60}
    return row(BARS, OPEN + minute * MINUTE, **known | fields)


def test_signals_are_marked_when_what_they_read_was_revised(tmp_path):
    late, later = OPEN + 600 * SECOND, OPEN + 900 * SECOND
    write(tmp_path, SIGNALS, *(signal(n, 0, 0) for n in range(4)))
    write(tmp_path, FEATURES, *(feature(n) for n in range(4)))
    write(tmp_path, BARS, *(bar(n, 0) for n in range(4)))
    write(tmp_path, FEATURES, feature(1, revision=1, known_time=late))
    write(tmp_path, BARS, bar(2, 1, known_time=late))
    write(tmp_path, BARS, bar(3, 1, known_time=later), bar(0, 9, source="alpaca"))
    write(tmp_path, FEATURES, feature(3, revision=2, known_time=late))

    found = asked(
        tmp_path,
        "SELECT is_revised, date_diff('second', TIMESTAMPTZ '2026-11-23 14:30Z',"
        " revised_time), feature_revision FROM gold.signals_with_revisions"
        " ORDER BY window_start",
    )
    assert found == [(False, None, 0), (True, 600, 0), (True, 600, 0), (True, 900, 0)]
