"""The connector contract in Python, by hand: one action, one host call, typed errors."""

import json
import random
import time

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import fetch, types

LOOK = {
    "id": "look",
    "label": "Look",
    "help": "Reads one page of the service, with a number drawn by chance and the time of day.",
    "effect": "read",
    "idempotency": {"kind": "natural"},
    "destinations": ["GET any"],
    "connection": "optional",
    "input": {
        "type": "object",
        "properties": {
            "url": {
                "type": "string",
                "title": "Address",
                "description": "Where to look; {base-url} stands for the service.",
            },
        },
        "required": ["url"],
        "additionalProperties": False,
    },
    "output": {
        "type": "object",
        "properties": {
            "language": {"type": "string", "title": "Language"},
            "found": {"title": "What was found"},
            "chance": {"type": "number", "title": "A number from 0 to 1"},
            "now_ms": {"type": "integer", "title": "The time of day in milliseconds since 1970"},
        },
        "required": ["language", "found", "chance", "now_ms"],
        "additionalProperties": False,
    },
    "sample": {
        "input": {"url": "{base-url}/status"},
        "output": {"language": "python", "found": {"ok": True}, "chance": 0.5, "now_ms": 1577836800000},
    },
}

DESCRIPTION = {
    "manifest_version": 1,
    "id": "python",
    "version": "0.1.0",
    "label": "Python",
    "publisher": "Tests",
    "license": "MIT OR Apache-2.0",
    "support": {"owner": "Tests", "contact": "tests@example.com", "policy": "none"},
    "purpose": "Shows that a connector can be written in Python.",
    "data": "What the service answers.",
    "connection": {
        "base_url": {"help": "Where the service lives."},
        "auth": [{"scheme": "bearer", "help": "Any token."}],
    },
    "actions": [LOOK],
}


class Manifest(exports.Manifest):
    def describe(self) -> str:
        return json.dumps(DESCRIPTION)


class Actions(exports.Actions):
    def invoke(self, operation: str, input: str) -> str:
        if operation != LOOK["id"]:
            raise Err(types.Error_Permanent(f"there is no {operation}"))
        found = get(json.loads(input)["url"])
        now_ms = time.time_ns() // 1_000_000
        return json.dumps({"language": "python", "found": found, "chance": random.random(), "now_ms": now_ms})


def get(url: str):
    headers = [("accept", "application/json")]
    try:
        response = fetch.send(fetch.Request("GET", url, headers, fetch.Body_Empty(), None))
    except Err as refused:
        raise Err(refusal(refused.value)) from None
    if response.status == 200:
        return json.loads(response.body)
    raise Err(by_status(response))


def refusal(refused: fetch.FetchError) -> types.Error:
    """What the host's refusal is to a flow. Its own record of a denial wins anyway."""
    match refused:
        case fetch.FetchError_Denied(denial):
            return types.Error_Permanent(f"denied: {denial.rule}")
        case fetch.FetchError_LimitExceeded(limit):
            return types.Error_Permanent(f"more than {limit.limit} {limit.which}")
        case fetch.FetchError_InvalidRequest(what):
            return types.Error_InvalidInput([types.FieldProblem("/url", "an address", what)])
        case fetch.FetchError_Unreachable(what):
            return types.Error_Transient(what)


def by_status(response: fetch.Response) -> types.Error:
    message = response.body.decode(errors="replace")
    match response.status:
        case 401:
            return types.Error_AuthExpired()
        case 404:
            return types.Error_NotFound(message)
        case 429:
            wait = dict(response.headers).get("retry-after")
            return types.Error_RateLimited(int(wait) * 1000 if wait else None)
        case status:
            return types.Error_Remote(types.RemoteAnswer(status, message))
