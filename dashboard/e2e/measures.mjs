// What is measured of a page that runs: accessibility, layout shift, memory.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as pause } from "node:timers/promises";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core"), "utf8");
const MEMORY_SAMPLE_MS = 20_000;

/** The serious and critical violations, as "rule: first element". */
export async function axeViolations(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 120)}`);
}

export async function hasHorizontalScroll(page) {
  return page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
}

/** Live JavaScript heap after a collection, in MB, at each sample. */
async function heapSamples(page, minutes) {
  const session = await page.context().newCDPSession(page);
  const samples = [];
  const start = performance.now();
  while (performance.now() - start < minutes * 60_000) {
    await pause(MEMORY_SAMPLE_MS);
    await session.send("HeapProfiler.collectGarbage");
    const { usedSize } = await session.send("Runtime.getHeapUsage");
    const minute = (performance.now() - start) / 60_000;
    samples.push({ minute, mb: usedSize / 1_000_000 });
  }
  return samples;
}

/** Least squares: MB per minute. */
function slope(samples) {
  const mean = (key) => samples.reduce((sum, s) => sum + s[key], 0) / samples.length;
  const [x, y] = [mean("minute"), mean("mb")];
  const covariance = samples.reduce((sum, s) => sum + (s.minute - x) * (s.mb - y), 0);
  const variance = samples.reduce((sum, s) => sum + (s.minute - x) ** 2, 0);
  return covariance / variance;
}

/** How the heap grows once the page has warmed up. */
export async function memory(page, { warmUpMinutes, minutes }) {
  await pause(warmUpMinutes * 60_000);
  const samples = await heapSamples(page, minutes);
  return {
    minutes,
    warm_up_minutes: warmUpMinutes,
    first_mb: round(samples[0].mb),
    last_mb: round(samples.at(-1).mb),
    mb_per_10_minutes: round(slope(samples) * 10),
  };
}

function round(value) {
  return Number(value.toFixed(3));
}
