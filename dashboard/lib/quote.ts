import type { Quote } from "./api/events";

export interface Spread {
  usd: number;
  /** Of the mid price. */
  bps: number;
}

/** Ask less bid; null unless both sides are quoted. Negative when the book is crossed. */
export function spreadOf(quote: Quote | null | undefined): Spread | null {
  if (!quote || quote.bid_price <= 0 || quote.ask_price <= 0) return null;
  const usd = quote.ask_price - quote.bid_price;
  const mid = (quote.ask_price + quote.bid_price) / 2;
  return { usd, bps: (usd / mid) * 10_000 };
}
