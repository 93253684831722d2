"""What a request is: its address, its headers, its options."""

from typing import Any

import pytest

from headrace.client.arguments import Upload
from headrace.client.request import Options, base_of, bearer, build
from headrace.client.timeouts import Timeout
from headrace.wire.accept import parse_accept
from headrace.wire.formats import choose
from headrace.wire.stream_types import stream_types


def made(endpoint: str = "write", options: Options | None = None, whole: bool = False, **arguments: Any) -> Any:
    return build("http://here/base", endpoint, arguments, options or Options(), whole=whole)


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("write", "http://here/base/write"),
        ("/v2/write", "http://here/base/v2/write"),
        ("v2/write", "http://here/base/v2/write"),
        ("/", "http://here/base/"),
    ],
)
def test_an_endpoint_is_a_name_or_a_path(endpoint: str, url: str) -> None:
    assert made(endpoint).url == url


@pytest.mark.parametrize("endpoint", ["", "http://else/write", "write?x=1", "a b", "//else/x", "x#y", "w\n"])
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="is no endpoint: write its name, 'write', or its path"):
        made(endpoint)


def test_the_query_stands_behind_the_path() -> None:
    assert made(data=b"x", n=1).url == "http://here/base/write?n=1"


@pytest.mark.parametrize(
    ("item", "chosen"), [(str, "frames"), (bytes, "frames"), (int, "frames"), (dict[str, int], "frames")]
)
def test_streams_are_asked_for_as_frames(item: Any, chosen: str) -> None:
    accept = made().headers["accept"]
    assert choose(accept, stream_types(item)).format.name == chosen


def test_other_formats_will_do_lines_before_events_before_anything() -> None:
    weights = {f"{each.type}/{each.subtype}": each.weight for each in parse_accept(made().headers["accept"])}
    assert weights == {
        "application/vnd.headrace.frames": 1.0,
        "application/x-ndjson": 0.9,
        "text/event-stream": 0.8,
        "*/*": 0.5,
    }


@pytest.mark.parametrize(
    ("item", "chosen"), [(str, "json"), (bytes, "bytes"), (int, "json")]
)  # fmt: skip
def test_calls_ask_for_bytes_as_they_are_and_json_for_all_others(item: Any, chosen: str) -> None:
    assert choose(made(whole=True).headers["accept"], stream_types(item)).format.name == chosen


def test_a_format_is_asked_for_by_name() -> None:
    assert made(options=Options(format="sse")).headers["accept"] == "text/event-stream"
    assert made(options=Options(format="ndjson")).headers["accept"] == "application/x-ndjson, application/jsonl"


def test_nothing_may_be_compressed() -> None:
    assert made().headers["accept-encoding"] == "identity"


def test_options_change_what_is_given_and_keep_the_rest() -> None:
    first = Options(headers={"a": "1", "b": "2"})
    second = first.changed({"B": "3", "C": "4"}, retries=0, timeout=None, format="sse")
    assert dict(second.headers) == {"a": "1", "b": "3", "c": "4"}
    assert (second.retries, second.timeout, second.format) == (0, Timeout(), "sse")
    assert dict(first.headers) == {"a": "1", "b": "2"}


def test_a_callers_header_comes_before_ours() -> None:
    assert made(options=Options(headers={"accept": "x/y"})).headers["accept"] == "x/y"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": "xml"}, "there is no format 'xml'; there are text, bytes, ndjson, sse, frames"),
        ({"format": "json"}, "there is no format 'json'"),
        ({"retries": -1}, "retries=-1: write 0 for none"),
        ({"method": "GE T"}, "is no HTTP method"),
        ({"headers": {"x": "a\nb"}}, "the header 'x' has characters"),
        ({"headers": {"x y": "a"}}, "the header 'x y' has characters"),
    ],
)
def test_options_that_make_no_sense_are_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Options(**changes)


def test_options_do_not_show_the_key() -> None:
    assert "secret" not in repr(Options(headers=bearer("secret")))
    assert "secret" not in repr(made(options=Options(headers=bearer("secret"))))


def test_a_key_is_a_bearer_token() -> None:
    assert bearer("k") == {"authorization": "Bearer k"}
    assert bearer(None) == {}
    for wrong in ("", "k\n", "k\u0416"):
        with pytest.raises(ValueError, match="the API key is empty or has characters"):
            bearer(wrong)


@pytest.mark.parametrize(
    ("url", "base"),
    [("http://a:8000", "http://a:8000"), ("http://a/", "http://a"), ("https://a/b/", "https://a/b")],
)
def test_the_address_of_a_server(url: str, base: str) -> None:
    assert base_of(url) == base


@pytest.mark.parametrize("url", ["localhost:8000", "", "ftp://a", "http://", "http://a?b=1", "http://a:b", "a b"])
def test_what_is_no_address_is_refused_with_one_that_is(url: str) -> None:
    with pytest.raises(ValueError, match="write it like http://localhost:8000"):
        base_of(url)


def test_the_head_says_the_content_type_and_the_time_that_is_left() -> None:
    assert "headrace-timeout" not in made().head(None)
    assert made().head(1.5)["headrace-timeout"] == "1.500"
    assert made().head(-1)["headrace-timeout"] == "0.001"
    assert made().head(None)["content-type"] == "application/json"
    assert "content-type" not in made(options=Options(method="GET")).head(None)
    assert made(options=Options(headers={"content-type": "audio/wav"}), data=b"x").head(None)["content-type"] == (
        "audio/wav"
    )


def test_a_streamed_body_tells_its_type_when_it_was_looked_at() -> None:
    request = made(data=iter([b"x"]))
    assert isinstance(request.upload, Upload)
    request.upload.look([b"x"])
    assert request.head(None)["content-type"] == "application/octet-stream"


def test_a_small_body_is_sent_before_anybody_can_refuse_it() -> None:
    assert not made(a=1).large
    assert made(data=b"x" * 70_000).large
    assert made(data=iter([])).large
