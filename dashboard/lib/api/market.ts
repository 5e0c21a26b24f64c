import { toMs } from "@/lib/format/time";
import { Cell, CellFamily } from "./cell";
import type {
  CandleEvent,
  Stats,
  StatsEvent,
  StatusEvent,
  StreamEvent,
  Summary,
  TickerEvent,
} from "./events";

/** The newest trade and quote of a symbol, and when they became true. */
export interface Ticker extends Summary {
  symbol: string;
  /** Where the last price went when it last moved. */
  direction: "up" | "down" | null;
  /** Server wall time at which this value had age 0, ms; null without any event. */
  bornMs: number | null;
}

/** A minute that the stream told us of. */
export interface Candle {
  /** Window start, Unix ms. */
  time: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
  isFinal: boolean;
}

export interface LiveCandle extends Candle {
  /** "alpaca": the feed's own bar. "trades": built from trades so far. */
  source: "alpaca" | "trades";
  /** When the browser got it, Unix ms. */
  receivedMs: number;
}

export interface Connection {
  phase: "connecting" | "live" | "retrying" | "paused";
  /** Unix ms of the browser. */
  sinceMs: number;
}

/** Minutes kept per symbol: two of the longest bars. */
const LIVE_CANDLES_MAX = 120;

/** No tail is as far behind: it is a recording. */
const NEVER_LATENCY_MS = 3_600_000;

const NO_CANDLES: readonly LiveCandle[] = [];

/** Everything the stream says, as cells that components listen to. */
export class Market {
  readonly symbols = new Cell<readonly string[]>([]);
  readonly stats = new Cell<ReadonlyMap<string, Stats>>(new Map());
  readonly statsVersion = new Cell<string | null>(null);
  readonly status = new Cell<StatusEvent | null>(null);
  readonly connection: Cell<Connection>;
  readonly #tickers = new CellFamily<Ticker | null>(null);
  readonly #candles = new CellFamily<readonly LiveCandle[]>(NO_CANDLES);
  readonly #now: () => number;
  #clockOffsetMs = Number.POSITIVE_INFINITY;

  constructor(now: () => number = Date.now) {
    this.#now = now;
    this.connection = new Cell<Connection>({ phase: "connecting", sinceMs: now() });
  }

  ticker(symbol: string): Cell<Ticker | null> {
    return this.#tickers.at(symbol);
  }

  candles(symbol: string): Cell<readonly LiveCandle[]> {
    return this.#candles.at(symbol);
  }

  /** The server's wall clock now, ms, so that ages survive a browser's wrong clock. */
  serverNow(): number {
    const offset = Number.isFinite(this.#clockOffsetMs) ? this.#clockOffsetMs : 0;
    return this.#now() - offset;
  }

  apply(event: StreamEvent): void {
    switch (event.topic) {
      case "ticker":
        return this.#applyTicker(event.data);
      case "candle":
        return this.#applyCandles(event.data);
      case "stats":
        return this.#applyStats(event.data);
      case "status":
        return this.#applyStatus(event.data);
      case "reset":
        return; // The connection tells of every gap, this one and its own.
    }
  }

  /** After a gap nobody will finish a half-built minute here: the snapshot and REST do. */
  forgetUnfinished(): void {
    this.#clockOffsetMs = Number.POSITIVE_INFINITY;
    for (const cell of this.#candles.all()) {
      cell.set(cell.get().filter((candle) => candle.isFinal));
    }
  }

  enter(phase: Connection["phase"]): void {
    if (this.connection.get().phase === phase) return;
    this.connection.set({ phase, sinceMs: this.#now() });
  }

  #applyTicker({ sent_time, market_time, snapshot, symbols }: TickerEvent): void {
    const shiftMs = market_time ? this.#replayShift(sent_time, market_time) : 0;
    for (const [symbol, summary] of Object.entries(symbols)) {
      const cell = this.#tickers.at(symbol);
      cell.set(nextTicker(symbol, summary, cell.get(), shiftMs));
    }
    const known = snapshot ? [] : this.symbols.get();
    const fresh = Object.keys(symbols).filter((symbol) => !known.includes(symbol));
    if (fresh.length || snapshot) this.symbols.set([...known, ...fresh].sort());
  }

  /**
   * How far a replay's clock lies behind the wall, ms. An event of a recording is as old
   * as it lies behind the market clock of its frame, plus the wall time since the frame.
   * Live, the clock's distance is the latency of the tail, and that belongs to the age.
   */
  #replayShift(sentTime: string, marketTime: string): number {
    const shiftMs = toMs(sentTime) - toMs(marketTime);
    const state = this.status.get()?.market.state;
    // The first prices come before the first status.
    const isReplay = state ? state === "replay" : shiftMs > NEVER_LATENCY_MS;
    return isReplay ? shiftMs : 0;
  }

  #applyCandles({ candles }: CandleEvent): void {
    const receivedMs = this.#now();
    for (const { symbol, window_start, is_final, ...rest } of candles) {
      const { open, high, low, close, volume, source } = rest;
      const time = toMs(window_start);
      const prices = { time, open, high, low, close, volume };
      const candle = { ...prices, isFinal: is_final, source, receivedMs };
      const cell = this.#candles.at(symbol);
      cell.set(withCandle(cell.get(), candle));
    }
  }

  #applyStats({ snapshot, table_version, rows }: StatsEvent): void {
    const stats = new Map(snapshot ? [] : this.stats.get());
    for (const row of rows) stats.set(row.symbol, row);
    this.stats.set(stats);
    this.statsVersion.set(table_version);
  }

  #applyStatus(status: StatusEvent): void {
    const delayMs = this.#now() - toMs(status.sent_time);
    this.#clockOffsetMs = Math.min(this.#clockOffsetMs, delayMs);
    this.status.set(status);
  }
}

function nextTicker(
  symbol: string,
  summary: Summary,
  before: Ticker | null,
  shiftMs: number,
): Ticker {
  const was = before?.last?.price;
  const is = summary.last?.price;
  const moved = was != null && is != null && was !== is;
  const direction = moved ? (is > was ? "up" : "down") : (before?.direction ?? null);
  const times = [summary.last?.event_time, summary.quote?.event_time];
  const newest = Math.max(...times.map((time) => (time ? toMs(time) : -Infinity)));
  const bornMs = Number.isFinite(newest) ? newest + shiftMs : null;
  return { ...summary, symbol, direction, bornMs };
}

/** Put one candle in its place: almost always the last one, or after it. */
function withCandle(
  candles: readonly LiveCandle[],
  candle: LiveCandle,
): readonly LiveCandle[] {
  const before = candles.filter(({ time }) => time < candle.time);
  const after = candles.filter(({ time }) => time > candle.time);
  return [...before, candle, ...after].slice(-LIVE_CANDLES_MAX);
}
