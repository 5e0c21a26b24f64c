"""A lake for research: what is selected, what is not opened, what is joined."""

import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from conf.errors import FixSetup
from conf.lake.read import connect, open_lake
from conf.lake.splits import read_splits, splits_path
from conf.lake.tables import BARS, QUOTES, TABLES, TRADES
from tests.integration.research.lakes import OPEN, SECOND, row, write

DAY = timedelta(days=1)
MS = timedelta(milliseconds=1)


@pytest.fixture
def root(tmp_path: Path) -> str:
    """Three days of trades of two symbols."""
    for day in range(3):
        moment = OPEN + day * DAY
        rows = [
            row(TRADES, moment + SECOND, symbol="AAPL", trade_id=10 * day + 1),
            row(TRADES, moment, symbol="AAPL", trade_id=10 * day),
            row(TRADES, moment, symbol="MSFT", trade_id=10 * day),
        ]
        write(tmp_path, TRADES, *rows)
    return str(tmp_path)


class TestSelection:
    def test_rows_come_by_symbol_and_time_typed_as_the_contract_says(self, root: str):
        found = open_lake(root).trades("AAPL").arrow()

        assert found["trade_id"].to_pylist() == [0, 1, 10, 11, 20, 21]
        types = dict(zip(found.schema.names, found.schema.types, strict=True))
        assert types == {c.name: c.type for c in TRADES.columns}

    def test_a_span_is_half_open_and_given_as_times_days_or_text(self, root: str):
        lake, second = open_lake(root), OPEN + DAY
        for start, end in [
            (second, second + SECOND),
            (second.isoformat(), "2026-11-24T14:30:01Z"),
        ]:
            assert (
                lake.trades(["AAPL"], start, end).arrow()["trade_id"][0].as_py() == 10
            )
            assert len(lake.trades(["AAPL"], start, end).arrow()) == 1
        assert len(lake.trades(None, date(2026, 11, 24), "2026-11-25").arrow()) == 3
        with pytest.raises(ValueError, match="no time zone"):
            lake.trades("AAPL", datetime(2026, 11, 24))  # noqa: DTZ001

    def test_files_of_other_days_are_not_opened(self, root: str):
        for path in Path(root).glob("silver/trades/day=2026-11-2[35]/*.parquet"):
            path.write_bytes(b"no Parquet")
        lake = open_lake(root)

        assert len(lake.trades(start=OPEN + DAY, end="2026-11-24T23:00Z").arrow()) == 3

    def test_columns_and_more_sql(self, root: str):
        found = open_lake(root).trades("AAPL").select("trade_id", "size")
        assert found.arrow().column_names == ["trade_id", "size"]
        counted = open_lake(root).trades().relation.aggregate("count(*)")
        assert counted.fetchall() == [(9,)]

    def test_pandas(self, root: str):
        frame = open_lake(root).trades("MSFT").pandas()
        assert str(frame["event_time"].dtype) == "datetime64[us, UTC]"
        assert list(frame["trade_id"]) == [0, 10, 20]

    def test_polars(self, root: str):
        frame = open_lake(root).trades("MSFT").polars()
        assert frame["trade_id"].to_list() == [0, 10, 20]

    def test_without_polars_the_way_out_is_named(
        self, root: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setitem(sys.modules, "polars", None)
        with pytest.raises(FixSetup, match=r"polars: is not installed.*\.arrow\(\)"):
            open_lake(root).trades("MSFT").polars()

    def test_any_table_by_name_and_a_missing_one_says_so(self, root: str):
        lake = open_lake(root)
        assert len(lake.read("silver.trades", "MSFT").arrow()) == 3
        with pytest.raises(FixSetup, match=r"silver\.bars: is not in"):
            lake.bars()
        with pytest.raises(FixSetup, match=r"silver\.trade: is no table"):
            lake.read("silver.trade")

    def test_a_symbol_is_text_not_sql(self, root: str):
        assert len(open_lake(root).trades("X' OR 'a'='a").arrow()) == 0

    @pytest.mark.parametrize("name", TABLES)
    def test_every_table_can_be_asked_for(self, tmp_path: Path, name: str):
        contract = TABLES[name]
        write(tmp_path, contract, row(contract, OPEN))
        assert len(open_lake(str(tmp_path)).read(name, start=OPEN).arrow()) == 1


class TestKnownAt:
    @pytest.fixture
    def root(self, tmp_path: Path) -> str:
        """A bar that was sent, then restated twice."""
        minute, close = timedelta(minutes=1), OPEN + timedelta(minutes=1)
        write(
            tmp_path,
            BARS,
            row(BARS, OPEN, revision=0, close=1.0, known_time=close),
            row(BARS, OPEN, revision=9, close=2.0, known_time=close + minute),
            row(BARS, OPEN, revision=7, close=3.0, known_time=close + 2 * minute),
        )
        return str(tmp_path)

    def test_a_bar_is_shown_as_it_was_known(self, root: str):
        lake, close = open_lake(root), OPEN + timedelta(minutes=1)
        closes = {
            seconds: lake.bars(known_at=close + seconds * SECOND)
            .arrow()["close"]
            .to_pylist()
            for seconds in (-1, 0, 59, 60, 120, 999)
        }

        assert closes == {-1: [], 0: [1], 59: [1], 60: [2], 120: [3], 999: [3]}
        assert len(lake.bars().arrow()) == 3

    def test_sql_shows_the_same(self, root: str):
        with connect(root) as lake:
            macro = "FROM silver.bars_known_at(TIMESTAMPTZ '2026-11-23 14:32:30Z')"
            assert lake.sql(f"SELECT close {macro}").fetchall() == [(2.0,)]
            now = lake.sql("SELECT close FROM silver.bars_current").fetchall()
            assert now == [(3.0,)]


class TestPrevailingQuote:
    @pytest.fixture
    def root(self, tmp_path: Path) -> str:
        #  ms        0      10     20     30
        #  quotes    1,2    3             4
        #  trades  -1 0           20,MSFT 30
        def quote(moment: datetime, bid: float, **fields: object) -> dict:
            return row(QUOTES, moment, bid_price=bid, ask_price=bid + 1, **fields)

        def trade(moment: datetime, trade_id: int, **fields: object) -> dict:
            return row(TRADES, moment, trade_id=trade_id, **fields)

        first = quote(OPEN, 1.0, quote_hash=2)
        write(
            tmp_path,
            QUOTES,
            quote(OPEN, 2.0, quote_hash=1),
            {**first, "receive_time": OPEN - MS},
            quote(OPEN + 10 * MS, 3.0),
            quote(OPEN + 30 * MS, 0.0),
        )
        write(
            tmp_path,
            TRADES,
            trade(OPEN - MS, 1),
            trade(OPEN, 2),
            trade(OPEN + 20 * MS, 3),
            trade(OPEN + 30 * MS, 4),
            trade(OPEN + 20 * MS, 5, symbol="MSFT"),
            # 19:05 in New York is past midnight UTC: the quote still prevails …
            trade(OPEN.replace(hour=0, minute=5) + DAY, 6),
            # … but not the next morning
            trade(OPEN + DAY, 7),
        )
        return str(tmp_path)

    def test_each_trade_has_the_last_quote_before_it(self, root: str):
        found = open_lake(root).trades_with_quotes("AAPL").arrow()
        picked = found.select(["trade_id", "bid_price", "mid_price"]).to_pylist()

        assert [tuple(one.values()) for one in picked] == [
            (1, None, None),
            (2, 2.0, 2.5),
            (3, 3.0, 3.5),
            (4, 0.0, None),
            (6, 0.0, None),
            (7, None, None),
        ]
        assert found["quote_age_ms"].to_pylist()[1:4] == [0, 10, 0]

    def test_the_view_and_a_pruned_span_agree(self, root: str):
        evening = OPEN.replace(hour=0, minute=0) + DAY
        found = open_lake(root).trades_with_quotes("AAPL", evening).arrow()
        with connect(root) as lake:
            view = lake.sql(
                "SELECT * FROM silver.trades_with_quotes "
                "WHERE symbol = 'AAPL' AND event_time >= '2026-11-24' "
                "ORDER BY event_time_ns"
            ).to_arrow_table()

        assert found["bid_price"].to_pylist() == [0.0, None]
        assert view.to_pylist() == found.to_pylist()


class TestSplits:
    @pytest.fixture
    def root(self, tmp_path: Path) -> str:
        bars = [
            row(
                BARS, OPEN + day * DAY, symbol=symbol, open=700.0, volume=10, revision=0
            )
            for day in range(3)
            for symbol in ("AAPL", "MSFT")
        ]
        write(tmp_path, BARS, *bars)
        return str(tmp_path)

    def split(self, root: str, *lines: str) -> None:
        path = Path(splits_path(root))
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(["symbol,ex_date,new_shares,old_shares", *lines]))

    def opens(self, root: str, cut: datetime | None = None) -> list[float]:
        found = open_lake(root, cut).bars_adjusted("AAPL")
        return found.arrow()["open"].to_pylist()

    def test_bars_before_a_split_are_divided_and_stored_prices_stay(self, root: str):
        self.split(
            root, "AAPL,2026-11-24,7,1", "AAPL,2026-11-25,1,2", "TSLA,2026-11-24,3,1"
        )

        assert self.opens(root) == [200.0, 1400.0, 700.0]
        assert open_lake(root).bars("AAPL").arrow()["open"].to_pylist() == [700.0] * 3
        with connect(root) as lake:
            sql = "SELECT open, volume, split_factor FROM silver.bars_adjusted"
            found = lake.sql(f"{sql} WHERE symbol = 'AAPL' ORDER BY window_start")
            assert found.fetchall()[0] == (200.0, 35.0, 3.5)

    def test_without_splits_nothing_changes(self, root: str):
        assert self.opens(root) == [700.0] * 3

    @pytest.mark.parametrize(
        "line",
        ["AAPL,next week,7,1", "AAPL,2026-11-24,0,1", "AAPL,2026-11-24,7", "AAPL,,7,1"],
    )
    def test_a_line_that_means_nothing_is_refused(self, root: str, line: str):
        self.split(root, line)
        with pytest.raises(FixSetup, match=r"splits\.csv.*AAPL,2014-06-09,7,1"):
            self.opens(root)

    def test_a_split_after_the_cut_is_not_known_yet(self, root: str):
        self.split(root, "AAPL,2026-11-24,7,1", "AAPL,2026-11-25,2,1")
        assert len(read_splits(root, date(2026, 11, 24))) == 1
