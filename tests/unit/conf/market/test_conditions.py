"""The table below is written by hand from the tapes' and Alpaca's own tables."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.market.conditions import (
    CONDITIONS,
    CTS,
    NO_VOLUME,
    REGULAR,
    UTP,
    Effect,
    Update,
    effect_of,
)

# y: updates, -: does not, f: only if it is the first; "sp" is the code " "
TAPES_A_B = """
        minute bar                | day bar
        open high low last volume | open high low last volume
    sp  y    y    y   y    y      | y    y    y   y    y
    B   -    -    -   -    y      | -    -    -   -    y
    C   -    -    -   -    y      | -    -    -   -    y
    E   y    y    y   y    y      | y    y    y   y    y
    F   y    y    y   y    y      | y    y    y   y    y
    H   -    -    -   -    y      | -    -    -   -    y
    I   -    -    -   -    y      | -    -    -   -    y
    K   y    y    y   y    y      | y    y    y   y    y
    L   y    y    y   y    y      | y    y    y   y    y
    M   -    -    -   -    -      | -    -    -   -    -
    N   -    -    -   -    y      | -    -    -   -    y
    O   y    y    y   y    y      | y    y    y   y    y
    P   -    -    -   -    y      | y    y    y   f    y
    Q   -    -    -   -    -      | -    -    -   -    -
    R   -    -    -   -    y      | -    -    -   -    y
    T   y    y    y   y    y      | -    -    -   -    y
    U   -    -    -   -    y      | -    -    -   -    y
    V   -    -    -   -    y      | -    -    -   -    y
    X   y    y    y   y    y      | y    y    y   y    y
    Z   -    -    -   -    y      | y    y    y   f    y
    4   -    -    -   -    y      | y    y    y   f    y
    5   y    y    y   y    y      | y    y    y   y    y
    6   y    y    y   y    y      | y    y    y   y    y
    7   -    -    -   -    y      | -    -    -   -    y
    8   -    -    -   -    y      | -    -    -   -    y
    9   -    -    -   -    -      | y    y    y   y    -
"""
TAPES_C_O = """
        minute bar                | day bar
        open high low last volume | open high low last volume
    @   y    y    y   y    y      | y    y    y   y    y
    A   y    y    y   y    y      | y    y    y   y    y
    B   y    y    y   y    y      | y    y    y   y    y
    C   -    -    -   -    y      | -    -    -   -    y
    D   y    y    y   y    y      | y    y    y   y    y
    E   -    -    -   -    y      | -    -    -   -    y
    F   y    y    y   y    y      | y    y    y   y    y
    G   -    -    -   -    y      | y    y    y   f    y
    H   -    -    -   -    y      | -    -    -   -    y
    I   -    -    -   -    y      | -    -    -   -    y
    K   y    y    y   y    y      | y    y    y   y    y
    L   y    y    y   y    y      | y    y    y   y    y
    M   -    -    -   -    -      | -    -    -   -    -
    N   -    -    -   -    y      | -    -    -   -    y
    O   y    y    y   y    y      | y    y    y   y    y
    P   -    -    -   -    y      | y    y    y   f    y
    Q   -    -    -   -    -      | -    -    -   -    -
    R   -    -    -   -    y      | -    -    -   -    y
    S   y    y    y   y    y      | y    y    y   y    y
    T   y    y    y   y    y      | -    -    -   -    y
    U   -    -    -   -    y      | -    -    -   -    y
    V   -    -    -   -    y      | -    -    -   -    y
    W   -    -    -   -    y      | -    -    -   -    y
    X   y    y    y   y    y      | y    y    y   y    y
    Y   y    y    y   y    y      | y    y    y   y    y
    Z   -    -    -   -    y      | y    y    y   f    y
    1   y    y    y   y    y      | y    y    y   y    y
    4   -    -    -   -    y      | y    y    y   f    y
    5   y    y    y   y    y      | y    y    y   y    y
    6   y    y    y   y    y      | y    y    y   y    y
    7   -    -    -   -    y      | -    -    -   -    y
    8   -    -    -   -    y      | -    -    -   -    y
    9   -    -    -   -    -      | y    y    y   y    -
