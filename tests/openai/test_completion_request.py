from typing import Any

import pytest
from pydantic import TypeAdapter

from headrace.engines.generation import Generation, Sampling
from headrace.errors import InvalidArguments
from headrace.openai.body import read_body
from headrace.openai.completion_request import CompletionRequest


def read(**members: Any) -> CompletionRequest:
    asked = {"model": "m", "prompt": "Once", **members}
    return read_body(CompletionRequest, TypeAdapter(dict[str, Any]).dump_json(asked))


def test_the_smallest_request_has_the_api_s_own_limit() -> None:
    assert read().generations(1.0) == [Generation(prompt="Once", sampling=Sampling(temperature=1.0, max_tokens=16))]


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("Once", ["Once"]),
        ("", [""]),
        (["Once", "Twice"], ["Once", "Twice"]),
        ([1, 2, 3], [[1, 2, 3]]),
        ([[1, 2], [3]], [[1, 2], [3]]),
        (["Once", [1]], ["Once", [1]]),
    ],
)
def test_prompts_are_texts_or_token_ids(prompt: Any, prompts: list[Any]) -> None:
    assert [each.prompt for each in read(prompt=prompt).generations(1.0)] == prompts


@pytest.mark.parametrize(
    ("members", "answers"),
    [({}, 1), ({"n": 3}, 3), ({"prompt": ["a", "b"], "n": 3}, 6), ({"prompt": ["a"] * 128}, 128)],
)
def test_each_prompt_has_its_answers(members: dict[str, Any], answers: int) -> None:
    assert read(**members).answers == answers
    assert sum(each.n for each in read(**members).generations(1.0)) == answers


@pytest.mark.parametrize(("given", "told"), [(None, None), (0, 0), (5, 5)])
def test_logprobs_are_told_where_they_were_asked_for(given: int | None, told: int | None) -> None:
    assert read(logprobs=given).generations(1.0)[0].sampling.logprobs == told


@pytest.mark.parametrize(
    "members",
    [{"echo": False}, {"suffix": None}, {"suffix": ""}, {"best_of": 1}, {"best_of": 2, "n": 2}, {"best_of": None}],
)
def test_what_changes_nothing_is_accepted(members: dict[str, Any]) -> None:
    assert len(read(**members).generations(1.0)) == 1


@pytest.mark.parametrize(
    ("members", "parameter"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": 3}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt[0]"),
        ({"prompt": ["a", 3]}, "prompt[1]"),
        ({"prompt": [1, "a"]}, "prompt[0]"),
        ({"prompt": [-1]}, "prompt[0]"),
        ({"prompt": [1.5]}, "prompt[0]"),
        ({"prompt": [[True]]}, "prompt[0]"),
        ({"prompt": ["a"] * 129}, "prompt"),
        ({"prompt": ["a"] * 100_000}, "prompt"),
        ({"prompt": [[1]] * 100_000}, "prompt"),
        ({"prompt": ["a"] * 100, "n": 2}, "n"),
        ({"logprobs": 6}, "logprobs"),
        ({"logprobs": True}, "logprobs"),
        ({"echo": True}, "echo"),
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"best_of": 4, "n": 2}, "best_of"),
    ],
)
def test_a_request_that_cannot_be_made_is_named(members: dict[str, Any], parameter: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        read(**members).generations(1.0)
    assert caught.value.message.startswith(f"{parameter}: ")
