import type { Stats } from "@/lib/api/events";
import {
  formatCount,
  formatDeviation,
  formatPrice,
  formatVariance,
} from "@/lib/format/number";

export interface Column {
  key:
    | "trade_count"
    | "volume"
    | "price_min"
    | "price_max"
    | "price_mean"
    | "price_variance"
    | "price_stddev";
  label: string;
  title: string;
  format: (value: number | null) => string;
}

/** The statistics of a window, in the order a reader asks for them. */
export const COLUMNS: readonly Column[] = [
  { key: "trade_count", label: "Count", title: "Trades", format: formatCount },
  { key: "volume", label: "Volume", title: "Shares", format: formatCount },
  { key: "price_min", label: "Min", title: "Lowest price, USD", format: formatPrice },
  { key: "price_max", label: "Max", title: "Highest price, USD", format: formatPrice },
  {
    key: "price_mean",
    label: "Mean",
    title: "Mean price, USD",
    format: formatDeviation,
  },
  {
    key: "price_variance",
    label: "Variance",
    title: "Sample variance of the price, USD squared",
    format: formatVariance,
  },
  {
    key: "price_stddev",
    label: "Std dev",
    title: "Sample standard deviation of the price, USD",
    format: formatDeviation,
  },
];

export type SortKey = Column["key"] | "symbol" | "window_start";

export interface Order {
  key: SortKey;
  isDescending: boolean;
}

/** Rows in the order; absent values come last whichever way it goes. */
export function sorted(rows: readonly Stats[], { key, isDescending }: Order): Stats[] {
  const sign = isDescending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [left, right] = [a[key], b[key]];
    if (left === null || right === null)
      return Number(left === null) - Number(right === null);
    const order = left < right ? -1 : left > right ? 1 : 0;
    return order * sign || a.symbol.localeCompare(b.symbol);
  });
}

/** The windows of one symbol, newest first, with the streamed one in its place. */
export function withNewest(
  windows: readonly Stats[],
  newest: Stats | undefined,
): Stats[] {
  if (!newest) return [...windows];
  const others = windows.filter(
    ({ window_start }) => window_start !== newest.window_start,
  );
  return sorted([newest, ...others], { key: "window_start", isDescending: true });
}
