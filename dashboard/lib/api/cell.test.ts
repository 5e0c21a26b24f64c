import { describe, expect, it, vi } from "vitest";
import { Cell } from "./cell";

const frame = () => new Promise(requestAnimationFrame);

describe("Cell", () => {
  it("tells of many changes once per frame, with the newest value", async () => {
    const cell = new Cell(0);
    const seen: number[] = [];
    cell.subscribe(() => seen.push(cell.get()));
    for (let value = 1; value <= 1_000; value++) cell.set(value);
    expect(seen).toEqual([]);
    await frame();
    expect(seen).toEqual([1_000]);
  });

  it("says nothing when nothing changed, or to whom has left", async () => {
    const cell = new Cell("same");
    const listener = vi.fn();
    const leave = cell.subscribe(listener);
    cell.set("same");
    await frame();
    cell.set("other");
    leave();
    await frame();
    expect(listener).not.toHaveBeenCalled();
  });
});
