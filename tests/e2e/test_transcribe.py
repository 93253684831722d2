"""The example `transcribe`: real sound to a real recogniser, whose words come back while the sound still goes up."""

import http.client
import itertools
import json
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from process import cpu_seconds
from served import Serve, Served
from speech import Recording, speak

EXAMPLE = "examples/transcribe.py"
SENTENCES = (
    "We will meet you at the station in the morning.",
    "One two three four five six seven eight nine ten.",
    "The president said that the government will change the law.",
)
FIRST_PAUSE = 3.2  # seconds: the first sentence is over, the second has not begun
INSIDE_THE_SECOND = 4.5


class Upload:
    """A PUT whose body is sent piece by piece while its answer is read."""

    def __init__(self, served: Served) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
        self.connection.putrequest("PUT", "/transcribe")
        self.connection.putheader("transfer-encoding", "chunked")
        self.connection.endheaders()
        self.response: http.client.HTTPResponse | None = None

    def send(self, data: bytes) -> None:
        for start in range(0, len(data), 4000):
            piece = data[start : start + 4000]
            self.connection.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

    def finish(self) -> None:
        self.connection.send(b"0\r\n\r\n")

    def event(self) -> dict[str, Any]:
        """The next line of the answer."""
        self.response = self.response or self.connection.getresponse()
        event: dict[str, Any] = json.loads(self.response.readline())
        return event

    def __enter__(self) -> "Upload":
        return self

    def __exit__(self, *_: object) -> None:
        """Closes with a reset, whatever is still to be sent or read."""
        assert self.connection.sock is not None
        self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if self.response is not None:
            self.response.close()
        self.connection.close()


@pytest.fixture(scope="module")
def transcriber() -> Iterator[Served]:
    """One server for all tests of this file that need nothing special; it has two decoders."""
    served = Served("run", EXAMPLE, "--port", "0").ready()
    try:
        yield served
        served.assert_every_stream_ended()
    finally:
        served.stop()
    assert "Traceback" not in "".join(served.output)


@pytest.fixture(scope="module")
def recording() -> Recording:
    return speak(*SENTENCES)


@pytest.fixture(scope="module")
def answer(transcriber: Served, recording: Recording) -> list[dict[str, Any]]:
    """What is heard in the recording, sent whole."""
    return put(transcriber, recording.wav())[1]


@pytest.fixture(scope="module")
def short() -> Recording:
    """One sentence, for what does not depend on the words."""
    return speak("It was a long time ago.").at(16000)


@pytest.fixture(scope="module")
def short_answer(transcriber: Served, short: Recording) -> list[dict[str, Any]]:
    return put(transcriber, short.wav())[1]


def wav(sound: bytes, size: int | None = None, form: bytes | None = None, before: bytes = b"") -> bytes:
    """A WAV file by hand: mono at 16,000 with the sound's own size unless told."""
    form = struct.pack("<HHIIHH", 1, 1, 16000, 32000, 2, 16) if form is None else form
    size = len(sound) if size is None else size
    return (
        struct.pack("<4sI4s", b"RIFF", 0xFFFFFFFF, b"WAVE")
        + struct.pack("<4sI", b"fmt ", len(form))
        + form
        + before
        + struct.pack("<4sI", b"data", size)
        + sound
    )


def put(served: Served, body: bytes, accept: str = "*/*") -> tuple[int, list[dict[str, Any]]]:
    """The status, and the lines of the answer."""
    status, _, answer = served.request("PUT", "/transcribe", body, {"accept": accept})
    return status, [json.loads(line) for line in answer.splitlines()]


def wait_for_the_last(served: Served) -> None:
    """Waits until no stream runs."""
    served.until(lambda: served.metric("headrace_streams_live") == 0, within=1)


def segments(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line["item"] for line in lines if "item" in line]


def words(lines: list[dict[str, Any]]) -> list[str]:
    return " ".join(segment["text"] for segment in segments(lines)).split()


