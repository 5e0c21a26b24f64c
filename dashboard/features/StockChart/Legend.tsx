"use client";

import { clsx } from "clsx";
import { directionOf, toneOf } from "@/components/change";
import { type Cell, useCell } from "@/lib/api/cell";
import type { Candle } from "@/lib/api/market";
import { formatCompact, formatPrice } from "@/lib/format/number";

/** Open, high, low, close and volume of the candle under the pointer, else the newest. */
export function Legend({ candle }: { candle: Cell<Candle | null> }) {
  const shown = useCell(candle);
  if (!shown) return null;
  const tone = toneOf(directionOf(shown.close - shown.open));
  const values = [
    ["O", "Open", formatPrice(shown.open)],
    ["H", "High", formatPrice(shown.high)],
    ["L", "Low", formatPrice(shown.low)],
    ["C", "Close", formatPrice(shown.close)],
    ["V", "Volume", formatCompact(shown.volume)],
  ] as const;
  return (
    <dl className="pointer-events-none absolute top-1.5 right-17 left-3 z-10 flex flex-wrap gap-x-2 text-[11px] sm:gap-x-2.5 sm:text-xs tabular-nums">
      {values.map(([letter, name, value]) => (
        <div key={letter} className="flex gap-1">
          <dt className="text-muted">
            <span aria-hidden="true">{letter}</span>
            <span className="sr-only">{name}</span>
          </dt>
          <dd className={clsx(letter === "V" ? "text-ink" : tone)}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
