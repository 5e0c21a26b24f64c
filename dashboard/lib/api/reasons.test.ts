import { describe, expect, it } from "vitest";
import type { StatusEvent } from "./events";
import { whyEmpty } from "./reasons";
import { status } from "./testing";

const LIVE = { phase: "live", sinceMs: 0 } as const;

function says(changes: Partial<StatusEvent>): StatusEvent {
  return status(0, changes).data as StatusEvent;
}

describe("whyEmpty", () => {
  it.each([
    ["No connection to the API", { phase: "retrying", sinceMs: 0 } as const, says({})],
    ["Connecting", { phase: "connecting", sinceMs: 0 } as const, null],
    ["The stream is down", LIVE, says({ kinesis: { state: "down", behind_ms: null } })],
    [
      "The market is closed",
      LIVE,
      says({ market: { state: "closed", session_start: null, session_end: null } }),
    ],
    ["No bars yet", LIVE, says({})],
  ])("says %s", (title, connection, answer) => {
    const reason = whyEmpty("bars", connection, answer);
    expect(reason.title).toBe(title);
    expect(reason.hint).not.toBe("");
  });
});
