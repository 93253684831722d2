"""What every client is asked to do, and what comes back, whichever client it is.

A case is a script for the model of `scripted_model`; a program runs all cases that its client knows and prints what the
client made of each, in these words:

    text, reasoning     joined
    finish              the reason, as the client tells it
    calls               id, name and arguments of each call, in order
    usage               tokens of the prompt, and of the answers
    error               the class that was raised, or `kind` of it
"""

from typing import Any

from scripted_messages import ZOO

END: list[Any] = [{"finish": "stop"}, {"usage": [3, 2]}]
WEATHER = {
    "name": "weather",
    "description": "of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ONE_CALL = [
    {"call": 0, "id": "call_a", "name": "weather"},
    {"call": 0, "arguments": '{"city": '},
    {"call": 0, "arguments": '"Óbidos"}'},
]
TWO_CALLS = [
    *ONE_CALL,
    {"call": 1, "id": "call_b", "name": "weather", "arguments": '{"city": "Paris"}'},
]
CALLS_END: list[Any] = [{"finish": "tool_calls"}, {"usage": [3, 2]}]

SCRIPTS: dict[str, list[Any]] = {
    "text": ["Hel", "lo, ", "world", *END],
    "whole": ["Hel", "lo, ", "world", *END],  # not streamed
    "unicode": [*ZOO, *END],
    "length": ["cut", {"finish": "length"}, {"usage": [3, 1]}],
    "reasoning": [{"reasoning": "Let me see."}, "Yes.", *END],
    "call": [*ONE_CALL, *CALLS_END],
    "calls": ["Two: ", *TWO_CALLS, *CALLS_END],
    "function": [*ONE_CALL, *CALLS_END],  # the form of old
    "choices": [
        "a",
        {"text": "b", "index": 1},
        {"finish": "stop"},
        {"finish": "stop", "index": 1},
        {"usage": [3, 2]},
    ],
    "broken": ["so ", "far", {"fail": 503}],  # in the middle
    "crashed": ["so ", "far", {"crash": True}],
    "status 429": [{"fail": 429, "retry_after": 2}],
    "status 500": [{"crash": True}],
    "status 503": [{"fail": 503}],
    "status 400": [{"too_long": True}],
    "left": ["first", {"wait": True}],
    "left early": [{"wait": True}],
}

TEXT = {"text": "Hello, world", "finish": "stop"}
CALL = ["call_a", "weather", '{"city": "Óbidos"}']
OTHER_CALL = ["call_b", "weather", '{"city": "Paris"}']

MADE: dict[str, dict[str, Any]] = {
    "text": {**TEXT, "usage": [3, 2]},
    "whole": {**TEXT, "usage": [3, 2]},
    "unicode": {"text": ZOO, "finish": "stop"},
    "length": {"text": "cut", "finish": "length"},
    "reasoning": {"text": "Yes.", "reasoning": "Let me see.", "finish": "stop"},
    "call": {"text": "", "calls": [CALL], "finish": "tool_calls"},
    "calls": {"text": "Two: ", "calls": [CALL, OTHER_CALL], "finish": "tool_calls"},
    "function": {"calls": [["", "weather", '{"city": "Óbidos"}']], "finish": "function_call"},
    "choices": {"texts": ["a", "b"]},
    "fifty": {"texts": [f"{number} of fifty" for number in range(50)]},
}

REFUSALS = [  # the class that the packages named `openai` raise, the status and the code
    ("status 400", "BadRequestError", 400, "context_length_exceeded"),
    ("status 429", "RateLimitError", 429, "upstream_failed"),
    ("status 500", "InternalServerError", 500, "internal"),
    ("status 503", "InternalServerError", 503, "upstream_failed"),
    ("unauthorized", "AuthenticationError", 401, "invalid_api_key"),
    ("unknown model", "NotFoundError", 404, "model_not_found"),
    ("no messages", "BadRequestError", 400, "invalid_value"),
]
