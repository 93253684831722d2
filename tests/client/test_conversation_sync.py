"""The blocking conversation, with an application in this process."""

import threading
from collections.abc import AsyncIterator

import pytest

from headrace.client.sync import Client
from headrace.errors import ConnectionFailed, InternalError, StreamTruncated
from headrace.server.app import Application
from headrace.services.decorators import endpoint, service


@service
class Talker:
    left = threading.Event()

    @endpoint
    async def parrot(self, words: AsyncIterator[str], prefix: str = "") -> AsyncIterator[str]:
        try:
            async for word in words:
                yield prefix + word
        finally:
            self.left.set()

    @endpoint
    async def fails(self, words: AsyncIterator[str]) -> AsyncIterator[str]:
        yield await anext(words)
        raise RuntimeError


def test_both_sides_talk_at_once() -> None:
    with Client(app=Application(Talker)) as client:
        with client.connect("parrot", prefix=">") as chat:
            for word in ("a", "b"):
                chat.send(word)
                assert next(chat) == f">{word}"
            chat.send("c")
            chat.finish_input()
            assert chat.text() == ">c"
        assert (chat.id[:2], chat.stats.items) == ("s_", 3)


def test_one_thread_sends_while_another_one_iterates() -> None:
    words = [str(n) for n in range(500)]

    with Client(app=Application(Talker)) as client, client.connect("parrot") as chat:

        def say() -> None:
            for word in words:
                chat.send(word)
            chat.finish_input()

        speaker = threading.Thread(target=say)
        speaker.start()
        assert chat.collect() == words
        speaker.join()


def test_leaving_the_block_stops_the_work() -> None:
    Talker.left.clear()
    with Client(app=Application(Talker)) as client, client.connect("parrot") as chat:
        chat.send("a")
        assert next(chat) == "a"
    assert Talker.left.wait(5)


def test_a_failure_is_raised_behind_its_items() -> None:
    with Client(app=Application(Talker)) as client, client.connect("fails") as chat:
        chat.send("a")
        assert next(chat) == "a"
        with pytest.raises(InternalError):
            next(chat)


def test_nothing_is_done_before_the_block_is_entered() -> None:
    with Client(app=Application(Talker)) as client:
        chat = client.connect("parrot")
        with pytest.raises(RuntimeError, match=r"enter this conversation first: with client\.connect"):
            chat.send("a")


def test_a_client_that_is_closed_takes_its_conversations_along() -> None:
    before = threading.active_count()
    client = Client(app=Application(Talker))
    client.__enter__()
    with client.connect("parrot") as chat:
        reader_raised: list[Exception] = []

        def read() -> None:
            try:
                next(chat)
            except Exception as error:
                reader_raised.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        client.close()
        reader.join(5)
        with pytest.raises(ConnectionFailed, match="was closed"):
            chat.send("a")
    assert isinstance(reader_raised[0], (ConnectionFailed, StreamTruncated))
    assert threading.active_count() <= before
