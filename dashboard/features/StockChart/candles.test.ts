// @vitest-environment node
import { describe, expect, it } from "vitest";
import type { Candle, LiveCandle } from "@/lib/api/market";
import { difference, fold, joined, LENGTH_MS, withLive } from "./candles";

const NOON = Date.parse("2026-11-23T12:00:00Z");
const MINUTE = 60_000;
const FETCHED = NOON + 10 * MINUTE;

/** The minute `n` after noon; its prices follow from its close. */
function minute(n: number, close = 100 + n, isFinal = true): Candle {
  const time = NOON + n * MINUTE;
  return {
    time,
    open: close - 1,
    high: close + 1,
    low: close - 2,
    close,
    volume: 10,
    isFinal,
  };
}

function live(candle: Candle, changes: Partial<LiveCandle> = {}): LiveCandle {
  return { ...candle, source: "trades", receivedMs: FETCHED + 1, ...changes };
}

const closes = (candles: readonly Candle[]) => candles.map(({ close }) => close);

describe("withLive", () => {
  const stored = [minute(0), minute(1)];

  it("adds the forming minute", () =>
    expect(closes(withLive(stored, [live(minute(2, 7, false))], FETCHED))).toEqual([
      100, 101, 7,
    ]));

  it("fills a hole of the lake in its place", () =>
    expect(
      closes(withLive([minute(0), minute(2)], [live(minute(1))], FETCHED)),
    ).toEqual([100, 101, 102]));

  it("prefers the feed's own bar to one built from trades", () =>
    expect(closes(withLive(stored, [live(minute(1, 7))], FETCHED))).toEqual([
      100, 101,
    ]));

  it("takes the feed's correction that came after the lake was asked", () => {
    const correction = live(minute(1, 7), { source: "alpaca" });
    expect(closes(withLive(stored, [correction], FETCHED))).toEqual([100, 7]);
    const older = { ...correction, receivedMs: FETCHED - 1 };
    expect(closes(withLive(stored, [older], FETCHED))).toEqual([100, 101]);
  });

  it("takes trades where the lake's minute is not final", () => {
    const forming = [minute(0, 5, false)];
    expect(closes(withLive(forming, [live(minute(0, 7, false))], FETCHED))).toEqual([
      7,
    ]);
  });
});

describe("fold", () => {
  it("sums minutes into windows that start on the clock", () => {
    const windows = fold(
      [3, 4, 5, 6].map((n) => minute(n)),
      LENGTH_MS["5m"],
    );
    expect(windows).toEqual([
      {
        time: NOON,
        open: 102,
        high: 105,
        low: 101,
        close: 104,
        volume: 20,
        isFinal: true,
      },
      {
        time: NOON + 5 * MINUTE,
        open: 104,
        high: 107,
        low: 103,
        close: 106,
        volume: 20,
        isFinal: true,
      },
    ]);
  });

  it("leaves its input as it was", () => {
    const minutes = [minute(0), minute(1)];
    fold(minutes, LENGTH_MS["5m"]);
    expect(minutes).toEqual([minute(0), minute(1)]);
  });
});

describe("joined", () => {
  const bar = (n: number, close: number) => ({ ...minute(n, close), volume: 50 });

  it("is the minutes themselves at one minute", () =>
    expect(closes(joined([], [minute(0), minute(1)], MINUTE))).toEqual([100, 101]));

  it("takes the lake's bar for a window whose first minutes were not fetched", () => {
    const bars = [bar(0, 11), bar(5, 22), bar(10, 33)];
    const minutes = [7, 8, 9, 10, 11].map((n) => minute(n));
    expect(closes(joined(bars, minutes, LENGTH_MS["5m"]))).toEqual([11, 22, 111]);
  });

  it("shows what the minutes give until the lake's bars are there", () =>
    expect(closes(joined([], [minute(7), minute(8)], LENGTH_MS["5m"]))).toEqual([108]));
});

describe("difference", () => {
  const drawn = [minute(0), minute(1)];

  it("is none for equal candles", () =>
    expect(difference(drawn, [minute(0), minute(1)]).kind).toBe("none"));

  it("is the tail when the last one grows or others follow", () => {
    const grown = minute(1, 7);
    expect(difference(drawn, [minute(0), grown])).toEqual({
      kind: "tail",
      candles: [grown],
    });
    expect(difference(drawn, [...drawn, minute(2)])).toEqual({
      kind: "tail",
      candles: [minute(1), minute(2)],
    });
  });

  // Each of these makes the chart throw "Cannot update oldest data" if it is updated.
  it.each([
    ["an older candle changed", [minute(0, 7), minute(1)]],
    ["one is gone", [minute(0)]],
    ["one came between", [minute(0), minute(0.5), minute(1)]],
    ["the first was dropped", [minute(1), minute(2)]],
  ])("is all when %s", (_, next) => expect(difference(drawn, next).kind).toBe("all"));

  it("is all when nothing is drawn yet", () =>
    expect(difference([], drawn).kind).toBe("all"));
});
