import { clsx } from "clsx";

/** Holds the place of a value that comes, at the value's size. */
export function Skeleton({ className }: { className?: string }) {
  return (
    <span
      aria-hidden="true"
      className={clsx(
        "inline-block h-3 rounded bg-raised motion-safe:animate-pulse",
        className,
      )}
    />
  );
}
