import type { Bar } from "@/lib/api/events";
import type { Candle, LiveCandle } from "@/lib/api/market";
import type { BarLength } from "@/lib/api/queries";
import { toMs } from "@/lib/format/time";

const MINUTE_MS = 60_000;

export const LENGTH_MS: Record<BarLength, number> = {
  "1m": MINUTE_MS,
  "5m": 5 * MINUTE_MS,
  "15m": 15 * MINUTE_MS,
  "1h": 60 * MINUTE_MS,
};

export function toCandle(bar: Bar): Candle {
  const { open, high, low, close, volume, is_final } = bar;
  const time = toMs(bar.window_start);
  return { time, open, high, low, close, volume, isFinal: is_final };
}

/**
 * The minutes of the lake with the stream's laid over them, oldest first.
 *
 * A final minute of the lake is the feed's own bar. The stream corrects it only with
 * another bar of the feed that came after the lake was asked.
 */
export function withLive(
  minutes: readonly Candle[],
  live: readonly LiveCandle[],
  fetchedMs: number,
): Candle[] {
  const byTime = new Map(minutes.map((minute) => [minute.time, minute]));
  for (const candle of live) {
    const stored = byTime.get(candle.time);
    const isNewer = candle.source === "alpaca" && candle.receivedMs > fetchedMs;
    if (!stored?.isFinal || isNewer) byTime.set(candle.time, candle);
  }
  return [...byTime.values()].sort((a, b) => a.time - b.time);
}

/** Sum minutes into windows of the length; minutes ascend and so do the windows. */
export function fold(minutes: readonly Candle[], lengthMs: number): Candle[] {
  const windows: Candle[] = [];
  for (const minute of minutes) {
    const time = Math.floor(minute.time / lengthMs) * lengthMs;
    const last = windows.at(-1);
    if (last?.time === time) extend(last, minute);
    else windows.push({ ...minute, time });
  }
  return windows;
}

function extend(window: Candle, minute: Candle): void {
  window.high = Math.max(window.high, minute.high);
  window.low = Math.min(window.low, minute.low);
  window.close = minute.close;
  window.volume += minute.volume;
  window.isFinal = minute.isFinal;
}

/**
 * Bars of the length that end in the forming one.
 *
 * @param bars The lake's bars of this length, for what lies before the minutes.
 * @param minutes All minutes known. Their first window may lack minutes that were
 *   not fetched: the lake's own bar is taken for it.
 */
export function joined(
  bars: readonly Candle[],
  minutes: readonly Candle[],
  lengthMs: number,
): Candle[] {
  const [first] = minutes;
  if (!first || lengthMs === MINUTE_MS) return [...minutes];
  const windows = fold(minutes, lengthMs);
  const isPartial = windows[0] !== undefined && windows[0].time < first.time;
  const whole = isPartial && bars.length > 0 ? windows.slice(1) : windows;
  const from = whole[0]?.time ?? Number.POSITIVE_INFINITY;
  return [...bars.filter(({ time }) => time < from), ...whole];
}

export type Difference =
  | { kind: "none" }
  /** Only the last drawn candle or later ones: cheap to draw. */
  | { kind: "tail"; candles: Candle[] }
  /** Something older: the chart refuses an update there and must be set anew. */
  | { kind: "all" };

export function difference(
  drawn: readonly Candle[],
  next: readonly Candle[],
): Difference {
  const tailFrom = drawn.length - 1;
  if (tailFrom < 0 || next.length <= tailFrom) return { kind: "all" };
  for (let i = 0; i < tailFrom; i++) {
    if (!isSame(drawn[i], next[i])) return { kind: "all" };
  }
  if (drawn[tailFrom]?.time !== next[tailFrom]?.time) return { kind: "all" };
  if (drawn.length === next.length && isSame(drawn[tailFrom], next[tailFrom])) {
    return { kind: "none" };
  }
  return { kind: "tail", candles: next.slice(tailFrom) };
}

function isSame(a: Candle | undefined, b: Candle | undefined): boolean {
  return (
    a?.time === b?.time &&
    a?.open === b?.open &&
    a?.high === b?.high &&
    a?.low === b?.low &&
    a?.close === b?.close &&
    a?.volume === b?.volume
  );
}