def said() -> list[str]:
    return " ".join(SENTENCES).lower().replace(".", "").split()


def word_errors(right: list[str], heard: list[str]) -> int:
    """Words put in, left out or exchanged, at least (Levenshtein's distance)."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(right, 1):
        before, row = row, [i]
        for j, other in enumerate(heard, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (word != other)))
    return row[-1]


# -- what is heard


def test_most_words_are_recognised(answer: list[dict[str, Any]]) -> None:
    assert answer[0] == {"header": {"sample_rate": 22050, "channels": 1}}
    assert word_errors(said(), words(answer)) <= 0.4 * len(said())


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 2)])
def test_most_words_are_recognised_at_other_rates_and_in_stereo(
    transcriber: Served, recording: Recording, rate: int, channels: int
) -> None:
    _, lines = put(transcriber, recording.at(rate).wav(channels))
    assert lines[0] == {"header": {"sample_rate": rate, "channels": channels}}
    assert word_errors(said(), words(lines)) <= 0.4 * len(said())


def test_segments_follow_each_other_within_the_sound(recording: Recording, answer: list[dict[str, Any]]) -> None:
    times = [time for segment in segments(answer) for time in (segment["start"], segment["end"])]
    assert len(times) == 6
    assert all(earlier < later for earlier, later in itertools.pairwise([0.0, *times, recording.seconds]))


def test_the_footer_has_the_duration_and_the_number_of_words(
    recording: Recording, answer: list[dict[str, Any]]
) -> None:
    assert answer[-2]["footer"] == {"duration": round(recording.seconds, 3), "words": len(words(answer))}
    assert answer[-1]["end"]["items"] == 3


def test_another_recording_gives_another_text(short_answer: list[dict[str, Any]]) -> None:
    assert words(short_answer) == ["it", "was", "a", "long", "time", "ago"]


def test_what_a_decoder_heard_before_does_not_change_what_it_hears(serve: Serve) -> None:
    served = serve(EXAMPLE, "--set", "Transcriber.decoders=1")
    loud = speak("Please open the window and close the door.").at(16000)
    quiet = Recording(loud.samples // 8, 16000)
    texts = [words(put(served, each.wav())[1]) for each in (loud, quiet, loud)]
    assert texts[0] == texts[2] != texts[1]


@pytest.mark.parametrize("size", [38400, 38900])
def test_a_sound_may_end_inside_a_word(transcriber: Served, short: Recording, size: int) -> None:
    _, lines = put(transcriber, wav(short.samples.tobytes()[:size]))
    assert words(lines)[:2] == ["it", "was"]
    assert lines[-2]["footer"]["duration"] == round(size / 32000, 3) >= lines[1]["item"]["end"]


def test_silence_has_no_words(transcriber: Served) -> None:
    status, lines = put(transcriber, Recording(speak("").samples, 22050).wav())
    assert (status, segments(lines), lines[-2]["footer"]["words"]) == (200, [], 0)


@pytest.mark.slow
def test_who_speaks_without_a_pause_gets_the_text_so_far(transcriber: Served, short: Recording) -> None:
    sentence = short.samples[10_000:34_000]  # without its pauses
    sound = b"".join([sentence.tobytes()] * 15)
    _, lines = put(transcriber, wav(sound))
    first, second = segments(lines)
    assert 19.5 < first["end"] - first["start"] < 20.5
    assert second["start"] == first["end"]


# -- while it goes up


def test_the_header_comes_as_soon_as_the_head_is_read(transcriber: Served) -> None:
    with Upload(transcriber) as upload:
        upload.send(wav(b"", 0xFFFFFFFF))
        assert upload.event() == {"header": {"sample_rate": 16000, "channels": 1}}


def test_a_segment_comes_while_the_rest_is_held_back(
    transcriber: Served, recording: Recording, answer: list[dict[str, Any]]
) -> None:
    body = recording.wav()
    held_back = 44 + 2 * int(FIRST_PAUSE * recording.rate)
    with Upload(transcriber) as upload:
        upload.send(body[:held_back])
        assert [upload.event(), upload.event()] == answer[:2]
        assert "item" in answer[1]
        upload.send(body[held_back:])
        upload.finish()
        assert [upload.event() for _ in answer[2:-1]] == answer[2:-1]
        assert list(upload.event()) == ["end"]


def test_other_requests_are_answered_while_the_decoder_works(transcriber: Served, recording: Recording) -> None:
    wait_for_the_last(transcriber)
    slowest = 0.0
    with Upload(transcriber) as upload:
        upload.send(recording.wav())
        upload.finish()
        upload.event()
        for _ in range(20):
            started = time.monotonic()
            transcriber.request("GET", "/livez")
            slowest = max(slowest, time.monotonic() - started)
        assert transcriber.metric("headrace_streams_live") == 1
    assert slowest < 0.25


def test_a_client_that_leaves_inside_a_word_leaves_a_decoder_as_new(
    transcriber: Served, recording: Recording, answer: list[dict[str, Any]]
) -> None:
    wait_for_the_last(transcriber)
    gone = transcriber.metric("headrace_streams_total", 'end="client_gone"')
    with Upload(transcriber) as upload:
        upload.send(recording.wav()[: 44 + 2 * int(INSIDE_THE_SECOND * recording.rate)])
        assert [upload.event(), upload.event()] == answer[:2]
        time.sleep(0.3)  # for the beginning of the second sentence
    wait_for_the_last(transcriber)
    assert transcriber.metric("headrace_streams_total", 'end="client_gone"') == gone + 1
    assert put(transcriber, recording.wav())[1][:-1] == answer[:-1]


def test_decoding_stops_when_the_client_leaves(transcriber: Served, recording: Recording) -> None:
    with Upload(transcriber) as upload:
        upload.send(recording.wav())  # a second of work
        upload.event()
    wait_for_the_last(transcriber)
    used = cpu_seconds(transcriber.process.pid)
    time.sleep(0.5)
    assert cpu_seconds(transcriber.process.pid) - used < 0.1


def test_who_finds_every_decoder_in_use_is_told_to_come_again(transcriber: Served, short: Recording) -> None:
    wait_for_the_last(transcriber)
    with Upload(transcriber) as one, Upload(transcriber) as other:
        for upload in (one, other):
            upload.send(wav(b"", 0xFFFFFFFF))
            upload.event()
        status, headers, body = transcriber.request("PUT", "/transcribe", short.wav())
    assert (status, headers["retry-after"], json.loads(body)["code"]) == (503, "1", "overloaded")
    wait_for_the_last(transcriber)
    assert put(transcriber, short.wav())[0] == 200


# -- the file

EXTENSIBLE = struct.pack("<HHIIHHHHIH14x", 0xFFFE, 1, 16000, 32000, 2, 16, 22, 16, 4, 1)
LIST = struct.pack("<4sI", b"LIST", 5) + b"INFO!" + b"\0"  # chunks begin at even places


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"size": 0xFFFFFFFF}, id="streamed"),
        pytest.param({"size": 0x7FFFF000}, id="streamed by sox"),
        pytest.param({"before": LIST}, id="a chunk before the sound"),
        pytest.param({"form": EXTENSIBLE}, id="extensible"),
    ],
)
def test_a_file_may_be_written_in_several_ways(
    transcriber: Served, short: Recording, short_answer: list[dict[str, Any]], options: dict[str, Any]
) -> None:
    status, lines = put(transcriber, wav(short.samples.tobytes(), **options))
    assert (status, lines[:-1]) == (200, short_answer[:-1])


def test_what_follows_the_sound_is_not_heard(
    transcriber: Served, short: Recording, short_answer: list[dict[str, Any]]
) -> None:
    rest = struct.pack("<4sI", b"LIST", 500_000) + bytes(range(250)) * 2000
    _, lines = put(transcriber, wav(short.samples.tobytes()) + rest)
    assert lines[:-1] == short_answer[:-1]


def form(encoding: int = 1, channels: int = 1, rate: int = 16000, bits: int = 16) -> bytes:
    frame = channels * bits // 8
    return struct.pack("<HHIIHH", encoding, channels, rate, frame * rate % 2**32, frame, bits)


@pytest.mark.parametrize(
    ("body", "status", "code", "says"),
    [
        (b"", 415, "not_wav", "the upload is empty"),
        (b"RIFF", 415, "not_wav", "begins with b'RIFF'"),
        (b"a text, not a sound", 415, "not_wav", "begins with b'a text, not '"),
        (wav(bytes(100))[:12], 422, "broken_wav", "ends inside the head"),
        (wav(bytes(100))[:30], 422, "broken_wav", "ends inside the head"),
        (wav(bytes(100))[:43], 422, "broken_wav", "ends inside the head"),
        (wav(b""), 422, "broken_wav", "has no sound in it"),
        (wav(bytes(101)), 422, "broken_wav", "the sound has 101 bytes and ends inside a sample of 2"),
        (wav(bytes(102), form=form(channels=2)), 422, "broken_wav", "ends inside a sample of 4"),
        (wav(bytes(100), form=b"\1\0\1\0"), 422, "broken_wav", "the format chunk has 4 bytes"),
        (wav(bytes(100)).replace(b"fmt ", b"junk"), 422, "broken_wav", "does not say what its samples are"),
        (wav(bytes(100), before=b"LIST\xff\xff\xff\x7f"), 422, "broken_wav", "does not begin within 1048576 bytes"),
        (wav(bytes(100), form=form(3, bits=32)), 415, "unsupported_sound", "float of 32 bits"),
        (wav(bytes(100), form=form(bits=24)), 415, "unsupported_sound", "PCM of 24 bits"),
        (wav(bytes(100), form=form(bits=8)), 415, "unsupported_sound", "PCM of 8 bits"),
        (wav(bytes(100), form=form(17, bits=4)), 415, "unsupported_sound", "encoding 0x0011 of 4 bits"),
        (wav(bytes(100), form=form(channels=6)), 415, "unsupported_sound", "6 channels"),
        (wav(bytes(100), form=form(channels=0)), 415, "unsupported_sound", "0 channels"),
        (wav(bytes(100), form=form(rate=0)), 415, "unsupported_sound", "0 samples a second"),
        (wav(bytes(100), form=form(rate=2**32 - 1)), 415, "unsupported_sound", "4294967295 samples a second"),
    ],
)
def test_what_cannot_be_heard_is_refused_with_a_reason(
    transcriber: Served, body: bytes, status: int, code: str, says: str
) -> None:
    answered, (document,) = put(transcriber, body)
    assert (answered, document["code"]) == (status, code)
    assert says in document["detail"]


@pytest.mark.parametrize(
    ("missing", "size", "says"),
    [(2, None, "the upload ends after 38398 of 38400 bytes"), (1, 0xFFFFFFFF, "ends inside a sample of 2")],
)
def test_a_sound_that_was_cut_fails_after_its_last_words(
    transcriber: Served, short: Recording, missing: int, size: int | None, says: str
) -> None:
    sound = short.samples[: int(1.2 * 16000)].tobytes()
    body = wav(sound, size)[:-missing]
    _, lines = put(transcriber, body)
    assert [next(iter(line)) for line in lines] == ["header", "item", "error"]
    assert lines[1]["item"]["text"].startswith("it was")
    assert lines[2]["error"]["code"] == "broken_wav"
    assert says in lines[2]["error"]["message"]
    assert put(transcriber, body, "application/json")[0] == 422


def test_a_streamed_file_without_any_sound_fails(transcriber: Served) -> None:
    _, lines = put(transcriber, wav(b"", 0xFFFFFFFF))
    assert lines[1]["error"]["message"].startswith("the WAV file has no sound in it")
