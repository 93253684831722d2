"""The example `speak`: a real synthesiser over HTTP and over a WebSocket."""

import ast
import http.client
import importlib.util
import io
import itertools
import json
import os
import statistics
import struct
import subprocess
import time
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conversation import RATE, Samples, alike, conversation
from served import REPOSITORY, Serve, Served
from websockets.exceptions import ConnectionClosedError

EXAMPLE = "examples/speak/service.py"
SHORT = "It is raining. Take a coat."
LONG = "This is a long text, which is said until somebody stops it. " * 40
TEXTS = (
    "It is raining.",
    "The president said that the government will change the law.",
    "One, two, three, four!",
    "She sells sea shells by the sea shore.",
    "Where is the station? It is behind the house.",
    "No.",
)


@pytest.fixture(scope="module")
def speaker() -> Iterator[Served]:
    """One server for all tests of this file that need nothing special."""
    served = Served("run", EXAMPLE, "--port", "0").ready()
    try:
        yield served
        served.assert_every_stream_ended()
    finally:
        served.stop()
    assert "Traceback" not in "".join(served.output)


@pytest.fixture
def watch(serve: Serve) -> Serve:
    """Starts a server that tells what its generators do."""
    folder = os.pathsep.join([str(REPOSITORY / "examples"), os.environ.get("PYTHONPATH", "")])
    return lambda *flags, **_: serve("tests/browser/watched.py", *flags, environment={"PYTHONPATH": folder})


def wav(served: Served, text: str, **arguments: str) -> bytes:
    status, headers, body = served.post("/speak", {"text": text, **arguments}, accept="*/*")
    assert (status, headers["content-type"]) == (200, "audio/wav")
    return body


def samples_of(body: bytes) -> Samples:
    """The samples of a WAV file that did not know its sizes."""
    assert struct.unpack_from("<4xI32xI", body) == (0xFFFFFFFF, 0xFFFFFFFF)
    head = bytearray(body)
    struct.pack_into("<I", head, 4, len(body) - 8)
    struct.pack_into("<I", head, 40, len(body) - 44)
    with wave.open(io.BytesIO(head)) as reader:
        assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (RATE, 1, 2)
        return np.frombuffer(reader.readframes(reader.getnframes()), np.int16)


def spoken(served: Served, text: str) -> Samples:
    """A text, said alone in a conversation."""
    with conversation(served) as talk:
        talk.say(text)
        return talk.heard()


# -- over HTTP


def test_the_wav_file_is_a_sound_and_not_silence(speaker: Served) -> None:
    samples = samples_of(wav(speaker, SHORT))
    assert 1.0 < len(samples) / RATE < 3.0
    assert np.sqrt(np.mean(samples.astype(float) ** 2)) > 1000


