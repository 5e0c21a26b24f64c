"use client";

import { clsx } from "clsx";
import { useCell } from "@/lib/api/cell";
import type { Connection } from "@/lib/api/market";
import { useMarket } from "@/lib/api/provider";

const PHASES: Record<Connection["phase"], { label: string; dot: string }> = {
  connecting: { label: "Connecting", dot: "bg-muted" },
  live: { label: "Live", dot: "bg-up" },
  retrying: { label: "Reconnecting", dot: "bg-warn motion-safe:animate-pulse" },
  paused: { label: "Paused", dot: "bg-muted" },
};

export function ConnectionState() {
  const { phase } = useCell(useMarket().connection);
  const { label, dot } = PHASES[phase];
  return (
    <p
      role="status"
      data-phase={phase}
      className="flex min-w-12 items-center justify-end gap-1.5 text-xs font-medium text-ink"
    >
      <span aria-hidden="true" className={clsx("size-2 rounded-full", dot)} />
      {label}
    </p>
  );
}
