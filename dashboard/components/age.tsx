"use client";

import { clsx } from "clsx";
import { useCell } from "@/lib/api/cell";
import { useMarket } from "@/lib/api/provider";
import { useNow } from "@/lib/clock";
import { formatAge } from "@/lib/format/age";

interface AgeProps {
  /** Server wall time at which the value had age 0, ms. */
  bornMs: number | null;
  staleAfterS: number;
  className?: string;
}

/**
 * How old a value is; it ticks by itself and says "stale" when the value should have
 * been replaced. While the market is closed nothing is expected, so nothing is stale.
 */
export function Age({ bornMs, staleAfterS, className }: AgeProps) {
  const market = useMarket();
  const isClosed = useCell(market.status)?.market.state === "closed";
  const isTicking = useNow() !== null;
  const age_s =
    bornMs === null || !isTicking ? null : (market.serverNow() - bornMs) / 1_000;
  const isStale = age_s !== null && age_s > staleAfterS && !isClosed;
  return (
    <span
      data-age-s={age_s?.toFixed(1)}
      data-stale={isStale || undefined}
      className={clsx(
        "whitespace-nowrap tabular-nums",
        isStale ? "font-medium text-warn" : "text-muted",
        className,
      )}
    >
      {isStale && "stale "}
      {formatAge(age_s)}
    </span>
  );
}
