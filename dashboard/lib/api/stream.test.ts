import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HIDDEN_MS, SILENCE_MS, Stream } from "./stream";

/** A connection that the test is the server of. */
class FakeSource extends EventTarget {
  readyState = 0;
  onerror: (() => void) | null = null;
  isClosed = false;

  close() {
    this.isClosed = true;
  }

  send(topic: string, data: unknown) {
    const text = typeof data === "string" ? data : JSON.stringify(data);
    this.dispatchEvent(new MessageEvent(topic, { data: text }));
  }

  /** The browser lost the peer and retries by itself, or has given up. */
  fail(readyState: 0 | 2) {
    this.readyState = readyState;
    this.onerror?.();
  }
}

function setVisibility(state: DocumentVisibilityState) {
  vi.spyOn(document, "visibilityState", "get").mockReturnValue(state);
  document.dispatchEvent(new Event("visibilitychange"));
}

describe("Stream", () => {
  const sources: FakeSource[] = [];
  const listener = { onEvent: vi.fn(), onPhase: vi.fn(), onGap: vi.fn() };
  let stream: Stream;

  function newest(): FakeSource {
    const source = sources.at(-1);
    if (!source) throw new Error("nothing was opened");
    return source;
  }

  beforeEach(() => {
    vi.useFakeTimers();
    vi.clearAllMocks();
    sources.length = 0;
    stream = new Stream("/api/v1/stream", listener, () => {
      const source = new FakeSource();
      sources.push(source);
      return source as unknown as EventSource;
    });
    stream.start();
  });

  afterEach(() => {
    stream.stop();
    vi.useRealTimers();
  });

  it("hands on what comes, and is live from then on", () => {
    newest().send("status", { clients: 1 });
    expect(listener.onEvent).toHaveBeenCalledWith({
      topic: "status",
      data: { clients: 1 },
    });
    expect(listener.onPhase).toHaveBeenLastCalledWith("live");
    expect(listener.onGap).not.toHaveBeenCalled();
  });

  it("leaves a broken connection to the browser, which resumes it without a gap", () => {
    newest().send("status", {});
    for (let second = 0; second < 20; second++) {
      newest().fail(0);
      vi.advanceTimersByTime(1_000);
    }
    expect(listener.onPhase).toHaveBeenLastCalledWith("retrying");
    newest().send("ticker", {});
    expect(sources).toHaveLength(1);
    expect(listener.onPhase).toHaveBeenLastCalledWith("live");
    expect(listener.onGap).not.toHaveBeenCalled();
  });

  it("opens a new one where the browser gave up, with growing pauses", () => {
    newest().fail(2);
    vi.advanceTimersByTime(1_000);
    expect(sources).toHaveLength(2);
    newest().fail(2);
    vi.advanceTimersByTime(1_000);
    expect(sources).toHaveLength(2);
    vi.advanceTimersByTime(1_000);
    expect(sources).toHaveLength(3);
  });

  it("says once that a new connection has missed something, before its first event", () => {
    newest().fail(2);
    vi.advanceTimersByTime(1_000);
    newest().send("status", {});
    newest().send("ticker", {});
    expect(listener.onGap).toHaveBeenCalledOnce();
    const [gap] = listener.onGap.mock.invocationCallOrder;
    const [event] = listener.onEvent.mock.invocationCallOrder;
    expect(gap).toBeLessThan(event ?? 0);
  });

  it("takes a reset for a gap", () => {
    newest().send("reset", { reason: "new_epoch" });
    expect(listener.onGap).toHaveBeenCalledOnce();
  });

  it("does not wait on a peer that says nothing", () => {
    newest().send("status", {});
    vi.advanceTimersByTime(SILENCE_MS);
    expect(newest().isClosed).toBe(true);
    expect(listener.onPhase).toHaveBeenLastCalledWith("retrying");
    vi.advanceTimersByTime(1_000);
    expect(sources).toHaveLength(2);
  });

  it("starts over after half a line", () => {
    newest().send("ticker", '{"symbols": {');
    vi.advanceTimersByTime(1_000);
    expect(sources).toHaveLength(2);
    expect(listener.onEvent).not.toHaveBeenCalled();
  });

  it("gives its connection back while nobody looks", () => {
    newest().send("status", {});
    setVisibility("hidden");
    vi.advanceTimersByTime(HIDDEN_MS / 10);
    newest().send("status", {});
    expect(newest().isClosed).toBe(false);
    // The server goes on talking: only the hidden page ends it.
    for (let second = 0; second < HIDDEN_MS / 1_000; second++) {
      vi.advanceTimersByTime(1_000);
      newest().send("status", {});
    }
    expect(newest().isClosed).toBe(true);

    setVisibility("visible");
    expect(sources).toHaveLength(2);
    newest().send("status", {});
    expect(listener.onGap).toHaveBeenCalledOnce();
  });
});
