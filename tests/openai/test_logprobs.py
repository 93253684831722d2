import math

from headrace.engines.events import Alternative, TokenLogprob
from headrace.openai.logprobs import LegacyLogprobs, logprobs_content

HELLO = TokenLogprob("Hel", b"Hel", -0.5, (Alternative("Hel", b"Hel", -0.5), Alternative("\ufffd", b"\xe2\x82", -2.0)))
LO = TokenLogprob("lo", b"lo", -math.inf)


def test_chat_tells_each_token_with_its_bytes_and_the_likeliest_ones() -> None:
    assert logprobs_content([HELLO]) == [
        {
            "token": "Hel",
            "logprob": -0.5,
            "bytes": [72, 101, 108],
            "top_logprobs": [
                {"token": "Hel", "logprob": -0.5, "bytes": [72, 101, 108]},
                {"token": "\ufffd", "logprob": -2.0, "bytes": [226, 130]},
            ],
        }
    ]


def test_a_probability_of_zero_has_a_number_that_json_can_say() -> None:
    assert logprobs_content([LO])[0]["logprob"] == -9999.0


def test_completions_tell_columns() -> None:
    assert LegacyLogprobs().columns([HELLO, LO]) == {
        "tokens": ["Hel", "lo"],
        "token_logprobs": [-0.5, -9999.0],
        "top_logprobs": [{"Hel": -0.5, "\ufffd": -2.0}, {}],
        "text_offset": [0, 3],
    }


def test_the_offsets_go_on_from_chunk_to_chunk() -> None:
    logprobs = LegacyLogprobs()
    logprobs.columns([HELLO])
    assert logprobs.columns([LO, HELLO])["text_offset"] == [3, 5]
