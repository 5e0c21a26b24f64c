"""What is asked for, what the plan allows, how an error is taken."""

import json

import pytest

from conf.errors import FixSetup
from conf.settings import AlpacaSettings
from producer.protocol import Control, decode
from producer.reactions import AuthFailed, ConnectionLost, reaction
from producer.subscription import (
    Mismatch,
    check_plan,
    compare,
    delivered,
    requested,
)

REQUEST = {
    "trades": ["AAPL", "TSLA", "NVDA"],
    "quotes": ["SPY", "QQQ"],
    "bars": ["MSFT", "GOOGL"],
}
NAMES = [f"S{n:02}" for n in range(40)]


def test_every_channel_has_its_own_symbols():
    settings = AlpacaSettings(
        trades=["A"], quotes=["B"], bars=["C"], updated_bars=["D"], daily_bars=["E"],
        statuses=["F"], lulds=["G"],
    )  # fmt: skip
    assert requested(settings) == {
        "trades": ["A"], "quotes": ["B"], "bars": ["C"], "updatedBars": ["D"],
        "dailyBars": ["E"], "statuses": ["F"], "lulds": ["G"],
    }  # fmt: skip


def test_an_empty_channel_is_not_asked_for():
    settings = AlpacaSettings(quotes=[], statuses=[], lulds=[])
    assert set(requested(settings)) == {"trades", "bars", "updatedBars"}


def test_what_is_asked_for_by_default_fits_the_free_plan():
    asked = requested(AlpacaSettings())
    assert set(asked) == {
        "trades", "quotes", "bars", "updatedBars", "statuses", "lulds",
    }  # fmt: skip
    check_plan(AlpacaSettings())


def test_corrections_and_cancels_come_with_trades():
    channels = delivered({"trades": ["A", "B"], "bars": ["C"]})
    assert channels["corrections"] == channels["cancelErrors"] == ["A", "B"]
    assert "corrections" not in delivered({"bars": ["C"]})


def test_the_free_plan_takes_30_symbols_over_trades_and_quotes():
    check_plan(
        AlpacaSettings(
            trades=NAMES[:20], quotes=NAMES[:30],
            bars=NAMES, updated_bars=NAMES, statuses=NAMES, lulds=NAMES,
        )
    )  # fmt: skip


def test_a_symbol_too_many_is_refused_with_what_to_drop():
    settings = AlpacaSettings(trades=NAMES[:20], quotes=NAMES[15:32])
    with pytest.raises(FixSetup, match=r"32 symbols.* 30 .*Drop S30, S31, or"):
        check_plan(settings)


@pytest.mark.parametrize("chosen", [{"plan": "paid"}, {"feed": "sip"}])
def test_a_paid_plan_has_no_limit_here(chosen: dict[str, str]):
    check_plan(AlpacaSettings(trades=NAMES, **chosen))


def test_a_subscription_to_nothing_is_refused():
    with pytest.raises(FixSetup, match="no channel"):
        check_plan(
            AlpacaSettings(
                trades=[], quotes=[], bars=[], updated_bars=[], statuses=[], lulds=[]
            )
        )


def test_a_confirmation_that_equals_the_request_is_no_mismatch():
    frame = json.dumps([{"T": "subscription", **REQUEST, "corrections": ["AAPL"]}])
    (confirmed,) = decode(frame.encode(), "json").controls
    assert compare(REQUEST, confirmed.channels) is None


def test_a_mismatch_names_missing_and_extra_symbols_by_channel():
    confirmed = {"trades": ["AAPL", "F"], "bars": ["GOOGL", "MSFT"]}
    assert compare(REQUEST, confirmed) == Mismatch(
        missing={"trades": ["NVDA", "TSLA"], "quotes": ["QQQ", "SPY"]},
        extra={"trades": ["F"]},
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (402, AuthFailed),
        (405, FixSetup),
        (409, FixSetup),
        (410, FixSetup),
        (400, ConnectionLost),
        (401, ConnectionLost),
        (403, ConnectionLost),
        (404, ConnectionLost),
        (406, ConnectionLost),
        (407, ConnectionLost),
        (500, ConnectionLost),
        (None, ConnectionLost),
    ],
)
def test_an_error_is_known_by_its_number(code: int | None, expected: type[Exception]):
    error = reaction(Control("error", "some text", code), REQUEST)
    assert type(error) is expected
    assert "some text" in str(error)


@pytest.mark.parametrize("code", [405, 409])
def test_an_error_about_symbols_names_them(code: int):
    error = reaction(Control("error", "no", code), REQUEST)
    assert "trades: AAPL TSLA NVDA, quotes: SPY QQQ" in str(error)


def test_a_slow_client_is_a_cause_of_its_own():
    error = reaction(Control("error", "slow client", 407), REQUEST)
    assert isinstance(error, ConnectionLost)
    assert error.cause == "slow_client"
