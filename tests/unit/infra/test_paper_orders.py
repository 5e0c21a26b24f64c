import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.paper_account import NoOrder, Order
from infra.paper_orders import order_of

USD = 2_000.0


def signal(action: str, close: float = 150.0) -> dict[str, object]:
    return {"signal_id": "KO/t/v", "symbol": "KO", "action": action, "close": close}


def test_whole_shares_are_bought_and_all_are_sold():
    assert order_of(signal("BUY"), 0, USD) == Order("KO/t/v", "KO", "buy", 13)
    assert order_of(signal("SELL"), 7, USD) == Order("KO/t/v", "KO", "sell", 7)


@pytest.mark.parametrize(
    ("decided", "held", "why"),
    [
        (signal("BUY"), 13, "held already"),
        (signal("SELL"), 0, "nothing is held"),
        (signal("BUY", close=2_000.01), 0, "costs more than 2000 USD"),
    ],
)
def test_where_the_account_is_as_decided_nothing_follows(
    decided: dict[str, object], held: int, why: str
):
    with pytest.raises(NoOrder, match=why):
        order_of(decided, held, USD)


@given(
    close=st.floats(0.01, 1e6),
    held=st.integers(0, 10**6),
    usd=st.floats(0.01, 1e6),
    action=st.sampled_from(["BUY", "SELL"]),
)
def test_no_order_goes_short_or_beyond_its_budget(
    close: float, held: int, usd: float, action: str
):
    try:
        order = order_of(signal(action, close), held, usd)
    except NoOrder:
        return
    assert order.shares > 0
    if order.side == "sell":
        assert order.shares == held
    else:
        assert held == 0
        assert order.shares * close <= usd * (1 + 1e-9)
