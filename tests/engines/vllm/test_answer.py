import pytest
from vllm_stand_in import Logprob, RequestOutput, Tokenizer, output

from headrace.engines.events import Alternative, EngineEvent, Finish, TextDelta, TokenLogprob, Usage
from headrace.engines.refusals import UpstreamFailed
from headrace.engines.transformers.vocabulary import CheckpointVocabulary
from headrace.engines.vllm.answer import Answer

VOCABULARY = CheckpointVocabulary(Tokenizer(None), {0})


def read(*outputs: RequestOutput, logprobs: int | None = None) -> list[EngineEvent]:
    answer = Answer(VOCABULARY, 5, logprobs)
    return [event for each in outputs for event in answer.read(each)]


def place(text: str, *others: str) -> dict[int, Logprob]:
    """The chosen one, and others that are each likelier than the one before."""
    return {ord(each): Logprob(-3.0 + at) for at, each in enumerate([text, *others])}


def test_an_answer_is_its_texts_and_its_end() -> None:
    assert read(output("He"), output("llo"), output("", "stop")) == [
        TextDelta("He"),
        TextDelta("llo"),
        Finish("stop"),
        Usage(5, 5),
    ]


def test_the_last_output_may_have_text() -> None:
    assert read(output("Hello", "stop", cached=3)) == [TextDelta("Hello"), Finish("stop"), Usage(5, 5, 3)]


def test_the_models_mark_of_the_end_is_not_counted() -> None:
    assert read(output("", "stop", tokens=[0]))[-1] == Usage(5, 0)


def test_tokens_cut_by_a_stop_string_are_counted_and_the_string_is_told() -> None:
    assert read(output("He", "stop", stop="l", tokens=[72, 101, 108])) == [
        TextDelta("He"),
        Finish("stop", stop="l"),
        Usage(5, 3),
    ]


def test_a_limit_ends_with_length_and_all_tokens_count() -> None:
    assert read(output("He", "length")) == [TextDelta("He"), Finish("length"), Usage(5, 2)]


@pytest.mark.parametrize("reason", ["abort", "error", "repetition"])
def test_an_answer_that_vllm_gave_up_is_no_answer(reason: str) -> None:
    with pytest.raises(UpstreamFailed, match=f"gave this answer up \\({reason}\\)") as caught:
        read(output("He", reason))
    assert (caught.value.status, caught.value.retryable) == (503, True)


def test_logprobs_come_with_their_text() -> None:
    assert read(output("H", logprobs=[place("H", "x")]), output("i", "length", logprobs=[place("i")]), logprobs=1)[
        :2
    ] == [
        TextDelta("H", logprobs=(TokenLogprob("H", b"H", -3.0, (Alternative("x", b"x", -2.0),)),)),
        TextDelta("i", logprobs=(TokenLogprob("i", b"i", -3.0, (Alternative("i", b"i", -3.0),)),)),
    ]


def test_only_so_many_alternatives_are_told_the_likeliest_first() -> None:
    (delta,) = read(output("H", logprobs=[place("H", "x", "y", "z")]), logprobs=2)
    assert isinstance(delta, TextDelta)
    assert [each.token for each in delta.logprobs[0].top] == ["z", "y"]


def test_without_alternatives_the_chosen_token_is_told_alone() -> None:
    assert read(output("H", logprobs=[place("H")]), logprobs=0) == [
        TextDelta("H", logprobs=(TokenLogprob("H", b"H", -3.0),))
    ]


def test_logprobs_wait_for_text_that_vllm_holds_back() -> None:
    first, second = read(
        output("", tokens=[72], logprobs=[place("H")]),
        output("Hi", tokens=[105], logprobs=[place("i")]),
        output("!", logprobs=[place("!")]),
        logprobs=0,
    )
    assert isinstance(first, TextDelta)
    assert isinstance(second, TextDelta)
    assert [(each.text, [token.token for token in each.logprobs]) for each in (first, second)] == [
        ("Hi", ["H", "i"]),
        ("!", ["!"]),
    ]


def test_the_logprobs_of_what_a_stop_string_takes_are_left_out() -> None:
    last = output("H", "stop", stop="i!", tokens=[72, 105, 33], logprobs=[place("H"), place("i"), place("!")])
    assert read(last, logprobs=0)[0] == TextDelta("H", logprobs=(TokenLogprob("H", b"H", -3.0),))


def test_a_token_without_text_is_told_all_the_same() -> None:
    last = output("", "length", tokens=[0], logprobs=[{0: Logprob(-0.5)}])
    assert read(last, logprobs=0)[0] == TextDelta("", logprobs=(TokenLogprob("", b"", -0.5),))


def test_the_logprob_of_the_end_is_left_out() -> None:
    last = output("H", "stop", logprobs=[place("H"), {0: Logprob(-0.5)}])
    assert read(last, logprobs=0)[0] == TextDelta("H", logprobs=(TokenLogprob("H", b"H", -3.0),))
