from headrace.openai.encoder import Gathering, Streaming
from headrace.wire.events import Failure


def test_a_stream_tells_failures_and_shows_that_it_lives() -> None:
    assert (Streaming.in_band, Streaming.heartbeat) == (True, b": keep-alive\n")


def test_a_document_has_nothing_to_send_before_its_end() -> None:
    assert (Gathering.in_band, Gathering.heartbeat) == (False, b"")
    assert Gathering().failure(Failure("internal", "")) == b""


def test_neither_has_a_place_for_a_header_or_a_footer() -> None:
    for encoder in (Streaming(), Gathering()):
        assert (encoder.header("x"), encoder.footer("x")) == (b"", b"")
