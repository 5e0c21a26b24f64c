import { QueryClientProvider } from "@tanstack/react-query";
import { act, render } from "@testing-library/react";
import type { ReactNode } from "react";
import type { Stats, StatusEvent, StreamEvent, Summary } from "./events";
import { Market } from "./market";
import { MarketContext } from "./provider";
import { createQueryClient } from "./queries";

/** Show a part of the page with a market that hears only what `say` tells it. */
export function renderWithMarket(ui: ReactNode, now: () => number = Date.now) {
  const market = new Market(now);
  const queries = createQueryClient();
  const page = render(
    <QueryClientProvider client={queries}>
      <MarketContext value={market}>{ui}</MarketContext>
    </QueryClientProvider>,
  );
  async function say(...events: StreamEvent[]) {
    await act(async () => {
      market.enter("live");
      for (const event of events) market.apply(event);
      await new Promise(requestAnimationFrame);
    });
  }
  return { ...page, market, say };
}

export function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}

export function summary(price: number, eventMs: number, changes = {}): Summary {
  return {
    last: {
      price,
      size: 100,
      event_time: rfc3339(eventMs),
      event_time_ns: `${eventMs}000000`,
      exchange: "V",
      trade_id: "9007199254740993",
    },
    quote: {
      bid_price: price - 0.01,
      bid_size: 300,
      ask_price: price + 0.01,
      ask_size: 200,
      event_time: rfc3339(eventMs),
    },
    reference_price: 100,
    reference: "previous_close",
    change: price - 100,
    change_percent: price - 100,
    ...changes,
  };
}

export function ticker(
  symbols: Record<string, Summary>,
  sentMs: number,
  changes: { snapshot?: boolean; marketMs?: number } = {},
): StreamEvent {
  const { snapshot = false, marketMs = sentMs } = changes;
  const times = { sent_time: rfc3339(sentMs), market_time: rfc3339(marketMs) };
  return { topic: "ticker", data: { ...times, snapshot, symbols } };
}

export function status(
  sentMs: number,
  changes: Partial<StatusEvent> = {},
): StreamEvent {
  return {
    topic: "status",
    data: {
      sent_time: rfc3339(sentMs),
      market_time: rfc3339(sentMs),
      epoch: "1",
      market: { state: "simulated", session_start: null, session_end: null },
      latency: {
        tail_p50_s: 0.31,
        tail_p95_s: 0.62,
        event_p50_s: null,
        event_p95_s: null,
      },
      rates: { messages_per_s: 500 },
      kinesis: { state: "ok", behind_ms: 100 },
      tables: {},
      clients: 1,
      snapshot: false,
      ...changes,
    },
  };
}

export function stats(symbol: string, changes: Partial<Stats> = {}): Stats {
  return {
    symbol,
    window_start: "2026-11-23T14:30:00Z",
    window_end: "2026-11-23T14:31:00Z",
    window_length_s: 60,
    trade_count: 3,
    volume: 600,
    price_min: 99,
    price_max: 101,
    price_mean: 100,
    price_variance: 1,
    price_stddev: 1,
    is_final: false,
    source_version: "7",
    updated_time: "2026-11-23T14:30:20Z",
    ...changes,
  };
}
