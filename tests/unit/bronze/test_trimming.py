"""Records trimmed before they were read, and what only looks like it."""

import pytest

from tests.unit.bronze.emulated import HALF, HOUR_S, NOON_S, Kinesis
from tests.unit.bronze.reading import (
    FIRST,
    THIRD,
    Open,
    instant,
    numbers,
    read_until_quiet,
)


def test_a_quiet_shard_is_not_taken_for_a_trimmed_one(
    kinesis: Kinesis, open_reader: Open
):
    reader = open_reader()
    kinesis.put(1)
    _, end = read_until_quiet(reader, reader.initialOffset())
    for _ in range(30):
        kinesis.clock_s += HOUR_S
        _, end = read_until_quiet(reader, end)
    kinesis.trim()
    kinesis.clock_s += HOUR_S
    kinesis.put(2)

    # its last record is long gone; the reader was there all the time but one hour
    found, _ = read_until_quiet(open_reader(), end)

    assert numbers(found) == [2]


def test_what_another_shard_still_holds_proves_that_nothing_is_lost(
    kinesis: Kinesis, open_reader: Open
):
    kinesis.split(FIRST, at=str(int(HALF) // 8))
    reader = open_reader()
    kinesis.put(*range(20))
    _, end = read_until_quiet(reader, reader.initialOffset())
    kinesis.clock_s += 23.95 * HOUR_S
    # of the third nothing was read until noon; its first record arrived just then
    end[THIRD] = f"TRIM_HORIZON@{NOON_S:.3f}"

    found, _ = read_until_quiet(open_reader(), end)

    assert {shard for _, shard in found} == {THIRD}


@pytest.mark.parametrize("is_empty", [True, False])
def test_what_was_trimmed_unread_is_an_error_that_names_shard_and_range(
    kinesis: Kinesis, open_reader: Open, is_empty: bool
):
    reader = open_reader()
    kinesis.put(1)
    _, end = read_until_quiet(reader, reader.initialOffset())
    kinesis.put(2)
    kinesis.clock_s += 25 * HOUR_S
    kinesis.trim()
    if not is_empty:
        kinesis.put(3)

    with pytest.raises(Exception, match="trimmed before it was read") as raised:
        open_reader().read(end)

    assert f"shard {FIRST}: read up to {end[FIRST].partition('@')[0]}" in str(
        raised.value
    )
    assert f"from {instant(NOON_S)} until" in str(raised.value)
    assert "kinesis.fail_on_data_loss=false" in str(raised.value)


def test_a_new_start_is_made_only_if_it_is_asked_for(
    kinesis: Kinesis, open_reader: Open, capsys: pytest.CaptureFixture[str]
):
    reader = open_reader()
    kinesis.put(1)
    _, end = read_until_quiet(reader, reader.initialOffset())
    kinesis.put(2)
    kinesis.clock_s += 25 * HOUR_S
    kinesis.put(3)

    found, _ = read_until_quiet(open_reader(failOnDataLoss=False), end)

    assert numbers(found) == [3]
    assert FIRST in capsys.readouterr().out
