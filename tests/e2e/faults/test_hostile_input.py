"""Rows H4, H5, H7, H8, H9, H11: bodies that are no arguments, and text that tries to be more than text."""

import gzip
import http.client
import json
import random
import re
import socket
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from crowd import answer_in, request, rest_of
from figures import Figure
from process import resident_bytes
from served import Serve, Served

JSON = {"content-type": "application/json"}
SEPARATORS = ["\n", "\r", "\r\n", "\n\n", "\v", "\f", "\x00", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
TEXTS = [f"a{separator}b{separator}" for separator in SEPARATORS]
TEXTS += ["data: x\n\nevent: end\ndata: {}\n\n", '\n{"end":{}}\n', "0\r\n\r\n", "", " ", "\ufeffa", "\U0001f600", "\\n"]


class Line:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def post(self, path: str, body: bytes, headers: dict[str, str] = JSON) -> tuple[int, dict[str, str], bytes]:
        self._connection.request("POST", path, body, headers)
        response = self._connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def line(trials: Served) -> Iterator[Line]:
    opened = Line(trials.port)
    yield opened
    opened.close()


# H4


def broken(random: random.Random) -> bytes:
    """A body that was valid until something happened to it."""
    body = json.dumps(
        {"a": random.randint(-(10**20), 10**20), "b": random.choice([1, -1.5, "1", None, [], {}])}
    ).encode()
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(body) + 1)
        match random.randrange(6):
            case 0:
                body = body[:at]
            case 1:
                body = body[:at] + random.randbytes(random.randint(1, 8)) + body[at:]
            case 2:
                body = body[:at] + random.choice([b"{", b"[", b'"', b"\\", b",", b":", b"\x00"]) + body[at:]
            case 3:
                body = (
                    body[:at] + random.choice([b"NaN", b"-Infinity", b"1e999", b"9" * 400, b"\xed\xa0\x80"]) + body[at:]
                )
            case 4:
                body = body.replace(b'"a"', random.choice([b'"\\ud800"', b'"a\\u0000"', b'"__class__"', b'"A"']))
            case _:
                body = body + body[:at]
    return body


def test_1500_broken_bodies_are_refused_or_answered_and_never_an_error_of_ours(line: Line, figure: Figure) -> None:
    numbers = random.Random(4)
    statuses, largest = [], 0
    for _ in range(1500):
        status, headers, body = line.post("/add", broken(numbers))
        statuses.append(status)
        if status != 200:
            assert headers["content-type"] == "application/problem+json"
            largest = max(largest, len(body))
            document = json.loads(body)
            assert status == 400 or "pointer" in document["errors"][0]
    figure("H4", "answers of 5xx to 1,500 broken bodies", sum(status >= 500 for status in statuses), 0)
    figure("H4", "bytes of the largest refusal", largest, 1024)
    assert set(statuses) <= {200, 400, 422}
    assert statuses.count(400) > 500
    assert statuses.count(422) > 50


NESTED = [(b"[", b"]"), (b'{"a":', b"}")]


@pytest.mark.parametrize("depth", [1_000, 100_000, 1_000_000])
@pytest.mark.parametrize(("opens", "closes"), NESTED, ids=["lists", "objects"])
def test_nesting_is_bounded(line: Line, figure: Figure, opens: bytes, closes: bytes, depth: int) -> None:
    errors = 0
    for body in (opens * depth, b'{"value": ' + opens * depth + b"1" + closes * depth + b"}"):
        for path in ("/same", "/add"):
            status, _, answer = line.post(path, body)
            assert len(answer) < 1024
            errors += status != 400
    figure("H4", f"of 4 bodies nested {depth:,} deep, not refused", errors, 0)


@pytest.mark.parametrize("depth", [30, 60])
def test_what_is_nested_as_people_nest_comes_back(line: Line, depth: int) -> None:
    value: Any = 1
    for _ in range(depth):
        value = [{"a": value}] if depth < 60 else [value]
    status, _, body = line.post("/same", json.dumps({"value": value}).encode())
    assert (status, json.loads(body)) == (200, value)


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "9" * 5_000, "9" * 1_000_000, "1e999999999", "0." + "0" * 100_000]
)
def test_a_huge_number_is_no_error_of_ours(line: Line, figure: Figure, number: str) -> None:
    status, _, body = line.post("/add", f'{{"a": {number}, "b": 1}}'.encode())
    figure("H4", "huge numbers answered 5xx", status >= 500, 0)
    assert len(body) < 1024


# H5


def compressed() -> list[tuple[str, bytes]]:
    bomb = b'{"a": 1, "b": ' + b" " * 10_000_000 + b"1}"
    return [("gzip", gzip.compress(bomb)), ("deflate", zlib.compress(bomb)), ("br", b"\x0b"), ("zstd", b"(\xb5/\xfd")]


