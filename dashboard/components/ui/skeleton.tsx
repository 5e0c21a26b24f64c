import { clsx } from "clsx";

/**
 * Holds the place of a value that comes, at the value's size. It stands still: a page of
 * pulsing places keeps a processor busy that the pipeline starts on.
 */
export function Skeleton({ className }: { className?: string }) {
  return (
    <span
      aria-hidden="true"
      className={clsx("inline-block h-3 rounded bg-raised", className)}
    />
  );
}
