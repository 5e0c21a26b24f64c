import type { StatusEvent } from "./events";
import type { Connection } from "./market";

export interface Reason {
  title: string;
  /** What the reader can do, or what will happen without them. */
  hint: string;
}

/** Say why nothing is shown, from the nearest cause to the farthest. */
export function whyEmpty(
  what: "trades" | "bars" | "statistics",
  connection: Connection,
  status: StatusEvent | null,
): Reason {
  if (connection.phase === "retrying") {
    return {
      title: "No connection to the API",
      hint: "This page keeps trying. If the pipeline was stopped, start it with: make run",
    };
  }
  if (!status) {
    return { title: "Connecting", hint: "Asking the API for its newest prices." };
  }
  if (status.kinesis.state === "down") {
    return {
      title: "The stream is down",
      hint: "Kinesis does not answer and the API keeps trying. See what runs with: make status",
    };
  }
  if (status.market.state === "closed") {
    return {
      title: "The market is closed",
      hint: `There are no ${what} to show yet. They come when the session opens.`,
    };
  }
  return { title: `No ${what} yet`, hint: START[what] };
}

const START = {
  trades: "The pipeline starts. First prices come within a few seconds.",
  bars: "The pipeline starts. The session's bars come after about 30 s.",
  statistics: "The pipeline starts. First statistics come after about 30 s.",
};
