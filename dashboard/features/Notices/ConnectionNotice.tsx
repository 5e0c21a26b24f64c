"use client";

import { WifiOff } from "lucide-react";
import { useCell } from "@/lib/api/cell";
import { useMarket } from "@/lib/api/provider";
import { useNow } from "@/lib/clock";
import { formatTime } from "@/lib/format/time";

/** A shorter break mends itself before anybody has read about it. */
const WORTH_SAYING_MS = 2_500;

/** Says that the page shows the past, since when, and what to do. Covers, never pushes. */
export function ConnectionNotice() {
  const { phase, sinceMs } = useCell(useMarket().connection);
  const now = useNow();
  const isSaid =
    phase === "retrying" && now !== null && now - sinceMs > WORTH_SAYING_MS;
  return (
    <div
      role="alert"
      className="pointer-events-none fixed inset-x-3 bottom-3 z-50 flex justify-center"
    >
      {isSaid && (
        <div className="pointer-events-auto flex max-w-xl items-start gap-3 rounded-lg border border-warn bg-panel px-4 py-3 text-sm shadow-lg">
          <WifiOff aria-hidden="true" className="mt-0.5 size-4 shrink-0 text-warn" />
          <p className="text-muted">
            <strong className="font-semibold text-ink">
              No connection to the API since {formatTime(sinceMs, "UTC")} UTC.
            </strong>{" "}
            What you see is from then. The page keeps trying and catches up by itself;
            if the pipeline was stopped, start it with{" "}
            <code className="text-ink">make run</code>.
          </p>
        </div>
      )}
    </div>
  );
}
