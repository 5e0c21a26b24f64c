"use client";

import { clsx } from "clsx";
import { Skeleton } from "@/components/ui/skeleton";
import { useCell } from "@/lib/api/cell";
import type { StatusEvent } from "@/lib/api/events";
import { useMarket } from "@/lib/api/provider";
import { formatLatency } from "@/lib/format/age";
import { formatCount } from "@/lib/format/number";

/** Above this the newest price is late by what the project promises, seconds. */
const LATE_S = 1;

/** From where to the page a tick's way is timed: from the event where its clock is ours. */
function measured({ latency }: StatusEvent) {
  const { event_p50_s, event_p95_s, tail_p50_s, tail_p95_s } = latency;
  return event_p95_s == null
    ? { p50_s: tail_p50_s, p95_s: tail_p95_s, way: "from the producer to the API" }
    : { p50_s: event_p50_s, p95_s: event_p95_s, way: "from the event to the API" };
}

export function Latency() {
  const status = useCell(useMarket().status);
  if (!status) return <Skeleton className="h-4 w-36" />;
  const { p50_s, p95_s, way } = measured(status);
  const isLate = p95_s != null && p95_s > LATE_S;
  return (
    <dl
      title={`Latency of a tick ${way}, last 60 s`}
      className="flex items-center gap-x-3 text-xs whitespace-nowrap tabular-nums before:hidden before:text-muted before:content-['Latency'] lg:before:inline"
    >
      <Figure name="p50" hint={`Median latency ${way}`} text={formatLatency(p50_s)} />
      <Figure
        name="p95"
        hint={`Latency of the slowest twentieth ${way}`}
        text={formatLatency(p95_s)}
        isLate={isLate}
      />
      <div className="hidden gap-1.5 xl:flex">
        <dt className="sr-only">Rate</dt>
        <dd className="text-ink">
          {formatCount(status.rates.messages_per_s)}{" "}
          <span className="text-muted">messages/s</span>
        </dd>
      </div>
    </dl>
  );
}

interface FigureProps {
  name: string;
  hint: string;
  text: string;
  isLate?: boolean;
}

function Figure({ name, hint, text, isLate = false }: FigureProps) {
  return (
    <div className="flex gap-1.5">
      <dt className="text-muted">
        <span aria-hidden="true">{name}</span>
        <span className="sr-only">{hint}</span>
      </dt>
      <dd className={clsx("font-medium", isLate ? "text-warn" : "text-ink")}>
        {text}
        {isLate && <span className="sr-only"> (late)</span>}
      </dd>
    </div>
  );
}
