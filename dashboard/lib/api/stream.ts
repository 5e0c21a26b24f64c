import { type StreamEvent, TOPICS } from "./events";

/** The stream says something each second: this long without is a dead connection. */
export const SILENCE_MS = 8_000;
/** A page that nobody looks at gives its connection back: a browser has six per host. */
export const HIDDEN_MS = 60_000;
const BACKOFF_MS = [1_000, 2_000, 4_000, 8_000];

export interface StreamListener {
  onEvent: (event: StreamEvent) => void;
  onPhase: (phase: "connecting" | "live" | "retrying" | "paused") => void;
  /** Events were missed and will not be sent again: fetch what they changed. */
  onGap: () => void;
}

type Source = Pick<
  EventSource,
  "addEventListener" | "close" | "readyState" | "onerror"
>;

const CLOSED = 2;

/**
 * The one connection to `/api/v1/stream`.
 *
 * A broken connection is resumed by the browser itself, with `Last-Event-ID`: the
 * server sends what was missed, or `reset`. Where the browser gives up (an answer
 * that is no stream) or waits on a dead peer, a new connection is opened, after a
 * pause that grows to 8 s; it starts with a snapshot and has lost what came between.
 */
export class Stream {
  readonly #url: string;
  readonly #listener: StreamListener;
  readonly #open: (url: string) => Source;
  #source: Source | null = null;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #hidden: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  #missed = false;

  constructor(
    url: string,
    listener: StreamListener,
    open: (url: string) => Source = (address) => new EventSource(address),
  ) {
    this.#url = url;
    this.#listener = listener;
    this.#open = open;
  }

  start(): void {
    document.addEventListener("visibilitychange", this.#onVisibility);
    this.#connect();
  }

  stop(): void {
    document.removeEventListener("visibilitychange", this.#onVisibility);
    this.#disconnect();
  }

  #connect(): void {
    this.#disconnect();
    const source = this.#open(this.#url);
    this.#source = source;
    for (const topic of TOPICS) {
      source.addEventListener(topic, (message) => this.#onMessage(topic, message));
    }
    source.onerror = () => this.#onError(source);
    this.#expectNews();
  }

  #disconnect(): void {
    clearTimeout(this.#silence);
    clearTimeout(this.#retry);
    clearTimeout(this.#hidden);
    this.#source?.close();
    this.#source = null;
  }

  #reconnect(): void {
    this.#disconnect();
    this.#missed = true;
    this.#listener.onPhase("retrying");
    const pause = BACKOFF_MS[Math.min(this.#attempt, BACKOFF_MS.length - 1)];
    this.#attempt += 1;
    this.#retry = setTimeout(() => this.#connect(), pause);
  }

  #onError(source: Source): void {
    this.#listener.onPhase("retrying");
    // Only the browser's own retry carries Last-Event-ID: leave it alone while it tries.
    if (source.readyState === CLOSED) this.#reconnect();
    else this.#expectNews();
  }

  #onMessage(topic: StreamEvent["topic"], message: Event): void {
    let event: StreamEvent;
    try {
      event = { topic, data: JSON.parse((message as MessageEvent<string>).data) };
    } catch {
      // Half a line is a broken proxy, not a value: start over with a snapshot.
      return this.#reconnect();
    }
    this.#attempt = 0;
    this.#expectNews();
    this.#listener.onPhase("live");
    if (this.#missed || topic === "reset") this.#listener.onGap();
    this.#missed = false;
    this.#listener.onEvent(event);
  }

  #expectNews(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#reconnect(), SILENCE_MS);
  }

  readonly #onVisibility = (): void => {
    clearTimeout(this.#hidden);
    if (document.visibilityState === "hidden") {
      this.#hidden = setTimeout(() => this.#pause(), HIDDEN_MS);
    } else if (!this.#source) {
      this.#connect();
    }
  };

  #pause(): void {
    this.#disconnect();
    this.#missed = true;
    this.#listener.onPhase("paused");
  }
}
