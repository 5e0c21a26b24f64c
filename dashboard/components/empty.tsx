"use client";

import { CircleAlert, Hourglass } from "lucide-react";
import { useCell } from "@/lib/api/cell";
import { ApiError } from "@/lib/api/client";
import { useMarket } from "@/lib/api/provider";
import { whyEmpty } from "@/lib/api/reasons";
import { Button } from "./ui/button";

interface EmptyProps {
  what: "trades" | "bars" | "statistics";
  /** What the API itself says of an empty answer. */
  hint?: string | null | undefined;
  /** A failed query, and how to try it again. */
  error?: Error | null;
  retry?: () => void;
}

/** Stands where data will be, and says why it is not there yet. */
export function Empty({ what, hint, error = null, retry }: EmptyProps) {
  const market = useMarket();
  const connection = useCell(market.connection);
  const status = useCell(market.status);
  const isFailure = error !== null && connection.phase !== "retrying";
  const Icon = isFailure ? CircleAlert : Hourglass;
  const guess = whyEmpty(what, connection, status);
  const isKnown = connection.phase === "live" && hint != null;
  const reason = isFailure ? asReason(error) : isKnown ? { ...guess, hint } : guess;
  return (
    <div
      role="status"
      className="absolute inset-0 flex flex-col items-center justify-center gap-1.5 p-6 text-center"
    >
      <Icon aria-hidden="true" className="size-5 text-muted" />
      <p className="text-sm font-medium text-ink">{reason.title}</p>
      <p className="max-w-80 text-sm text-balance text-muted">{reason.hint}</p>
      {isFailure && retry && (
        <Button size="small" className="mt-2" onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}

function asReason(error: Error) {
  const hint = error instanceof ApiError ? error.hint : null;
  return { title: error.message, hint: hint ?? "The page tries again by itself." };
}
