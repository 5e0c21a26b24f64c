/** What stands where there is no value. Never "0" or "NaN". */
export const ABSENT = "–";

const MINUS = "−";

function fixed(digits: number): Intl.NumberFormat {
  return new Intl.NumberFormat("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

const CENTS = fixed(2);
const SUB_DOLLAR = fixed(4);
const TO_SUB_CENT = new Intl.NumberFormat("en-US", {
  minimumFractionDigits: 2,
  maximumFractionDigits: 4,
});
const WHOLE = fixed(0);
const ONE = fixed(1);
const FOUR = fixed(4);
const SIX = fixed(6);
const COMPACT = new Intl.NumberFormat("en-US", {
  notation: "compact",
  maximumFractionDigits: 1,
});

type Maybe = number | null | undefined;

function shown(value: Maybe, format: Intl.NumberFormat): string {
  return value == null ? ABSENT : format.format(value).replace("-", MINUS);
}

/** USD. Under one dollar the tick is 0.0001 (SEC rule 612), so four digits. */
export function formatPrice(usd: Maybe): string {
  return shown(usd, usd != null && Math.abs(usd) < 1 ? SUB_DOLLAR : CENTS);
}

/** USD between two prices: cents, and what is finer only where it is. */
export function formatSpread(usd: Maybe): string {
  return shown(usd, TO_SUB_CENT);
}

export function formatCount(count: Maybe): string {
  return shown(count, WHOLE);
}

/** 12,345,678 as "12.3M": for where a column is narrow. */
export function formatCompact(count: Maybe): string {
  return shown(count, COMPACT);
}

export function formatBps(bps: Maybe): string {
  return shown(bps, ONE);
}

/** Standard deviation in USD, of prices that move by cents. */
export function formatDeviation(usd: Maybe): string {
  return shown(usd, FOUR);
}

/** Variance in USD squared. */
export function formatVariance(usd2: Maybe): string {
  return shown(usd2, SIX);
}

function signed(value: number, format: Intl.NumberFormat): string {
  const text = format.format(Math.abs(value));
  if (Number(text) === 0) return text;
  return (value > 0 ? "+" : MINUS) + text;
}

/** USD with its sign; zero has none. */
export function formatChange(usd: Maybe): string {
  return usd == null ? ABSENT : signed(usd, CENTS);
}

export function formatPercent(percent: Maybe): string {
  return percent == null ? ABSENT : `${signed(percent, CENTS)}%`;
}
