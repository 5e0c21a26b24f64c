import { ABSENT } from "./number";

/**
 * An age as a person says it: "0.4 s", "12 s", "3 min", "5 h", "2 d".
 *
 * A clock that runs ahead gives a negative age; that is shown as 0.
 */
export function formatAge(seconds: number | null): string {
  if (seconds == null) return ABSENT;
  const age = Math.max(0, seconds);
  if (age < 9.95) return `${age.toFixed(1)} s`;
  if (age < 99.5) return `${Math.round(age)} s`;
  if (age < 5_970) return `${Math.round(age / 60)} min`;
  if (age < 172_800) return `${Math.round(age / 3_600)} h`;
  return `${Math.round(age / 86_400)} d`;
}

/** A latency: two digits under ten seconds, since the bounds are tenths. */
export function formatLatency(seconds: number | null | undefined): string {
  if (seconds == null) return ABSENT;
  return `${seconds < 9.995 ? seconds.toFixed(2) : Math.round(seconds)} s`;
}
