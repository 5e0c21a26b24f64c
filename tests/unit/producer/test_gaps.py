"""The ledger: each symbol of a channel is either received or in exactly one gap."""

from hypothesis import given
from hypothesis import strategies as st

from producer.gaps import Ledger, Outage, common, without

TRADES = {"trades": ["A", "B"]}
BOTH = {"trades": ["A", "B"], "quotes": ["A"]}
S = 1_000_000_000


def test_a_gap_opens_ends_and_is_settled():
    ledger = Ledger()
    opened = ledger.lose("e1", "cut", BOTH, 10 * S, 12 * S)
    assert [x.gap_id for x in opened] == ["e1/trades/A", "e1/trades/B", "e1/quotes/A"]
    assert (opened[0].state, opened[0].cause) == ("opened", "cut")
    assert (opened[0].start, opened[0].end) == ("1970-01-01T00:00:10Z", None)
    assert opened[0].event_time == "1970-01-01T00:00:12Z"
    assert ledger.to_fill() == []
    ended = ledger.receive(BOTH, 15 * S)
    (group,) = ledger.to_fill()
    assert sorted(x.gap_id for x in group) == sorted(x.gap_id for x in ended)
    told = ledger.settle(ended[0], "backfilled", 20 * S, rows=7)
    assert (told.state, told.rows, told.end) == (
        "backfilled",
        7,
        "1970-01-01T00:00:15Z",
    )
    assert ledger.unsettled == 2


def test_an_open_gap_stays_open_whatever_happens_meanwhile():
    ledger = Ledger()
    ledger.lose("e1", "mute", TRADES, 10 * S, 12 * S)
    assert ledger.lose("e2", "cut", TRADES, 20 * S, 20 * S) == []
    (first, _) = ledger.receive(TRADES, 30 * S)
    assert (first.outage, first.cause, first.from_ns) == ("e1", "mute", 10 * S)


def test_only_what_comes_again_ends():
    ledger = Ledger()
    ledger.lose("e1", "cut", BOTH, 10 * S, 12 * S)
    ledger.receive({"trades": ["A"]}, 15 * S)
    assert ledger.open_gaps == 2
    assert [[x.gap_id for x in group] for group in ledger.to_fill()] == [
        ["e1/trades/A"]
    ]


def test_a_delay_is_told_once():
    ledger = Ledger()
    ledger.lose("e1", "cut", TRADES, 10 * S, 12 * S)
    first, _ = ledger.receive(TRADES, 15 * S)
    (told,) = ledger.delay(first, "throttled", 80 * S)
    assert (told.state, told.detail) == ("late", "throttled")
    assert ledger.delay(first, "throttled", 90 * S) == []
    assert ledger.settle(first, "lost", 99 * S, rows=0).state == "lost"


def test_the_next_producer_takes_over_what_is_not_settled():
    ledger, other = Ledger(), Ledger()
    ledger.lose("e1", "cut", BOTH, 10 * S, 12 * S)
    ledger.receive({"quotes": ["A"]}, 15 * S)
    other.restore(ledger.outages(), 0)
    assert other.outages() == ledger.outages()
    assert other.to_fill() == ledger.to_fill()
    assert other.lose("e1", "restart", BOTH, 11 * S, 20 * S)[0].gap_id == "e1/quotes/A"


def test_a_restored_gap_begins_where_the_spool_ends():
    ledger = Ledger()
    ledger.restore([Outage("e1", "cut", 10 * S, TRADES)], 9 * S)
    first, _ = ledger.receive(TRADES, 15 * S)
    assert first.from_ns == 9 * S


def test_a_gap_that_does_not_close_counts_for_a_while_and_again_when_it_is_over():
    ledger = Ledger()
    ledger.lose("e1", "refused", {"trades": ["A"]}, 10 * S, 12 * S)
    ledger.lose("e2", "cut", {"trades": ["B"]}, 50 * S, 50 * S)
    assert [ledger.since_ns(now * S, 60 * S) for now in (70, 71, 110, 111)] == [
        10 * S,
        50 * S,
        50 * S,
        111 * S,
    ]
    ledger.receive({"trades": ["A"]}, 200 * S)
    assert ledger.since_ns(999 * S, 60 * S) == 10 * S


def test_channels_in_common_and_left_over():
    assert common(BOTH, {"trades": ["B", "C"]}) == {"trades": ["B"]}
    assert without(BOTH, {"trades": ["B"], "quotes": ["A"]}) == {"trades": ["A"]}


ROUTES = st.sets(st.sampled_from(["A", "B", "C"])).map(sorted)


@given(st.lists(st.tuples(st.booleans(), ROUTES), max_size=30))
def test_every_time_of_every_symbol_is_received_or_in_exactly_one_gap(
    steps: list[tuple[bool, list[str]]],
):
    ledger, missing, ended = Ledger(), dict[str, int](), list[tuple[str, int, int]]()
    expected = []
    for now, (is_lost, symbols) in enumerate(steps, 1):
        if is_lost:
            ledger.lose(f"e{now}", "cut", {"trades": symbols}, now, now)
            for symbol in symbols:
                missing.setdefault(symbol, now)
        else:
            gaps = ledger.receive({"trades": symbols}, now)
            ended += [(x.symbol, x.from_ns, x.to_ns or 0) for x in gaps]
            expected += [(x, missing.pop(x), now) for x in symbols if x in missing]
        copy = Ledger()
        copy.restore(ledger.outages(), 0)
        assert copy.outages() == ledger.outages()
    assert ended == expected
    assert ledger.open_gaps == len(missing)
