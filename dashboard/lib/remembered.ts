import { useCallback, useSyncExternalStore } from "react";

const CHANGED = "tickhouse:remembered";

function listen(listener: () => void) {
  const events = ["popstate", "storage", CHANGED];
  for (const name of events) window.addEventListener(name, listener);
  return () => {
    for (const name of events) window.removeEventListener(name, listener);
  };
}

function changed() {
  window.dispatchEvent(new Event(CHANGED));
}

/** A choice that belongs to the address: it can be shared, and Back undoes it. */
export function useSearchParam(name: string) {
  const value = useSyncExternalStore(
    listen,
    () => new URLSearchParams(location.search).get(name),
    () => null,
  );
  const set = useCallback(
    (next: string) => {
      const url = new URL(location.href);
      url.searchParams.set(name, next);
      history.pushState(null, "", url);
      changed();
    },
    [name],
  );
  return [value, set] as const;
}

/** A choice that belongs to the reader: the browser keeps it. */
export function usePreference<T extends string>(name: string, options: readonly T[]) {
  const key = `tickhouse.${name}`;
  const stored = useSyncExternalStore(
    listen,
    () => localStorage.getItem(key),
    () => null,
  );
  const value = options.find((option) => option === stored) ?? options[0];
  const set = useCallback(
    (next: T) => {
      localStorage.setItem(key, next);
      changed();
    },
    [key],
  );
  if (value === undefined) throw new Error(`preference ${name} has no options`);
  return [value, set] as const;
}
