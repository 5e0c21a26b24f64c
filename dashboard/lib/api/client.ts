import createClient from "openapi-fetch";
import type { Problem } from "./events";
import type { paths } from "./schema";

/** An answer that was not 2xx, as RFC 9457 tells it: what, and what to do. */
export class ApiError extends Error {
  readonly status: number;
  readonly hint: string | null;

  constructor(status: number, problem: Partial<Problem>) {
    super(problem.detail ?? problem.title ?? `The API answered ${status}`);
    this.name = "ApiError";
    this.status = status;
    this.hint = problem.hint ?? null;
  }
}

// The page is served by the API itself: same host, no base URL, no CORS. A relative
// URL is resolved here because Request wants a whole one outside a browser.
const baseUrl = typeof location === "undefined" ? "http://localhost" : location.origin;

export const api = createClient<paths>({
  baseUrl,
  // Looked up at each call, so that a test can put its own server in between.
  fetch: (request) => globalThis.fetch(request),
});

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of a 2xx answer. Raises `ApiError` for others. */
export function body<T>({ data, error, response }: Answer<T>): T {
  if (!response.ok || data === undefined) {
    throw new ApiError(response.status, asProblem(error));
  }
  return data;
}

function asProblem(error: unknown): Partial<Problem> {
  return typeof error === "object" && error !== null ? error : {};
}
