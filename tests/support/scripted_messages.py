"""What tests tell the model of `scripted_model` to do, and what they learn from it."""

import json
from typing import Any

from served import Served

SCRIPTED = "tests/support/scripted_model.py"  # in the repository

ZOO = 'é 水 \U0001f642 \U0001f469\u200d\U0001f680 e\u0301 \u05d0 \u2028 \u2029 \u0085 \\ "<b>&amp;</b>"\n\tend'


def script(*steps: Any) -> str:
    """A message with these steps."""
    return json.dumps(steps)


def whole(*steps: Any, finish: str = "stop", tokens: int = 2) -> str:
    """A script whose answer comes to its end."""
    return script(*steps, {"finish": finish}, {"usage": [3, tokens]})


def slowly(last: int) -> str:
    """The numbers from 1 on, 50 of them in a second."""
    return whole({"count": last, "pause": 0.02}, tokens=last)


THOUGHTFUL = whole({"reasoning": "Let me see."}, "Yes.")
SILENT = script({"wait": True})
BREAKING = script("so ", "far", {"fail": 502})


def leave_early(served: Served, path: str, request: Any) -> None:
    """Asks, leaves when the model is at work, and waits until it no longer is."""
    with served.send(path, request):
        served.until(lambda: served.state()["running"] == 1, within=5)
    served.until(lambda: served.state()["running"] == 0, within=1)


def heard(served: Served) -> list[str]:
    """The texts of the last conversation."""
    return [message["content"] for message in served.state()["last"]["messages"]]