"""
LAST = {"-": Update.NEVER, "f": Update.IF_FIRST, "y": Update.ALWAYS}
VOLUME_ONLY = Effect(opens=False, high_low=False, last=Update.NEVER, volume=True)

Bar = Literal["minute", "day"]

codes = st.lists(st.sampled_from([*CTS, *UTP, "?", "a"]), max_size=5)
tapes = st.sampled_from(["A", "B", "C", "O", None])
bars: st.SearchStrategy[Bar] = st.sampled_from(["minute", "day"])


def rows(table: str) -> dict[str, tuple[Effect, Effect]]:
    """Return code -> effect on a minute bar, effect on a day bar."""
    effects = {}
    for line in table.strip().splitlines()[2:]:
        minute, day = line.split("|")
        code, *minute_cells = minute.split()
        effects[" " if code == "sp" else code] = read(minute_cells), read(day.split())
    return effects


def read(cells: list[str]) -> Effect:
    opens, high, low, last, volume = cells
    assert high == low, "no condition tells a high from a low"
    return Effect(opens == "y", high == "y", LAST[last], volume == "y")


@pytest.mark.parametrize(
    ("tape", "table"),
    [("A", TAPES_A_B), ("B", TAPES_A_B), ("C", TAPES_C_O), ("O", TAPES_C_O)],
)
def test_each_condition_has_the_effects_of_its_tape(tape: str, table: str):
    expected = rows(table)
    assert CONDITIONS[tape].keys() == expected.keys()
    actual = {
        code: (effect_of([code], tape), effect_of([code], tape, "day"))
        for code in expected
    }
    assert actual == expected


def test_only_official_prices_and_corrected_closes_have_no_volume():
    assert {"M", "Q", "9"} == NO_VOLUME


@pytest.mark.parametrize("conditions", [None, [], ["@"], [" "], ["@", "F"]])
def test_a_print_without_special_conditions_is_regular(conditions: list[str] | None):
    assert effect_of(conditions, "C") == REGULAR


def test_the_strictest_condition_wins():
    assert effect_of(["@", "4", "I"], "C", "day") == VOLUME_ONLY
    assert effect_of(["@", "4"], "C", "day") == Effect(
        opens=True, high_low=True, last=Update.IF_FIRST, volume=True
    )
    assert effect_of([" ", "6", "M"], "A") == Effect(
        opens=False, high_low=False, last=Update.NEVER, volume=False
    )


def test_the_same_code_differs_by_tape():
    assert effect_of(["B"], "A") == VOLUME_ONLY  # average price
    assert effect_of(["B"], "C") == REGULAR  # bunched


def test_a_code_of_the_other_tape_keeps_its_meaning():
    assert effect_of([" ", "W"], "A") == VOLUME_ONLY
    assert effect_of([" ", "E"], None) == REGULAR
    assert effect_of(["@", "B"], None) == VOLUME_ONLY


@pytest.mark.parametrize("tape", ["A", "C", "Z", None])
def test_an_unknown_code_counts_as_regular(tape: str | None):
    assert effect_of(["?"], tape) == REGULAR
    assert effect_of(["?", "I"], tape) == VOLUME_ONLY


@given(codes, codes, tapes, bars)
def test_one_more_condition_never_allows_more(
    some: list[str], more: list[str], tape: str | None, bar: Bar
):
    before, after = effect_of(some, tape, bar), effect_of(some + more, tape, bar)
    assert after.opens <= before.opens
    assert after.high_low <= before.high_low
    assert after.last <= before.last
    assert after.volume <= before.volume


@given(codes, tapes, bars)
def test_order_and_repetition_do_not_matter(
    some: list[str], tape: str | None, bar: Bar
):
    shuffled = [*reversed(some), *some]
    assert effect_of(some, tape, bar) == effect_of(shuffled, tape, bar)


@given(codes, tapes)
def test_no_volume_is_all_a_volume_sum_needs(some: list[str], tape: str | None):
    assert effect_of(some, tape).volume == NO_VOLUME.isdisjoint(some)
