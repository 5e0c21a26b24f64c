"use client";

import { clsx } from "clsx";
import { Skeleton } from "@/components/ui/skeleton";
import { useCell } from "@/lib/api/cell";
import type { MarketState } from "@/lib/api/events";
import { useMarket } from "@/lib/api/provider";
import { formatTime, toMs } from "@/lib/format/time";

const STATES: Record<MarketState, { label: string; title: string; tone: string }> = {
  open: { label: "Open", title: "The session is on", tone: "text-up" },
  closed: { label: "Closed", title: "No session now", tone: "text-muted" },
  simulated: {
    label: "Simulated",
    title: "Prices come from the simulator, not from a market",
    tone: "text-accent",
  },
  replay: {
    label: "Replay",
    title: "A recording plays; the clock is the recording's",
    tone: "text-accent",
  },
};

/** Which market this is, and the time on its clock. */
export function MarketClock() {
  const status = useCell(useMarket().status);
  if (!status) return <Skeleton className="h-4 w-52" />;
  const { label, title, tone } = STATES[status.market.state];
  const time = toMs(status.market_time ?? status.sent_time);
  return (
    <div className="flex items-center gap-2.5 text-xs whitespace-nowrap tabular-nums">
      <span
        title={title}
        className={clsx(
          "rounded-full border border-line px-2 py-0.5 font-medium",
          tone,
        )}
      >
        {label}
        <span className="sr-only">: {title}</span>
      </span>
      <time
        dateTime={status.market_time ?? status.sent_time}
        className="font-medium text-ink"
      >
        {formatTime(time, "UTC")} <span className="font-normal text-muted">UTC</span>
      </time>
      <span className="hidden text-muted sm:inline">
        {formatTime(time, "ET", "minute")} ET
      </span>
      {status.market.state === "replay" && (
        <span className="hidden text-muted lg:inline">
          {formatTime(time, "UTC", "day")}
        </span>
      )}
    </div>
  );
}
