import { cleanup, configure } from "@testing-library/react";
import { afterEach } from "vitest";

// A deadline, not a pause: a busy machine takes longer.
configure({ asyncUtilTimeout: 5_000 });

afterEach(cleanup);
