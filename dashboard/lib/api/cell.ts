import { useSyncExternalStore } from "react";

const changed = new Set<{ notify: () => void }>();

function flush() {
  const cells = [...changed];
  changed.clear();
  for (const cell of cells) cell.notify();
}

/**
 * One value that components and the chart listen to.
 *
 * However often it is set, its listeners hear of it once per animation frame, and
 * all cells of a frame together, so React renders once. A hidden page has no frames:
 * what is set meanwhile waits as one value, not as a queue.
 */
export class Cell<T> {
  #value: T;
  readonly #listeners = new Set<() => void>();

  constructor(initial: T) {
    this.#value = initial;
  }

  readonly get = (): T => this.#value;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    if (changed.size === 0) requestAnimationFrame(flush);
    changed.add(this);
  }

  notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** One cell per key, made when it is first asked for. */
export class CellFamily<T> {
  readonly #cells = new Map<string, Cell<T>>();
  readonly #initial: T;

  constructor(initial: T) {
    this.#initial = initial;
  }

  at(key: string): Cell<T> {
    let cell = this.#cells.get(key);
    if (!cell) {
      cell = new Cell(this.#initial);
      this.#cells.set(key, cell);
    }
    return cell;
  }

  all(): Iterable<Cell<T>> {
    return this.#cells.values();
  }
}

export function useCell<T>(cell: Cell<T>): T {
  return useSyncExternalStore(cell.subscribe, cell.get, cell.get);
}