TYPES = [
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "text/plain",
    "text/json",
    "x/y",
    "*/*",
]
TYPES += ["application/xml", "application/yaml", "application/x-python-pickle", "application/msgpack", "application"]
TYPES += ["application/vnd.bentoml+pickle", "application/json\tx", "text/html; application/json", ";", "\xff"]


def test_a_body_that_was_not_declared_is_refused_unread(serve: Serve, figure: Figure) -> None:
    served = serve()
    served.post("/add", {"a": 1, "b": 1})
    before = resident_bytes(served.process.pid)
    asked = [
        (path, body, {**JSON, "content-encoding": coding})
        for coding, body in [*compressed(), ("gzip, gzip", b"x"), ("GZIP", b"x"), ("x-made-up", b"x")] * 3
        for path in ("/add", "/length", "/shout")
    ]
    body = b'{"a": 1, "b": 1, "to": 1, "texts": []}'
    asked += [(path, body, {"content-type": kind}) for kind in TYPES for path in ("/add", "/count", "/say")]
    asked.append(("/add", body, {}))
    statuses = [served.request("POST", *each)[0] for each in asked]
    figure("H5", f"of {len(statuses)} compressed or undeclared bodies, not 415", len(statuses) - statuses.count(415), 0)
    figure("H5", "growth under them, MB", (resident_bytes(served.process.pid) - before) / 1e6, 16)
    assert served.metric("headrace_streams_started_total") == 1


# H7


def dispatched(body: bytes) -> list[tuple[str, str, str]]:
    """The events of an SSE body, by the rules of the WHATWG standard: name, data, last id."""
    found, name, data, last = [], "", [], ""
    for line in re.split(r"\r\n|\r|\n", body.decode().removeprefix("\ufeff")):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                found.append((name, "\n".join(data), last))
            name, data = "", []
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value
        elif field == "id" and "\0" not in value:
            last = value
    return found


def test_text_of_separators_makes_the_round_trip_in_every_format(line: Line, figure: Figure) -> None:
    lost = 0
    body = json.dumps({"texts": TEXTS}).encode()
    _, _, ndjson = line.post("/say", body, {**JSON, "accept": "application/x-ndjson"})
    lines = [json.loads(each) for each in ndjson.split(b"\n") if each]
    assert ndjson.splitlines() == [each for each in ndjson.split(b"\n") if each]
    lost += [each.get("item") for each in lines[:-1]] != TEXTS
    lost += [json.loads(each)["item"] for each in ndjson.decode().splitlines()[:-1]] != TEXTS
    _, _, sse = line.post("/say", body, {**JSON, "accept": "text/event-stream"})
    events = dispatched(sse)
    lost += [json.loads(data) for name, data, _ in events if not name] != TEXTS
    lost += [name for name, _, _ in events if name] != ["end"]
    lost += sse.decode().splitlines() != sse.decode().split("\n")[:-1]
    lost += line.post("/say", body)[2] != "".join(TEXTS).encode()
    lost += json.loads(line.post("/say", body, {**JSON, "accept": "application/json"})[2]) != "".join(TEXTS)
    figure("H7", "formats of 4 that change a text with separators", lost, 0)


def test_raw_text_of_separators_is_cut_into_fields_as_the_standard_has_it(line: Line, figure: Figure) -> None:
    texts = [text for text in TEXTS if text and "\0" not in text]
    _, _, sse = line.post("/events", json.dumps({"data": texts}).encode(), {**JSON, "accept": "text/event-stream"})
    events = dispatched(sse)
    arrived = [data for name, data, _ in events if not name]
    wrong = arrived != [re.sub(r"\r\n|\r", "\n", text) for text in texts]
    figure("H7", "raw texts that arrive otherwise than normalised", wrong, 0)
    assert [name for name, _, _ in events if name] == ["end"]


# H8

FORGERIES = [f"x{separator}event: forged{separator}data: 1{separator * 2}x" for separator in SEPARATORS]
FORGERIES += ["x\r\nx-forged: 1\r\n\r\n<p>", "x\nx-forged: 1\n\nevent: forged\ndata: 1\n\n"]


@pytest.mark.parametrize("place", ["name", "id"])
def test_a_separator_in_the_name_or_the_id_of_an_event_is_refused(line: Line, figure: Figure, place: str) -> None:
    forged = 0
    for text in FORGERIES:
        body = json.dumps({"data": ["a"], place: text}).encode()
        for accept in ("text/event-stream", "application/x-ndjson"):
            status, _, answer = line.post("/events", body, {**JSON, "accept": accept})
            forged += (status, json.loads(answer)["code"]) != (500, "invalid_item")
    figure("H8", f"forged by the {place} of an event", forged, 0)


