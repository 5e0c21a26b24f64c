import { ABSENT } from "./number";

/** Time zones that the page offers: the tape's own clock and the exchange's. */
export type Zone = "UTC" | "ET";

const IANA: Record<Zone, string> = { UTC: "UTC", ET: "America/New_York" };

type Pattern = "time" | "minute" | "day" | "full";

const PARTS: Record<Pattern, Intl.DateTimeFormatOptions> = {
  time: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
  minute: { hour: "2-digit", minute: "2-digit" },
  day: { day: "2-digit", month: "short" },
  full: {
    day: "2-digit",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
  },
};

// One formatter costs about 50 µs to build and a chart asks for dozens a frame.
const built = new Map<string, Intl.DateTimeFormat>();

function formatter(pattern: Pattern, zone: Zone): Intl.DateTimeFormat {
  const key = pattern + zone;
  let format = built.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat("en-GB", {
      ...PARTS[pattern],
      hourCycle: "h23",
      timeZone: IANA[zone],
    });
    built.set(key, format);
  }
  return format;
}

/** Format a Unix time in milliseconds in the zone. */
export function formatTime(ms: number | null, zone: Zone, pattern: Pattern = "time") {
  return ms == null ? ABSENT : formatter(pattern, zone).format(ms);
}

/** Unix milliseconds of an RFC 3339 time; microseconds are cut. */
export function toMs(rfc3339: string): number {
  return Date.parse(rfc3339);
}
