import dataclasses
from typing import Any

import pytest

from headrace.engines.generation import (
    Generation,
    JsonObject,
    JsonSchema,
    Message,
    NamedTool,
    Sampling,
    Tool,
    ToolCall,
)


def test_a_generation_is_one_greedy_answer_unless_it_says_otherwise() -> None:
    generation = Generation(prompt="a")
    assert generation.sampling == Sampling(temperature=0.0, top_p=1.0, seed=None, max_tokens=256, stop=())
    assert (generation.n, generation.tools, generation.tool_choice) == (1, (), "auto")


def test_a_tool_has_no_parameters_unless_it_says_otherwise() -> None:
    one, other = Tool("look"), Tool("listen")
    assert one.parameters == {"type": "object", "properties": {}}
    assert one.parameters is not other.parameters


@pytest.mark.parametrize(
    "value",
    [
        Message("user", "a"),
        ToolCall("call_a", "look", "{}"),
        Tool("look"),
        NamedTool("look"),
        JsonSchema("answer", {}),
        Sampling(),
        Generation(),
    ],
)
def test_what_is_asked_for_does_not_change(value: Any) -> None:
    field = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, "other")


def test_equal_requests_are_equal() -> None:
    assert Generation(messages=[Message("user", "a")], response_format=JsonObject()) == Generation(
        messages=[Message("user", "a")], response_format=JsonObject()
    )
