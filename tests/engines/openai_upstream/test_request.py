"""Generations as bodies of requests, and what is learned from upstreams that refuse an option."""

from collections.abc import Mapping, Sequence
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
from headrace.engines.openai_upstream.failures import Complaint
from headrace.engines.openai_upstream.request import Accepted, Terms, body, path

ASK = (Message("user", "hi"),)
PLAIN = Sampling(temperature=1.0, max_tokens=None)
TOOL = Tool("look")
NO_OPTIONS = Complaint("Unrecognized request argument: stream_options", 400)
NEWER = Complaint(
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    400,
    code="unsupported_parameter",
    param="max_tokens",
)


def asked(generation: Generation, **accepted: Any) -> dict[str, Any]:
    return body(generation, "tiny", Accepted(**accepted))


def chat(*, messages: Sequence[Message] = ASK, sampling: Sampling = PLAIN, **more: Any) -> dict[str, Any]:
    """What is asked beside that which always is."""
    whole = asked(Generation(messages=messages, sampling=sampling, **more))
    always = {"model": "tiny", "stream": True, "stream_options": {"include_usage": True}}
    assert {name: whole.pop(name) for name in always} == always
    if messages is ASK:
        assert whole.pop("messages") == [{"role": "user", "content": "hi"}]
    return whole


def test_what_is_not_asked_for_is_not_sent() -> None:
    assert chat() == {}


@pytest.mark.parametrize(
    ("sampling", "sent"),
    [
        (Sampling(), {"temperature": 0.0, "max_tokens": 256}),
        (Sampling(temperature=0.5, top_p=0.9, max_tokens=7), {"temperature": 0.5, "top_p": 0.9, "max_tokens": 7}),
        (Sampling(1.0, seed=0, max_tokens=None), {"seed": 0}),
        (Sampling(1.0, top_k=40, max_tokens=None), {"top_k": 40}),
        (Sampling(1.0, stop=("\n", "."), max_tokens=None), {"stop": ["\n", "."]}),
        (Sampling(1.0, presence_penalty=0.5, max_tokens=None), {"presence_penalty": 0.5}),
        (Sampling(1.0, frequency_penalty=-0.5, max_tokens=None), {"frequency_penalty": -0.5}),
        (Sampling(1.0, logit_bias={7: -100.0}, max_tokens=None), {"logit_bias": {"7": -100.0}}),
        (Sampling(1.0, logprobs=0, max_tokens=None), {"logprobs": True}),
        (Sampling(1.0, logprobs=3, max_tokens=None), {"logprobs": True, "top_logprobs": 3}),
    ],
)  # fmt: skip
def test_sampling_is_told_by_the_names_of_the_api(sampling: Sampling, sent: Mapping[str, Any]) -> None:
    assert chat(sampling=sampling) == sent


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        (Message("system", "Be kind."), {"role": "system", "content": "Be kind."}),
        (Message("user", "hi", name="ann"), {"role": "user", "content": "hi", "name": "ann"}),
        (
            Message("assistant", "", tool_calls=(ToolCall("call_1", "look", '{"x": 1'),)),
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"x": 1'}}
                ],
            },
        ),
        (Message("tool", "42", tool_call_id="call_1"), {"role": "tool", "content": "42", "tool_call_id": "call_1"}),
        (Message("assistant", ""), {"role": "assistant", "content": ""}),
    ],
    ids=["system", "name", "calls", "result", "nothing"],
)
def test_messages_are_told_whole(message: Message, sent: Mapping[str, Any]) -> None:
    assert chat(messages=[message]) == {"messages": [sent]}


@pytest.mark.parametrize(
    ("more", "sent"),
    [
        ({"tools": [TOOL]}, {}),
        ({"tools": [TOOL], "tool_choice": "none"}, {"tool_choice": "none"}),
        ({"tools": [TOOL], "tool_choice": "required"}, {"tool_choice": "required"}),
        (
            {"tools": [TOOL], "tool_choice": NamedTool("look")},
            {"tool_choice": {"type": "function", "function": {"name": "look"}}},
        ),
        ({"tools": [TOOL], "parallel_tool_calls": False}, {"parallel_tool_calls": False}),
    ],
)
def test_tools_are_told(more: dict[str, Any], sent: Mapping[str, Any]) -> None:
    function = {"name": "look", "parameters": {"type": "object", "properties": {}}}
    assert chat(**more) == {"tools": [{"type": "function", "function": function}], **sent}


