import { describe, expect, it } from "vitest";
import type { StreamEvent } from "./events";
import { Market } from "./market";
import { rfc3339, stats, status, summary, ticker } from "./testing";

const NOON = Date.parse("2026-11-23T12:00:00Z");
const MINUTE = 60_000;

function candle(
  symbol: string,
  startMs: number,
  close: number,
  isFinal = false,
): StreamEvent {
  const prices = { open: 100, high: 101, low: 99, close, volume: 10, trade_count: 2 };
  const window_start = rfc3339(startMs);
  const window_end = rfc3339(startMs + MINUTE);
  const one = { symbol, window_start, window_end, ...prices, is_final: isFinal };
  const candles = [{ ...one, source: "trades" as const }];
  return {
    topic: "candle",
    data: { sent_time: rfc3339(NOON), snapshot: false, candles },
  };
}

describe("tickers", () => {
  it("keeps the direction of the last move while the price stands", () => {
    const market = new Market(() => NOON);
    const directions = [100, 101, 101, 99].map((price) => {
      market.apply(ticker({ AAPL: summary(price, NOON) }, NOON));
      return market.ticker("AAPL").get()?.direction;
    });
    expect(directions).toEqual([null, "up", "up", "down"]);
  });

  it("lists symbols by name; a snapshot says which there are", () => {
    const market = new Market(() => NOON);
    const some = { TSLA: summary(1, NOON), AAPL: summary(1, NOON) };
    market.apply(ticker(some, NOON));
    expect(market.symbols.get()).toEqual(["AAPL", "TSLA"]);
    market.apply(ticker({ MSFT: summary(1, NOON) }, NOON, { snapshot: true }));
    expect(market.symbols.get()).toEqual(["MSFT"]);
  });

  it("counts age from the newest of trade and quote", () => {
    const market = new Market(() => NOON);
    const old = summary(100, NOON - 60_000);
    const quote = summary(100, NOON - 500).quote;
    market.apply(ticker({ AAPL: { ...old, quote } }, NOON));
    expect(market.ticker("AAPL").get()?.bornMs).toBe(NOON - 500);
  });

  it("counts age in a replay by how far an event lies behind the market clock", () => {
    const market = new Market(() => NOON);
    const recorded = Date.parse("2013-10-07T14:00:00Z");
    const event = { AAPL: summary(100, recorded - 2_000) };
    market.apply(ticker(event, NOON, { marketMs: recorded }));
    expect(market.ticker("AAPL").get()?.bornMs).toBe(NOON - 2_000);
  });

  it("counts the tail's own delay as age when live", () => {
    const market = new Market(() => NOON);
    const event = { AAPL: summary(100, NOON - 31_000) };
    market.apply(status(NOON));
    market.apply(ticker(event, NOON, { marketMs: NOON - 30_000 }));
    expect(market.ticker("AAPL").get()?.bornMs).toBe(NOON - 31_000);
  });
});

describe("the server's clock", () => {
  it("is told apart from a browser's that runs ahead, by the fastest frame", () => {
    let now = NOON + 90_000 + 400;
    const market = new Market(() => now);
    market.apply(status(NOON));
    now = NOON + 90_000 + 1_005;
    market.apply(status(NOON + 1_000));
    expect(market.serverNow()).toBe(NOON + 1_000);
  });
});

describe("candles", () => {
  const minutes = (market: Market) => market.candles("AAPL").get();

  it("replaces the forming minute and keeps time's order", () => {
    const market = new Market(() => NOON);
    market.apply(candle("AAPL", NOON, 100.1));
    market.apply(candle("AAPL", NOON + MINUTE, 100.2));
    market.apply(candle("AAPL", NOON, 100.3, true));
    expect(minutes(market).map(({ close }) => close)).toEqual([100.3, 100.2]);
  });

  it("keeps two hours of them", () => {
    const market = new Market(() => NOON);
    for (let minute = 0; minute < 500; minute++) {
      market.apply(candle("AAPL", NOON + minute * MINUTE, 100, true));
    }
    expect(minutes(market)).toHaveLength(120);
    expect(minutes(market).at(-1)?.time).toBe(NOON + 499 * MINUTE);
  });

  it("forgets half-built minutes after a gap", () => {
    const market = new Market(() => NOON);
    market.apply(candle("AAPL", NOON - MINUTE, 100, true));
    market.apply(candle("AAPL", NOON, 100));
    market.forgetUnfinished();
    expect(minutes(market).map(({ time }) => time)).toEqual([NOON - MINUTE]);
  });
});

describe("statistics", () => {
  it("changes the rows that came and keeps the others, until a snapshot", () => {
    const market = new Market(() => NOON);
    const say = (snapshot: boolean, ...names: string[]) =>
      market.apply({
        topic: "stats",
        data: {
          sent_time: rfc3339(NOON),
          snapshot,
          table_version: "12",
          rows: names.map((name) => stats(name)),
        },
      });
    say(false, "AAPL");
    say(false, "MSFT");
    expect([...market.stats.get().keys()]).toEqual(["AAPL", "MSFT"]);
    say(true, "TSLA");
    expect([...market.stats.get().keys()]).toEqual(["TSLA"]);
    expect(market.statsVersion.get()).toBe("12");
  });
});
