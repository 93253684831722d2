"""What is counted, and where."""

from headrace.cli.load.answer import Answer, Failed
from headrace.cli.load.request import Request, address_of, ask_endpoint, ask_model
from headrace.cli.load.tally import Tally
from headrace.client.steps import Head

ENDPOINT = ask_endpoint(address_of("http://localhost:8000/write"), {}, None, None)
MODEL = ask_model(address_of("http://localhost:8000"), {}, None)


def answered(request: Request, *reads: tuple[float, bytes], end: float, **headers: str) -> Answer:
    answer = Answer(request, 10.0)
    told = {"content-type": "text/event-stream"} | {name.replace("_", "-"): value for name, value in headers.items()}
    answer.begin(Head(200, told, True))
    for now, data in reads:
        answer.body(data, now)
    answer.end(True, end)
    return answer


ITEM = b"data: 1\n\n"


def test_an_answer_is_counted_with_its_durations() -> None:
    tally = Tally()
    tally.add(answered(ENDPOINT, (12.0, ITEM), (13.0, ITEM + ITEM), end=18.0, server_timing="first_item;dur=500"))
    assert (tally.completed, tally.failed, tally.output_tokens, tally.counted, tally.unrecorded) == (1, 0, 3, 0, 0)
    assert (tally.ttft.mean, tally.tpot.mean, tally.itl.mean, tally.e2el.mean) == (2.0, 3.0, 0.5, 8.0)
    assert (tally.server.mean, tally.elsewhere.mean) == (0.5, 1.5)


def test_tokens_are_those_that_the_server_told() -> None:
    said = b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n'
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":11}}\n\n'
    tally = Tally()
    tally.add(answered(MODEL, (11.0, said), (12.0, usage), end=16.0))
    assert (tally.output_tokens, tally.input_tokens, tally.counted) == (11, 7, 1)
    assert (tally.tpot.mean, tally.itl.count) == (0.5, 0)


def test_one_item_has_no_time_per_further_one() -> None:
    tally = Tally()
    tally.add(answered(ENDPOINT, (11.0, ITEM), end=12.0))
    assert (tally.ttft.mean, tally.tpot.count, tally.itl.count, tally.server.count) == (1.0, 0, 0, 0)


def test_no_item_has_only_an_end() -> None:
    tally = Tally()
    tally.add(answered(ENDPOINT, end=12.0))
    assert (tally.completed, tally.ttft.count, tally.tpot.count, tally.e2el.mean) == (1, 0, 0, 2.0)


def test_the_server_cannot_have_taken_longer_than_the_whole() -> None:
    tally = Tally()
    tally.add(answered(ENDPOINT, (10.25, ITEM), end=12.0, server_timing="first_item;dur=300"))
    assert (tally.server.mean, tally.elsewhere.mean) == (0.25, 0.0)


def test_reads_that_stand_for_items_are_known() -> None:
    tally = Tally()
    tally.add(answered(ENDPOINT, (11.0, b"some text"), end=12.0, content_type="text/plain"))
    assert (tally.completed, tally.unrecorded) == (1, 1)


def test_a_failure_is_in_no_duration() -> None:
    answer = answered(ENDPOINT, (11.0, ITEM), (12.0, b"event: error\ndata: no\n\n"), end=13.0)
    tally = Tally()
    tally.add(answer)
    assert (tally.completed, tally.failed, tally.output_tokens) == (0, 1, 0)
    assert not any(each.count for each in (tally.ttft, tally.tpot, tally.itl, tally.e2el))
    assert (dict(tally.failures), tally.examples) == ({"error server_error": 1}, {"error server_error": "no"})


def test_the_first_failure_of_a_kind_is_its_example_and_kinds_are_bounded() -> None:
    tally = Tally()
    for number in range(30):
        tally.fail(Failed(f"error {number}", f"first {number}"))
        tally.fail(Failed(f"error {number}", f"second {number}"))
    assert len(tally.failures) == 21
    assert (tally.failures["error 19"], tally.failures["other"], tally.failed) == (2, 20, 60)
    assert (tally.examples["error 19"], tally.examples["other"]) == ("first 19", "first 20")
