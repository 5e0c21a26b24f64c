import type { components } from "./schema";

type Schemas = components["schemas"];

export type Bar = Schemas["Bar"];
export type Stats = Schemas["Stats"];
export type Summary = Schemas["LiveSummary"];
export type Quote = Schemas["Quote"];
export type Problem = Schemas["Problem"];

export type TickerEvent = Schemas["TickerEvent"];
export type CandleEvent = Schemas["CandleEvent"];
export type StatsEvent = Schemas["StatsEvent"];
export type StatusEvent = Schemas["StatusEvent"];
export type ResetEvent = Schemas["ResetEvent"];
export type MarketState = StatusEvent["market"]["state"];

/** What `/api/v1/stream` sends, by the name of the server-sent event. */
export type StreamEvent =
  | { topic: "ticker"; data: TickerEvent }
  | { topic: "candle"; data: CandleEvent }
  | { topic: "stats"; data: StatsEvent }
  | { topic: "status"; data: StatusEvent }
  | { topic: "reset"; data: ResetEvent };

export const TOPICS = ["ticker", "candle", "stats", "status", "reset"] as const;