def test_without_tools_nothing_is_told_of_them() -> None:
    assert chat(tool_choice="none", parallel_tool_calls=False) == {}


def test_a_tool_is_told_whole() -> None:
    tool = Tool("look", "Looks.", {"type": "object"}, strict=True)
    function = {"name": "look", "description": "Looks.", "parameters": {"type": "object"}, "strict": True}
    assert chat(tools=[tool]) == {"tools": [{"type": "function", "function": function}]}


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        (JsonObject(), {"type": "json_object"}),
        (
            JsonSchema("point", {"type": "object"}, strict=True),
            {"type": "json_schema", "json_schema": {"name": "point", "schema": {"type": "object"}, "strict": True}},
        ),
    ],
)
def test_the_form_of_the_answer_is_told(wanted: JsonObject | JsonSchema, sent: Mapping[str, Any]) -> None:
    assert chat(response_format=wanted) == {"response_format": sent}


def test_several_answers_are_asked_for() -> None:
    assert chat(n=3) == {"n": 3}


@pytest.mark.parametrize(("prompt", "sent"), [("Once", "Once"), ((1, 2), [1, 2])])
def test_a_prompt_goes_to_the_other_path(prompt: Any, sent: Any) -> None:
    generation = Generation(prompt=prompt, sampling=Sampling(1.0, max_tokens=7, logprobs=3))
    assert path(generation) == "/completions"
    whole = asked(generation, limit="max_completion_tokens")
    assert (whole["prompt"], whole["max_tokens"], whole["logprobs"]) == (sent, 7, 3)
    assert not {"messages", "top_logprobs", "max_completion_tokens"} & set(whole)


def test_a_conversation_goes_to_its_path() -> None:
    assert path(Generation(messages=ASK)) == "/chat/completions"


def test_options_that_an_upstream_does_not_know_are_left_out_or_renamed() -> None:
    sent = asked(Generation(messages=ASK), usage=False, limit="max_completion_tokens")
    assert "stream_options" not in sent
    assert "max_tokens" not in sent
    assert sent["max_completion_tokens"] == 256


@pytest.mark.parametrize(
    ("complaint", "accepted"),
    [
        (NO_OPTIONS, Accepted(usage=False)),
        (Complaint('[{"loc": ["body", "stream_options"], "msg": "Extra inputs"}]', 422), Accepted(usage=False)),
        (Complaint("Extra inputs are not permitted", 400, param="stream_options.include_usage"), Accepted(usage=False)),
        (NEWER, Accepted(limit="max_completion_tokens")),
        (Complaint("max_tokens must be at least 1", 400, param="max_tokens"), None),
        (Complaint("messages must not be empty", 400, param="messages"), None),
        (Complaint("stream_options", 500), None),
    ],
)
def test_what_an_upstream_takes_is_learned_from_its_complaints(complaint: Complaint, accepted: Accepted | None) -> None:
    assert Accepted().without(complaint) == accepted


def test_a_complaint_about_what_was_not_sent_teaches_nothing() -> None:
    assert Accepted(usage=False).without(NO_OPTIONS) is None
    assert Accepted(limit="max_completion_tokens").without(NEWER) is None


def test_what_was_learned_holds_for_the_next_request() -> None:
    terms = Terms("tiny", {})
    assert terms.learn(NO_OPTIONS, terms.accepted)
    assert terms.learn(NEWER, terms.accepted)
    sent = terms.body(Generation(messages=ASK))
    assert "stream_options" not in sent
    assert "max_completion_tokens" in sent
    assert not terms.learn(NO_OPTIONS, terms.accepted)


def test_of_two_that_learn_at_the_same_time_both_ask_again() -> None:
    terms = Terms("tiny", {})
    before = terms.accepted
    assert terms.learn(NO_OPTIONS, before)
    assert terms.learn(NO_OPTIONS, before)
    assert terms.learn(NEWER, before)
    assert terms.accepted == Accepted(usage=False, limit="max_completion_tokens")


def test_more_members_stand_over_ours() -> None:
    sent = Terms("tiny", {"reasoning_effort": "low", "model": "other"}).body(Generation(messages=ASK))
    assert (sent["reasoning_effort"], sent["model"]) == ("low", "other")
