// The connector contract in JavaScript, by hand: one action, one host call, typed errors.

import { send } from "sluicegate:connector/fetch@0.1.0";
import { getRandomBytes } from "wasi:random/random@0.2.0";

const look = {
  id: "look",
  label: "Look",
  help: "Reads one page of the service, with a number drawn by chance and the time of day.",
  effect: "read",
  idempotency: { kind: "natural" },
  destinations: ["GET any"],
  connection: "optional",
  input: {
    type: "object",
    properties: {
      url: { type: "string", title: "Address", description: "Where to look; {base-url} stands for the service." },
    },
    required: ["url"],
    additionalProperties: false,
  },
  output: {
    type: "object",
    properties: {
      language: { type: "string", title: "Language" },
      found: { title: "What was found" },
      chance: { type: "number", title: "A number from 0 to 1" },
      now_ms: { type: "integer", title: "The time of day in milliseconds since 1970" },
    },
    required: ["language", "found", "chance", "now_ms"],
    additionalProperties: false,
  },
  sample: {
    input: { url: "{base-url}/status" },
    output: { language: "javascript", found: { ok: true }, chance: 0.5, now_ms: 1577836800000 },
  },
};

const description = {
  manifest_version: 1,
  id: "javascript",
  version: "0.1.0",
  label: "JavaScript",
  publisher: "Tests",
  license: "MIT OR Apache-2.0",
  support: { owner: "Tests", contact: "tests@example.com", policy: "none" },
  purpose: "Shows that a connector can be written in JavaScript.",
  data: "What the service answers.",
  connection: {
    base_url: { help: "Where the service lives." },
    auth: [{ scheme: "bearer", help: "Any token." }],
  },
  actions: [look],
};

export const manifest = {
  describe() {
    return JSON.stringify(description);
  },
};

export const actions = {
  invoke(operation, input) {
    if (operation !== look.id) throw failure("permanent", `there is no ${operation}`);
    const found = get(JSON.parse(input).url);
    return JSON.stringify({ language: "javascript", found, chance: chance(), now_ms: Date.now() });
  },
};

/** Math.random() would draw the same in every call: QuickJS took its seed at build time. */
function chance() {
  return getRandomBytes(4).reduce((sum, byte) => sum * 256 + byte, 0) / 2 ** 32;
}

function get(url) {
  const headers = [["accept", "application/json"]];
  const request = { method: "GET", url, headers, body: { tag: "empty" }, timeoutMs: null };
  let response;
  try {
    response = send(request);
  } catch (refused) {
    throw refusal(refused.payload);
  }
  const text = decodeUtf8(response.body);
  if (response.status === 200) return JSON.parse(text);
  throw byStatus(response, text);
}

/** QuickJS has no TextDecoder. */
function decodeUtf8(bytes) {
  const escaped = Array.from(bytes, (byte) => "%" + byte.toString(16).padStart(2, "0"));
  return decodeURIComponent(escaped.join(""));
}

/** What the host's refusal is to a flow. Its own record of a denial wins anyway. */
function refusal({ tag, val }) {
  switch (tag) {
    case "denied":
      return failure("permanent", `denied: ${val.rule}`);
    case "limit-exceeded":
      return failure("permanent", `more than ${val.limit} ${val.which}`);
    case "invalid-request":
      return failure("invalid-input", [{ path: "/url", expected: "an address", got: val }]);
    case "unreachable":
      return failure("transient", val);
    default:
      throw new Error(`the contract has no refusal ${tag}`);
  }
}

function byStatus({ status, headers }, message) {
  switch (status) {
    case 401:
      return failure("auth-expired");
    case 404:
      return failure("not-found", message);
    case 429: {
      const wait = headers.find(([name]) => name === "retry-after");
      return failure("rate-limited", wait && Number(wait[1]) * 1000);
    }
    default:
      return failure("remote", { status, message });
  }
}

function failure(tag, val) {
  return { tag, val };
}