def test_the_wav_file_begins_before_it_is_complete(speaker: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", speaker.port, timeout=10)
    arguments = json.dumps({"text": LONG, "pace": "realtime"})
    connection.request("POST", "/speak", arguments, {"content-type": "application/json"})
    response = connection.getresponse()
    assert len(response.read(4096)) == 4096
    assert speaker.metric("headrace_streams_live") == 1
    response.close()
    connection.close()


def test_a_browser_reads_the_wav_file_with_get(speaker: Served) -> None:
    status, headers, body = speaker.request("GET", "/speak?text=It+is+raining.")
    assert (status, headers["content-type"]) == (200, "audio/wav")
    assert len(samples_of(body)) > 10_000


@pytest.mark.parametrize(
    ("text", "status", "code", "says"),
    [
        ("", 422, "nothing_to_say", "send words or numbers"),
        ("... ?!", 422, "nothing_to_say", "send words or numbers"),
        ("a" * 10_001, 422, "invalid_arguments", "10000"),
    ],
    ids=["empty", "without a word", "too long"],
)
def test_a_text_that_cannot_be_said_is_refused(speaker: Served, text: str, status: int, code: str, says: str) -> None:
    answered, _, body = speaker.post("/speak", {"text": text}, accept="*/*")
    problem = json.loads(body)
    assert (answered, problem["code"]) == (status, code)
    assert says in body.decode()


def test_a_voice_that_fails_at_once_is_a_status(watch: Serve) -> None:
    status, _, body = watch().post("/speak", {"text": "I am dumb."}, accept="*/*")
    assert (status, json.loads(body)["code"]) == (500, "voice_failed")


def test_a_voice_that_fails_later_is_a_connection_that_is_cut(watch: Serve) -> None:
    text = "This voice will break before the text has come to its end."
    with pytest.raises(http.client.IncompleteRead) as cut:
        watch().post("/speak", {"text": text}, accept="*/*")
    assert len(cut.value.partial) == 44 + 20 * 2048


def test_a_zero_character_does_not_end_the_text(speaker: Served) -> None:
    assert alike(samples_of(wav(speaker, "It is\x00 raining.")), samples_of(wav(speaker, "It is raining.")))


def test_a_voice_that_is_not_there_is_told_at_the_start(launch: Serve) -> None:
    served = launch("run", EXAMPLE, "--port", "0", "--set", "Speaker.voice=nobody")
    assert served.exit_code() == 3
    assert "espeak-ng has no voice 'nobody'; try en-us" in "".join(served.output)


# -- in a conversation


def test_a_conversation_begins_with_a_header(speaker: Served) -> None:
    with conversation(speaker) as talk:
        assert talk.header == {"sample_rate": 22050, "channels": 1, "encoding": "pcm_s16le"}


def test_a_conversation_ends_with_a_footer_and_an_end(speaker: Served) -> None:
    with conversation(speaker) as talk:
        talk.say("It is raining.")
        samples = len(talk.heard())
        talk.end()
        assert talk.document() == {"footer": {"texts": 1, "interrupted": 0, "samples": samples}}
        assert list(talk.document()) == ["end"]


def test_the_samples_of_a_conversation_are_those_of_the_wav_file(speaker: Served) -> None:
    assert alike(spoken(speaker, SHORT), samples_of(wav(speaker, SHORT)))


def test_texts_that_differ_are_not_alike(speaker: Served) -> None:
    sounds = [spoken(speaker, text) for text in TEXTS]
    assert not any(alike(one, other) for one, other in itertools.combinations(sounds, 2))


def test_conversations_at_the_same_time_do_not_mix_their_sounds(speaker: Served) -> None:
    alone = [spoken(speaker, text) for text in TEXTS]
    with ThreadPoolExecutor(24) as pool:
        together = list(pool.map(lambda text: spoken(speaker, text), TEXTS * 4))
    assert all(alike(one, other) for one, other in zip(together, alone * 4, strict=True))


def test_a_new_text_interrupts_the_one_that_is_spoken(speaker: Served) -> None:
    with conversation(speaker, "realtime") as talk:
        talk.say(LONG)
        assert talk.piece()
        talk.say("It is raining.")
        assert len(talk.heard()) < 5 * RATE
        assert alike(talk.heard(), spoken(speaker, "It is raining."))
        talk.end()
        assert talk.document()["footer"]["interrupted"] == 1


def test_the_empty_text_stops_within_300_ms(speaker: Served) -> None:
    with conversation(speaker, "realtime") as talk:
        talk.say(LONG)
        assert talk.piece()
        began = time.monotonic()
        talk.say("")
        talk.heard()
        assert time.monotonic() - began < 0.3
        assert talk.piece() == b""  # of the empty text, which has no sound


def test_texts_that_come_together_each_have_an_end(speaker: Served) -> None:
    with conversation(speaker) as talk:
        for text in (LONG, LONG, "It is raining."):
            talk.say(text)
        talk.heard()
        talk.heard()
        assert alike(talk.heard(), spoken(speaker, "It is raining."))


def test_a_client_that_says_no_more_hears_its_text_to_the_end(speaker: Served) -> None:
    with conversation(speaker) as talk:
        talk.say(SHORT)
        talk.end()
        assert alike(talk.heard(), spoken(speaker, SHORT))
        assert talk.document()["footer"]["interrupted"] == 0


def test_in_real_time_the_server_is_a_second_ahead_of_the_listener(speaker: Served) -> None:
    with conversation(speaker, "realtime") as talk:
        talk.say(f"{SHORT} And take the bus, if there is one.")
        began, received = time.monotonic(), 0
        for piece in iter(talk.piece, b""):
            received += len(piece) // 2
            assert received / RATE < time.monotonic() - began + 1.0 + 0.06  # and the piece that is being sent
    assert received / RATE - 1.1 < time.monotonic() - began < received / RATE


def test_a_text_that_is_too_long_is_told(speaker: Served) -> None:
    with conversation(speaker) as talk:
        talk.say("a" * 10_001)
        assert talk.document()["error"]["code"] == "invalid_arguments"
        with pytest.raises(ConnectionClosedError, match="1008"):
            talk.document()


def test_a_conversation_in_which_nobody_speaks_is_ended(serve: Serve) -> None:
    served = serve(EXAMPLE, "--set", "Speaker.idle=0.2")
    with conversation(served) as talk:
        assert talk.document() == {"footer": {"texts": 0, "interrupted": 0, "samples": 0}}
        assert list(talk.document()) == ["end"]


def test_a_client_that_leaves_stops_the_synthesis(watch: Serve) -> None:
    served = watch("--set", "Watched.slow=0.05")
    with conversation(served) as talk:
        talk.say(LONG)
        assert talk.piece()
        assert served.state()["saying"] == 1
        talk.leave()
        served.until(lambda: served.metric("headrace_streams_live") == 0, within=0.3)
        left = served.state()
        assert left["saying"] == 0
        time.sleep(0.2)
        assert served.state() == left


def test_a_synthesis_that_takes_long_keeps_nobody_else_waiting(watch: Serve) -> None:
    served = watch("--set", "Watched.slow=0.3")
    with conversation(served) as busy, conversation(served) as other:
        busy.say("It is raining.")
        waits = []
        for _ in range(11):
            began = time.monotonic()
            assert other.socket.ping().wait(5)
            waits.append(time.monotonic() - began)
        assert served.state()["saying"] == 1
        assert statistics.median(waits) < 0.05
        assert max(waits) < 0.3
        assert len(busy.heard()) > 10_000


# -- its text, its page and its own description


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("One\ntwo", ["One", "two"]),
        ("Of 3.5 metres", ["Of 3.5 metres"]),
        ("  One.  ", ["One."]),
        ("One. ... - !", ["One."]),
        ("", []),
        (" \n ", []),
        ("word " * 100, [("word " * 60).strip(), ("word " * 40).strip()]),
        ("a" * 301, ["a" * 300, "a"]),
        ("a\x00b\x1bc", ["a b c"]),
        ("Äpfel. 中文。", ["Äpfel.", "中文。"]),
    ],
)
def test_a_text_is_cut_into_sentences(text: str, expected: list[str]) -> None:
    spec = importlib.util.spec_from_file_location("sentences", REPOSITORY / "examples/speak/sentences.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.sentences(text) == expected


PAGE = sorted(path.name for path in (REPOSITORY / "examples/speak/page").iterdir() if path.name != "index.html")


@pytest.mark.parametrize("path", ["/", *(f"/{name}" for name in PAGE)])
def test_every_file_of_the_page_is_served_under_a_strict_policy(speaker: Served, path: str) -> None:
    status, headers, body = speaker.request("GET", path)
    assert (status, body) == (200, (REPOSITORY / f"examples/speak/page/{path.strip('/') or 'index.html'}").read_bytes())
    assert headers["x-content-type-options"] == "nosniff"
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "*" not in policy


@pytest.mark.parametrize(
    "path", ["/service.py", "/page/app.js", "/index.html", "/../service.py", "/%2e%2e/service.py", "//etc/passwd"]
)
def test_no_other_file_is_served(speaker: Served, path: str) -> None:
    assert speaker.request("GET", path)[0] == 404


def test_the_curl_lines_of_the_example_work(speaker: Served, tmp_path: Path) -> None:
    document = ast.get_docstring(ast.parse((REPOSITORY / EXAMPLE).read_text("utf-8"))) or ""
    lines = [line for line in document.splitlines() if line.startswith("curl ")]
    assert len(lines) == 2
    for line in lines:
        command = line.replace("localhost:8000", f"127.0.0.1:{speaker.port}")
        done = subprocess.run(command, shell=True, capture_output=True, timeout=30, cwd=tmp_path, check=True)
    assert done.stdout.startswith(b"RIFF")
    assert len(samples_of((tmp_path / "speech.wav").read_bytes())) > 10_000
