"""Text to speech, by the route and by the endpoint: real sound, clients that leave, and failures that are seen."""

import json
import statistics
import subprocess
import sys
import time
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from conversation import Samples, alike
from served import Served
from serving import serving
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

FOLDER = Path(__file__).parent
RAIN, COAT = "It is raining.", "Take a coat and an umbrella with you."
LONG = "This is a long text. " * 400
LONGEST = 10_000  # characters
SENTENCE = 0.1  # seconds that the voice takes for one


@pytest.fixture(scope="module")
def tts() -> Iterator[Served]:
    with serving("examples/seeds/bentoml_tts/flawed.py") as served:
        yield served


class Route:
    """The route of the FastAPI application: texts as they are, sound as it is."""

    path = "/ws"
    subprotocols: Sequence[Subprotocol] | None = None

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def say(self, text: str) -> None:
        self.socket.send(text)

    def document(self) -> dict[str, Any]:
        """The next message, which is none of sound."""
        document: dict[str, Any] = json.loads(self.socket.recv(timeout=20))
        return document

    def piece(self) -> bytes:
        """The next piece of sound; empty at the end of a text."""
        piece = self.socket.recv(timeout=20)
        assert isinstance(piece, bytes), piece
        return piece

    def heard(self) -> Samples:
        """The sound of one text."""
        return np.frombuffer(b"".join(iter(self.piece, b"")), np.int16)

    def closed(self) -> tuple[int | None, str]:
        """Reads until the server closes; code and reason."""
        with pytest.raises(ConnectionClosedError):
            self.heard()
        return self.socket.close_code, self.socket.close_reason or ""


class Endpoint(Route):
    """The endpoint, without a subprotocol: its header is the first message."""

    path = "/speak"

    def __init__(self, socket: ClientConnection) -> None:
        super().__init__(socket)
        self.header = self.document()["header"]


class Named(Endpoint):
    """The endpoint under `headrace.v1`."""

    subprotocols = (Subprotocol("headrace.v1"),)

    def say(self, text: str) -> None:
        self.socket.send(json.dumps({"item": text}))


KINDS = pytest.mark.parametrize("kind", [Route, Endpoint, Named])
Talk = TypeVar("Talk", bound=Route)


@contextmanager
def talking(kind: type[Talk], served: Served) -> Iterator[Talk]:
    """A connection whose client leaves without a word at the end of the block."""
    url = f"ws://127.0.0.1:{served.port}{kind.path}"
    with connect(url, proxy=None, subprotocols=kind.subprotocols) as socket:
        yield kind(socket)
        socket.close_socket()


@KINDS
def test_every_text_is_answered_with_its_own_sound(tts: Served, kind: type[Route]) -> None:
    with talking(kind, tts) as talk:
        sounds = []
        for text in (RAIN, COAT, RAIN):
            talk.say(text)
            sounds.append(talk.heard())
    rain, coat, again = sounds
    assert 10_000 < len(rain) < 60_000
    assert np.sqrt(np.mean(rain.astype(float) ** 2)) > 1000
    assert alike(rain, again)
    assert not alike(rain, coat)


@KINDS
def test_a_text_without_a_word_is_answered_with_silence(tts: Served, kind: type[Route]) -> None:
    with talking(kind, tts) as talk:
        talk.say("...")
        assert talk.piece() == b""


def test_the_route_and_the_endpoint_say_the_same(tts: Served) -> None:
    sounds = []
    for kind in (Route, Endpoint, Named):
        with talking(kind, tts) as talk:
            talk.say(RAIN)
            sounds.append(talk.heard())
    assert alike(sounds[0], sounds[1])
    assert alike(sounds[0], sounds[2])


@KINDS
def test_sound_arrives_while_the_rest_is_made(tts: Served, kind: type[Route]) -> None:
    before = tts.state()["said"]
    with talking(kind, tts) as talk:
        talk.say(LONG[:LONGEST])
        assert talk.piece()
        assert tts.state()["said"] - before < 10


@KINDS
def test_two_clients_are_answered_at_the_same_time(tts: Served, kind: type[Route]) -> None:
    with talking(kind, tts) as busy, talking(kind, tts) as other:
        busy.say(LONG[:LONGEST])
        assert busy.piece()
        other.say(RAIN)
        assert len(other.heard()) > 10_000
        assert busy.piece()


