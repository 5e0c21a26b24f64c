import { clsx } from "clsx";

type Direction = "up" | "down" | null;

const GLYPH = { up: "▲", down: "▼" } as const;
const WORD = { up: "up", down: "down" } as const;

export function directionOf(change: number | null | undefined): Direction {
  if (!change) return null;
  return change > 0 ? "up" : "down";
}

export function toneOf(direction: Direction): string {
  return direction ? { up: "text-up", down: "text-down" }[direction] : "text-muted";
}

/** Up or down by glyph and word, for whom colour says nothing. */
export function Glyph({ direction }: { direction: Direction }) {
  return (
    <span className={clsx("inline-block w-3 text-[0.65em]", toneOf(direction))}>
      {direction && (
        <>
          <span aria-hidden="true">{GLYPH[direction]}</span>
          <span className="sr-only">{WORD[direction]} </span>
        </>
      )}
    </span>
  );
}
