"""What the tests told this program, and how it answers them. Needs the standard library alone."""

import json
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable
from typing import Any

TRIES = 5

told: dict[str, Any] = json.load(sys.stdin)
URL: str = told["url"]
BASE = URL + "/v1"
MODEL = "scripted"
TOOLS = [{"type": "function", "function": told["weather"]}]


def messages(case: str) -> list[dict[str, str]]:
    """A conversation whose last message is the script of a case."""
    return [{"role": "user", "content": json.dumps(told["scripts"][case])}]


def state() -> dict[str, Any]:
    """What the server's model does."""
    with urllib.request.urlopen(URL + "/state", timeout=10) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def wait_for(holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Asks until it holds."""
    until = time.monotonic() + 10
    while not holds(now := state()):
        assert time.monotonic() < until, now
        time.sleep(0.002)
    return now


def freed(closed: int, left_at: float) -> float:
    """Seconds from leaving to the end of the generation, when one more than `closed` were closed."""
    seconds: float = wait_for(lambda now: bool(now["closed"] == closed + 1 and now["running"] == 0))["closed_at"]
    return seconds - left_at


def attempt(case: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a case gave, or what it raised."""
    try:
        return case()
    except Exception as error:
        return raised(error)


def raised(error: Exception) -> dict[str, Any]:
    """What a client raised, as far as it says what."""
    traceback.print_exc()
    names = ("status_code", "code", "param", "request_id")
    return {"error": type(error).__name__, **{name: getattr(error, name, None) for name in names}, "says": str(error)}


def answer(results: dict[str, dict[str, Any]]) -> None:
    """The last line that the program prints."""
    print(json.dumps(results))