@pytest.mark.parametrize("items", [0, 1])
def test_a_separator_in_metadata_or_in_an_error_forges_nothing(trials: Served, figure: Figure, items: int) -> None:
    forged = 0
    for text in FORGERIES:
        for accept in ("text/event-stream", "application/x-ndjson", "application/json"):
            with trials.connect() as connection:
                arguments = {"text": text, "items": items}
                connection.sendall(request("/forged", arguments, accept, "connection: close\r\n"))
                answer = answer_in(rest_of(connection))
            assert answer.status == (200 if items and accept != "application/json" else 500)
            forged += "x-forged" in answer.headers or b"forged" in b"".join(map(str.encode, answer.headers))
            lines = [each for each in re.split(rb"\r\n|\r|\n", answer.body) if each]
            forged += any(each.startswith((b"event: forged", b"data: 1", b"x-forged")) for each in lines)
            if answer.status == 200 and accept == "text/event-stream":
                forged += [name for name, _, _ in dispatched(answer.body)] != ["header", "", "error"]
            elif answer.status == 200:
                forged += [next(iter(each)) for each in answer.lines] != ["header", "item", "error"]
            else:
                json.loads(answer.body)
    figure("H8", f"forged by metadata and errors after {items} items", forged, 0)


def test_a_separator_in_a_request_id_is_not_sent_back(trials: Served, figure: Figure) -> None:
    forged = 0
    for value in [
        b"a\rx-forged: 1",
        b"a\x85x-forged: 1",
        b"a\x00b",
        b"a;b",
        b"a b",
        b"\xe2\x80\xa8",
        b"a\r\n x-forged: 1",
    ]:
        with trials.connect() as connection:
            connection.sendall(
                b"GET /count?to=1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-request-id: "
                + value
                + b"\r\n\r\n"
            )
            answer = answer_in(rest_of(connection))
        forged += (
            "x-forged" in answer.headers or re.search(r"[^\w-]", answer.headers.get("x-request-id", "")) is not None
        )
    figure("H8", "forged by 7 request ids", forged, 0)


# H9

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e"


@pytest.mark.parametrize("kind", ["text", "json"])
def test_nothing_that_is_logged_forges_a_line_or_moves_the_cursor(serve: Serve, figure: Figure, kind: str) -> None:
    served = serve("tests/e2e/trials.py", "--log-format", kind)
    entries = [
        "12:00:00 POST /forged 200 end",
        '{"level": "info", "message": "POST /forged 200 end"}',
        "Traceback (most",
    ]
    served.request("GET", "/first")
    served.until(lambda: any("/first" in each for each in served.output), within=5)
    started = len(served.output)
    for separator in [*SEPARATORS, "\r\n\r\n"]:
        for entry in entries:
            text = f"x{separator}{entry}{separator}{ESCAPES}"
            served.post("/reports", {"text": text}, accept="application/x-ndjson")
    with served.connect() as connection:
        connection.sendall(
            f"GET /x%0a{entries[0].replace(' ', '%20')}%1b%5b2J HTTP/1.1\r\nhost: localhost\r\nuser-agent: \x9b31m\r\n"
            "connection: close\r\n\r\n".encode("latin-1")
        )
        assert answer_in(rest_of(connection)).status == 404
    served.request("GET", "/last")
    served.until(lambda: any("/last" in each for each in served.output), within=5)
    lines = served.output[started:]
    forged = [each for each in lines if each.startswith(tuple(entries))]
    raw = [each for each in lines if not each.rstrip("\n").isprintable()]
    figure("H9", f"lines forged or with escapes, {kind}", len(forged) + len(raw), 0)
    if kind == "json":
        assert all("level" in json.loads(each) for each in lines)


# H11


def test_no_address_in_a_request_is_called(trials: Served, figure: Figure) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        addresses = [
            f"{scheme}://{host}:{port}/image.png"
            for scheme in ("http", "https", "ftp", "ws", "gopher", "HTTP")
            for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "a@127.0.0.1")
        ]
        status, _, body = trials.post("/see", {"image_url": addresses[0], "image_urls": addresses})
        assert (status, int(body)) == (200, len(addresses[0]) + len(addresses))
        for address in addresses:
            assert trials.post("/add", {"a": address, "b": {"$ref": address}, "$schema": address})[0] == 422
            headers = {"referer": address, "origin": address, "callback": address, "x-forwarded-host": address, **JSON}
            assert trials.request("POST", "/add", b'{"a": 1, "b": 1}', headers)[0] == 200
        listener.setblocking(False)
        connects = 0
        try:
            while listener.accept():
                connects += 1
        except BlockingIOError:
            pass
    figure("H11", "connects to addresses that requests name", connects, 0)
