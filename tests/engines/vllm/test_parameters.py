import pytest
from vllm_stand_in import RequestOutputKind, SamplingParams, StandIn, StructuredOutputsParams

from headrace.engines.generation import Generation, JsonObject, JsonSchema, Message, ResponseFormat, Sampling
from headrace.engines.vllm.parameters import parameters

GREEDY = Sampling()


def asked(sampling: Sampling = GREEDY, response_format: ResponseFormat | None = None) -> SamplingParams:
    generation = Generation([Message("user", "x")], sampling=sampling, response_format=response_format)
    made: SamplingParams = parameters(generation, StandIn().library(), show_marks=False)
    return made


def test_without_a_wish_it_is_greedy_and_gives_deltas() -> None:
    assert asked() == SamplingParams(
        output_kind=RequestOutputKind.DELTA,
        temperature=0.0,
        max_tokens=256,
        stop=[],
        spaces_between_special_tokens=False,
    )


def test_every_wish_is_passed_on() -> None:
    sampling = Sampling(
        temperature=0.5,
        top_p=0.9,
        seed=3,
        max_tokens=None,
        stop=("a", "b"),
        top_k=4,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        logit_bias={7: -100.0},
        logprobs=2,
    )
    assert asked(sampling) == SamplingParams(
        output_kind=RequestOutputKind.DELTA,
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        seed=3,
        max_tokens=None,
        stop=["a", "b"],
        presence_penalty=0.1,
        frequency_penalty=0.2,
        logit_bias={7: -100.0},
        logprobs=2,
        spaces_between_special_tokens=False,
    )


@pytest.mark.parametrize(
    ("response_format", "structured"),
    [
        pytest.param(None, None, id="any text"),
        pytest.param(JsonObject(), StructuredOutputsParams(json_object=True), id="an object"),
        pytest.param(JsonSchema("s", {"type": "null"}), StructuredOutputsParams(json={"type": "null"}), id="a schema"),
    ],
)
def test_the_form_of_the_answer_is_passed_on(
    response_format: ResponseFormat | None, structured: StructuredOutputsParams | None
) -> None:
    assert asked(response_format=response_format).structured_outputs == structured


def test_marks_are_shown_where_they_are_needed() -> None:
    made = parameters(Generation(prompt="x"), StandIn().library(), show_marks=True)
    assert made.skip_special_tokens is False
