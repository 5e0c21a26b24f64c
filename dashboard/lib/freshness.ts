/** A tile whose value is older says "stale". Seconds. */
export const QUOTE_STALE_S = 15;
/** The lake's own latency is within 5 s; thrice that is no longer normal. */
export const STATS_STALE_S = 15;