@KINDS
def test_a_synthesis_keeps_nobody_else_waiting(tts: Served, kind: type[Route]) -> None:
    with talking(kind, tts) as busy, talking(kind, tts) as other:
        busy.say(LONG[:LONGEST])
        assert busy.piece()
        waits = []
        for _ in range(11):
            began = time.monotonic()
            assert other.socket.ping().wait(20)
            waits.append(time.monotonic() - began)
    assert statistics.median(waits) < SENTENCE / 2


@pytest.mark.parametrize("kind", [Endpoint, Named])
def test_the_endpoint_says_what_its_sound_is(tts: Served, kind: type[Endpoint]) -> None:
    with talking(kind, tts) as talk:
        assert talk.header == {"sample_rate": 22050, "channels": 1, "encoding": "pcm_s16le"}


def test_the_endpoint_says_when_the_last_text_has_been_said(tts: Served) -> None:
    with talking(Named, tts) as talk:
        talk.say(RAIN)
        talk.socket.send(json.dumps({"end": {}}))
        assert len(talk.heard()) > 10_000
        assert list(talk.document()) == ["end"]


@KINDS
def test_a_client_that_leaves_stops_the_synthesis(tts: Served, kind: type[Route]) -> None:
    gone = tts.metric("headrace_streams_total", 'end="client_gone"')
    with talking(kind, tts) as talk:
        talk.say(LONG[:LONGEST])
        assert talk.piece()
    tts.until(lambda: tts.metric("headrace_streams_live") == 0, within=1.0)
    assert tts.metric("headrace_streams_total", 'end="client_gone"') == gone + 1
    left = tts.state()["said"]
    with talking(kind, tts) as talk:
        talk.say(RAIN)
        talk.heard()
    assert tts.state()["said"] - left <= 2  # this sentence, and one that was being made


@pytest.mark.parametrize("kind", [Route, Endpoint])
@pytest.mark.parametrize(("text", "pieces"), [("It is broken.", 0), ("It is raining. It is broken.", 5)])
def test_a_voice_that_fails_closes_the_connection_and_says_so(
    tts: Served, kind: type[Route], text: str, pieces: int
) -> None:
    with talking(kind, tts) as talk:
        talk.say(text)
        assert [bool(talk.piece()) for _ in range(pieces)] == [True] * pieces
        assert talk.closed() == (1011, "internal: The service failed; the reason is in its log.")
    tts.line_with("RuntimeError: the secret is 4711")


def test_a_failure_of_the_endpoint_is_told_in_a_message_too(tts: Served) -> None:
    with talking(Named, tts) as talk:
        talk.say("It is broken.")
        assert talk.document()["error"]["code"] == "internal"
        assert talk.closed()[0] == 1011
    tts.line_with("RuntimeError: the secret is 4711")


@pytest.mark.parametrize("kind", [Route, Endpoint])
def test_a_text_that_is_too_long_is_refused_with_the_reason(tts: Served, kind: type[Route]) -> None:
    with talking(kind, tts) as talk:
        talk.say("a" * (LONGEST + 1))
        code, reason = talk.closed()
    assert code == 1011
    assert reason.startswith("text_too_long: the text has 10001 characters")


@pytest.mark.parametrize("kind", [Route, Endpoint])
def test_a_binary_message_is_refused(tts: Served, kind: type[Route]) -> None:
    with talking(kind, tts) as talk:
        talk.socket.send(b"It is raining.")
        code, reason = talk.closed()
    assert code == 1003
    assert reason.startswith("unsupported_media_type: a ")


def client(served: Served, text: str, file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "client.py"), text, str(file), f"ws://127.0.0.1:{served.port}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_client_saves_the_sound(tts: Served, tmp_path: Path) -> None:
    file = tmp_path / "speech.wav"
    done = client(tts, RAIN, file)
    assert (done.returncode, done.stderr) == (0, "")
    with wave.open(str(file)) as reader, talking(Route, tts) as talk:
        assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (22050, 1, 2)
        talk.say(RAIN)
        assert alike(np.frombuffer(reader.readframes(reader.getnframes()), np.int16), talk.heard())


def test_the_client_tells_a_failure(tts: Served, tmp_path: Path) -> None:
    done = client(tts, "It is broken.", tmp_path / "speech.wav")
    assert done.returncode == 1
    assert done.stderr.startswith("the voice has broken off")


def test_the_client_tells_that_nobody_is_there(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "client.py"), RAIN, str(tmp_path / "speech.wav"), "ws://127.0.0.1:9"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("the voice has broken off, or is not there")
