"""The whole text of every mistake in a definition, as its author reads it.

Each service is written into a file and imported from there, once with `from __future__ import annotations` and once
without it: the text is the same.
"""

from collections.abc import Callable
from types import ModuleType

import pytest

from headrace.services.definition import define

HEAD = """\
{future}
import functools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal
from pydantic import Field
from headrace import Event, Header, Stream, endpoint, service


"""
FUTURE = "from __future__ import annotations"

MISTAKES = [
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    async def write(self, prompt, lines: int = 4) -> AsyncIterator[str]:
        yield prompt
""",
        """\
HR05 Poet.write(prompt): add a type, e.g. prompt: str
  app.py:12
    async def write(self, prompt, lines: int = 4) -> AsyncIterator[str]:
                          ^
  It becomes the check, the docs and the form.
  fix: prompt: str
""",
        False,
        id="HR05 a parameter without a type",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    async def write(self, topic: Annotated[str, Field(min_length=1)], lines: int = 4):
        yield topic
""",
        """\
HR05 Poet.write: add a return type, e.g. -> AsyncIterator[str]
  app.py:12
    async def write(self, topic: Annotated[str, Field(min_length=1)], lines: int = 4):
              ^
  It becomes the check of every item, the documentation and the client's type.
  fix: async def write(self, topic: str, lines: int = 4) -> AsyncIterator[str]:
""",
        False,
        id="HR05 no return type on an async generator",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    def write(self, topic: str):
        yield topic
""",
        """\
HR05 Poet.write: add a return type, e.g. -> Iterator[str]
  app.py:12
    def write(self, topic: str):
        ^
  It becomes the check of every item, the documentation and the client's type.
  fix: def write(self, topic: str) -> Iterator[str]:
""",
        False,
        id="HR05 no return type on a generator",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    async def write(self, topic: str):
        return topic
""",
        """\
HR05 Poet.write: add a return type, e.g. -> str
  app.py:12
    async def write(self, topic: str):
              ^
  It becomes the check of every item, the documentation and the client's type.
  fix: async def write(self, topic: str) -> str:
""",
        False,
        id="HR05 no return type on a method",
    ),
    pytest.param(
        """\
if TYPE_CHECKING:
    from poems import Poem


@service
class Poet:
    @endpoint
    async def write(self, poem: Poem, again: list[Poem]) -> AsyncIterator[Poem]:
        yield poem
""",
        """\
HR05 Poet.write(poem): the type Poem cannot be read: name 'Poem' is not defined
  app.py:16
    async def write(self, poem: Poem, again: list[Poem]) -> AsyncIterator[Poem]:
                          ^
  A type is looked up in its module when the service starts, not in the function around the class.
  fix: from its_module import Poem  # or define it; at the top of the file, not under TYPE_CHECKING

HR05 Poet.write(again): the type list[Poem] cannot be read: name 'Poem' is not defined
  app.py:16
    async def write(self, poem: Poem, again: list[Poem]) -> AsyncIterator[Poem]:
                                      ^
  A type is looked up in its module when the service starts, not in the function around the class.
  fix: from its_module import Poem  # or define it; at the top of the file, not under TYPE_CHECKING

HR05 Poet.write: the type AsyncIterator[Poem] cannot be read: name 'Poem' is not defined
  app.py:16
    async def write(self, poem: Poem, again: list[Poem]) -> AsyncIterator[Poem]:
                                                            ^
  A type is looked up in its module when the service starts, not in the function around the class.
  fix: from its_module import Poem  # or define it; at the top of the file, not under TYPE_CHECKING
""",
        True,
        id="HR05 a type that is there for type checkers alone",
    ),
    pytest.param(
        """\
def make() -> type:
    class Poem: ...

    @service
    class Poet:
        @endpoint
        async def write(self, poem: Poem) -> AsyncIterator[str]:
            yield "rain"

    return Poet


Poet = make()
""",
        """\
HR05 Poet.write(poem): the type Poem cannot be read: name 'Poem' is not defined
  app.py:15
    async def write(self, poem: Poem) -> AsyncIterator[str]:
                          ^
  A type is looked up in its module when the service starts, not in the function around the class.
  fix: from its_module import Poem  # or define it; at the top of the file, not under TYPE_CHECKING
""",
        True,
        id="HR05 a type of the function around the class",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    async def write(self, topic: "list[") -> AsyncIterator[str]:
        yield topic
""",
        """\
HR05 Poet.write(topic): the type list[ cannot be read: Forward reference must be an expression -- got 'list['
  app.py:12
    async def write(self, topic: "list[") -> AsyncIterator[str]:
                          ^
  A type is an expression that is there when the service starts.
  fix: topic: str
""",
        False,
        id="HR05 an annotation that is no type",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    async def write(self, topic: str) -> AsyncIterator:
        yield topic
""",
        """\
HR05 Poet.write: AsyncIterator needs its item type: AsyncIterator[str]
  app.py:12
    async def write(self, topic: str) -> AsyncIterator:
                                         ^
  The item type checks every item.
  fix: -> AsyncIterator[str]
""",
        False,
        id="HR05 a stream without an item type",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    async def write(self, topic: str) -> Stream:
        yield topic
""",
        """\
HR05 Poet.write: Stream needs its item type: Stream[str], Stream[Item, Header, Footer]
  app.py:12
    async def write(self, topic: str) -> Stream:
                                         ^
  The item type checks every item.
  fix: -> AsyncIterator[str]
""",
        False,
        id="HR05 a bare Stream",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    async def write(self) -> AsyncIterator[str | Header[int] | Header[str]]:
        yield "rain"
""",
        """\
HR05 Poet.write: a stream has one item type, at most one Header and at most one Footer
  app.py:12
    async def write(self) -> AsyncIterator[str | Header[int] | Header[str]]:
                             ^
  The item type checks every item.
  fix: -> AsyncIterator[str]
""",
        False,
        id="HR05 two headers",
    ),
    pytest.param(
        """\
class Poem: ...


@service
class Poet:
    @endpoint
    async def write(
        self,
        topic: str,
    ) -> AsyncIterator[Poem]:
        yield Poem()
""",
        """\
HR05 Poet.write: Poem cannot be sent: pydantic has no schema for it
  app.py:18
    ) -> AsyncIterator[Poem]:
         ^
  Items are str, bytes, pydantic models, dataclasses, TypedDicts, msgspec Structs, dict, list or scalars.
  fix: @dataclass
       class Item:
""",
        False,
        id="HR05 items that cannot be sent",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    async def write(self) -> AsyncIterator[Event[str] | int]:
        yield 1
""",
        """\
HR05 Poet.write: Event must be the item type itself: write Event[A | B], not Event[A] | B
  app.py:12
    async def write(self) -> AsyncIterator[Event[str] | int]:
                             ^
  Items are str, bytes, pydantic models, dataclasses, TypedDicts, msgspec Structs, dict, list or scalars.
  fix: -> AsyncIterator[Event[A | B]]
""",
        False,
        id="HR05 events beside other items",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    async def write(self, topic: str) -> AsyncIterator[str]:
        return topic
""",
        """\
HR06 Poet.write says AsyncIterator[str] but never yields
  app.py:12
    async def write(self, topic: str) -> AsyncIterator[str]:
                                         ^
  A stream is made by a generator; a method that returns answers once.
  fix: yield item  # for each of them; or, for one answer: -> str; for a stream that is made elsewhere: def write
""",
        False,
        id="HR06 a stream that returns",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    async def write(self, topic: str) -> str:
        yield topic
""",
        """\
HR06 Poet.write yields but says str
  app.py:12
    async def write(self, topic: str) -> str:
                                         ^
  A method with yield is a stream of items.
  fix: -> AsyncIterator[str]
""",
        False,
        id="HR06 a generator that says a value",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    async def write(self, topic: str) -> Iterator[str | Header[int]]:
        yield topic
""",
        """\
HR06 Poet.write is async def with yield and says Iterator[str | Header[int]]
  app.py:12
    async def write(self, topic: str) -> Iterator[str | Header[int]]:
                                         ^
  async def with yield makes an async iterator, def with yield an ordinary one.
  fix: -> AsyncIterator[str | Header[int]]
""",
        False,
        id="HR06 an async generator that says Iterator",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    def write(self, topic: str) -> AsyncIterator[str]:
        yield topic
""",
        """\
HR06 Poet.write is def with yield and says AsyncIterator[str]
  app.py:12
    def write(self, topic: str) -> AsyncIterator[str]:
                                   ^
  async def with yield makes an async iterator, def with yield an ordinary one.
  fix: -> Iterator[str]
""",
        False,
        id="HR06 a generator that says AsyncIterator",
    ),
    pytest.param(
        """\
@service
class Poet:
    async def on_start(self) -> AsyncIterator[None]:
        yield

    @endpoint
    def write(self) -> str:
        return "rain"
""",
        """\
HR06 Poet.on_start yields, so it would never run
  app.py:11
    async def on_start(self) -> AsyncIterator[None]:
              ^
  on_start is called, not iterated, and a generator that nobody iterates does nothing.
  fix: async def on_start(self) -> None:
""",
        False,
        id="HR06 a hook that yields",
    ),
    pytest.param(
        """\
@service
class Poet:
    def __init__(self, model_id: str, size: int = 1) -> None: ...

    @endpoint
    def write(self) -> str:
        return "rain"


app = Poet.bind()
""",
        """\
HR12 Poet needs "model_id": bind it
  app.py:11
    def __init__(self, model_id: str, size: int = 1) -> None: ...
                       ^
  The constructor has no default for it, and nobody else knows a value.
  fix: app = Poet.bind(model_id=...)
""",
        False,
        id="HR12 a constructor that needs one argument",
    ),
    pytest.param(
        """\
@service
class Poet:
    def __init__(self, model_id: str, size: int, *, seed: int) -> None: ...

    @endpoint
    def write(self) -> str:
        return "rain"


app = Poet.bind("tiny")
""",
        """\
HR12 Poet needs "size" and "seed": bind them
  app.py:11
    def __init__(self, model_id: str, size: int, *, seed: int) -> None: ...
                                      ^
  The constructor has no default for them, and nobody else knows a value.
  fix: app = Poet.bind(..., size=..., seed=...)
""",
        False,
        id="HR12 a constructor that needs more",
    ),
    pytest.param(
        """\
@service
class Poet:
    def __init__(self, model_id: str = "tiny") -> None: ...

    @endpoint
    def write(self) -> str:
        return "rain"


app = Poet.bind(modelid="big", zzz=1)
""",
        """\
HR12 Poet.__init__ has no "modelid". Did you mean "model_id"?
  app.py:11
    def __init__(self, model_id: str = "tiny") -> None: ...
        ^
  It takes model_id.
  fix: app = Poet.bind(model_id=...)

HR12 Poet.__init__ has no "zzz"
  app.py:11
    def __init__(self, model_id: str = "tiny") -> None: ...
        ^
  It takes model_id.
  fix: app = Poet.bind()
""",
        False,
        id="HR12 an argument that the constructor does not have",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    def write(self) -> str:
        return "rain"


app = Poet.bind(3, model_id="big")
""",
        """\
HR12 Poet.__init__ takes no arguments by position, and bind was given 1
  app.py:10
    class Poet:
          ^
  bind passes its arguments on as they are.
  fix: app = Poet.bind()

HR12 Poet.__init__ has no "model_id"
  app.py:10
    class Poet:
          ^
  It takes no arguments.
  fix: app = Poet.bind()
""",
        False,
        id="HR12 a class without a constructor",
    ),
    pytest.param(
        """\
@service
class Poet:
    def __init__(self, model_id: str) -> None: ...

    @endpoint
    def write(self) -> str:
        return "rain"


app = Poet.bind("tiny", 3, model_id="big")
""",
        """\
HR12 Poet.__init__ takes 1 argument by position, and bind was given 2
  app.py:11
    def __init__(self, model_id: str) -> None: ...
        ^
  bind passes its arguments on as they are.
  fix: app = Poet.bind(model_id=...)

HR12 Poet.bind was given "model_id" twice, by position and by name
  app.py:11
    def __init__(self, model_id: str) -> None: ...
                       ^
  A parameter has one value.
  fix: app = Poet.bind(model_id=...)
""",
        False,
        id="HR12 too many arguments, and one twice",
    ),
    pytest.param(
        """\
@service
class Poet:
    def write(self) -> str:
        return "rain"
""",
        """\
HR17 Poet has no endpoint
  app.py:10
    class Poet:
          ^
  A service answers through methods marked with @endpoint.
  fix: @endpoint
       async def write(self, topic: str) -> AsyncIterator[str]:
""",
        False,
        id="HR17 no endpoint",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint(path="/streams/poems")
    def write(self) -> str:
        return "rain"
""",
        """\
HR17 Poet.write cannot be served at /streams/poems
  app.py:12
    def write(self) -> str:
        ^
  headrace itself answers at /streams.
  fix: @endpoint(path="/my_write")
""",
        False,
        id="HR17 a path of headrace itself",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    def write(self) -> str:
        return "rain"

    @endpoint(path="/write")
    def sing(self) -> str:
        return "rain"
""",
        """\
HR17 Poet.sing cannot be served at /write
  app.py:16
    def sing(self) -> str:
        ^
  Poet.write is already served at /write.
  fix: @endpoint(path="/my_sing")
""",
        False,
        id="HR17 a path that is taken",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint(path="write/{topic}")
    def write(self, topic: str) -> str:
        return topic
""",
        """\
HR17 Poet.write cannot be served at 'write/{topic}'
  app.py:12
    def write(self, topic: str) -> str:
        ^
  A path starts with "/" and is plain text; {name} stands for one part, {name:path} for one with slashes.
  fix: @endpoint(path="/write")
""",
        False,
        id="HR17 a path that is none",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint(path="/poems/{topc}")
    def write(self, topic: str) -> str:
        return topic

    @endpoint(path="/songs/{song}")
    def sing(self) -> str:
        return "la"
""",
        """\
HR17 Poet.write is served at /poems/{topc} and has no parameter topc
  app.py:12
    def write(self, topic: str) -> str:
        ^
  A named part of the path becomes the argument of that name.
  fix: @endpoint(path="/poems/{topic}")

HR17 Poet.sing is served at /songs/{song} and has no parameter song
  app.py:16
    def sing(self) -> str:
        ^
  A named part of the path becomes the argument of that name.
  fix: def sing(self, song: str) -> str:
""",
        False,
        id="HR17 a part of a path without its parameter",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint(path="/poems/{topic}")
    def write(self, topic: str) -> str:
        return topic

    @endpoint(path="/poems/{number:path}")
    def read(self, number: int) -> str:
        return ""
""",
        """\
HR17 Poet.read cannot be served at /poems/{number:path}
  app.py:16
    def read(self, number: int) -> str:
        ^
  Poet.write is already served at /poems/{topic}.
  fix: @endpoint(path="/my_read")
""",
        False,
        id="HR17 a path that differs in names alone",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint(path="/poems/{a}/{a}")
    def write(self, a: str) -> str:
        return a

    @endpoint(path="/songs/{a:words}")
    def sing(self, a: str) -> str:
        return a
""",
        """\
HR17 Poet.write cannot be served at '/poems/{a}/{a}'
  app.py:12
    def write(self, a: str) -> str:
        ^
  Duplicated param name a at path /poems/{a}/{a}.
  fix: @endpoint(path="/write")

HR17 Poet.sing cannot be served at '/songs/{a:words}'
  app.py:16
    def sing(self, a: str) -> str:
        ^
  Unknown path convertor 'words'.
  fix: @endpoint(path="/sing")
""",
        False,
        id="HR17 a pattern that is none",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint(path="/poems/{topics}")
    def write(self, topics: list[str]) -> str:
        return topics[0]

    @endpoint(path="/songs/{song}")
    async def sing(self, song: AsyncIterator[bytes]) -> AsyncIterator[str]:
        yield "la"
""",
        """\
HR18 Poet.write(topics) comes from the path and is not a scalar
  app.py:12
    def write(self, topics: list[str]) -> str:
                    ^
  A part of a path is text, which becomes a number or the like.
  fix: topics: str

HR18 Poet.sing(song) comes from the path and is not a scalar
  app.py:16
    async def sing(self, song: AsyncIterator[bytes]) -> AsyncIterator[str]:
                         ^
  A part of a path is text, which becomes a number or the like.
  fix: song: str
""",
        False,
        id="HR18 a part of a path that is no scalar",
    ),
    pytest.param(
        """\
class Shouting:
    schema = {}

    def read(self, body, path): ...
    def answer(self, arguments): ...
    def refusal(self, error, request_id): ...


@service
class Poet:
    @endpoint(dialect=Shouting)
    def write(self, topic: str) -> str:
        return topic

    @endpoint(dialect="shouting")
    def sing(self, topic: str) -> str:
        return topic

    @endpoint(dialect=Shouting(), media_type="text/x")
    def hum(self, topic: str) -> str:
        return topic
""",
        """\
HR17 Poet.write: dialect=Shouting is not a dialect
  app.py:20
    def write(self, topic: str) -> str:
        ^
  A dialect is an object with schema, read, answer, refusal (headrace.wire.dialect).
  fix: @endpoint(dialect=Shouting())

HR17 Poet.sing: dialect='shouting' is not a dialect
  app.py:24
    def sing(self, topic: str) -> str:
        ^
  A dialect is an object with schema, read, answer, refusal (headrace.wire.dialect).
  fix: @endpoint(dialect=CHAT)

HR17 Poet.hum has a media_type and a dialect
  app.py:28
    def hum(self, topic: str) -> str:
        ^
  The dialect says of what type each answer is.
  fix: @endpoint(dialect=...)
""",
        False,
        id="HR17 what is no dialect",
    ),
    pytest.param(
        """\
class Shouting:
    schema = {}

    def read(self, body, path): ...
    def answer(self, arguments): ...
    def refusal(self, error, request_id): ...


@service
class Poet:
    @endpoint(dialect=Shouting())
    async def sing(self) -> "AsyncIterator[Literal['la']]":
        yield "la"
""",
        """\
HR05 Poet.sing: Literal['la'] is no class that a value can be held against
  app.py:20
    async def sing(self) -> "AsyncIterator[Literal['la']]":
                            ^
  Items are str, bytes, pydantic models, dataclasses, TypedDicts, msgspec Structs, dict, list or scalars.
  fix: @dataclass
       class Item:
""",
        False,
        id="HR05 an item that no dialect can be sure of",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint("/poems")
    def write(self) -> str:
        return "rain"
""",
        """\
HR17 Poet.write: @endpoint("/poems") does not say what "/poems" is
  app.py:12
    def write(self) -> str:
        ^
  Its arguments have names.
  fix: @endpoint(path="/poems")
""",
        False,
        id="HR17 a path without its name",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint(first_item_timeout=0)
    def write(self) -> str:
        return "rain"
""",
        """\
HR17 Poet.write: first_item_timeout=0 is not a time
  app.py:12
    def write(self) -> str:
        ^
  A timeout is a number of seconds, above 0 and finite; without it there is no bound.
  fix: @endpoint(first_item_timeout=30)
""",
        False,
        id="HR17 first_item_timeout 0",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint(item_timeout=float('inf'))
    def write(self) -> str:
        return "rain"
""",
        """\
HR17 Poet.write: item_timeout=inf is not a time
  app.py:12
    def write(self) -> str:
        ^
  A timeout is a number of seconds, above 0 and finite; without it there is no bound.
  fix: @endpoint(item_timeout=30)
""",
        False,
        id="HR17 item_timeout inf",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint(timeout='30')
    def write(self) -> str:
        return "rain"
""",
        """\
HR17 Poet.write: timeout='30' is not a time
  app.py:12
    def write(self) -> str:
        ^
  A timeout is a number of seconds, above 0 and finite; without it there is no bound.
  fix: @endpoint(timeout=30)
""",
        False,
        id="HR17 timeout '30'",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint(timeout=True)
    def write(self) -> str:
        return "rain"
""",
        """\
HR17 Poet.write: timeout=True is not a time
  app.py:12
    def write(self) -> str:
        ^
  A timeout is a number of seconds, above 0 and finite; without it there is no bound.
  fix: @endpoint(timeout=30)
""",
        False,
        id="HR17 timeout True",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint(timeout=-1)
    def write(self) -> str:
        return "rain"
""",
        """\
HR17 Poet.write: timeout=-1 is not a time
  app.py:12
    def write(self) -> str:
        ^
  A timeout is a number of seconds, above 0 and finite; without it there is no bound.
  fix: @endpoint(timeout=30)
""",
        False,
        id="HR17 timeout -1",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint(methods="GET")
    def write(self) -> str:
        return "rain"
""",
        """\
HR17 Poet.write: methods="GET" is one text, not several methods
  app.py:12
    def write(self) -> str:
        ^
  A text is a sequence of letters.
  fix: @endpoint(methods=("GET",))
""",
        False,
        id="HR17 a text for methods",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint(methods=("FETCH", "get"))
    def write(self) -> str:
        return "rain"

    @endpoint(methods=())
    def sing(self) -> str:
        return "rain"
""",
        """\
HR17 Poet.write cannot answer FETCH
  app.py:12
    def write(self) -> str:
        ^
  An endpoint answers one or more of GET, POST, PUT, PATCH, DELETE.
  fix: @endpoint(methods=("GET", "POST"))

HR17 Poet.sing cannot answer without a method
  app.py:16
    def sing(self) -> str:
        ^
  An endpoint answers one or more of GET, POST, PUT, PATCH, DELETE.
  fix: @endpoint(methods=("GET", "POST"))
""",
        False,
        id="HR17 methods that nobody answers",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint(media_type="wav")
    def write(self) -> str:
        return "rain"
""",
        """\
HR17 Poet.write: 'wav' is not a media type
  app.py:12
    def write(self) -> str:
        ^
  It becomes the Content-Type of the answer.
  fix: @endpoint(media_type="audio/wav")
""",
        False,
        id="HR17 a media type that is none",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    async def write(topic: str) -> str:
        return topic

    @endpoint
    def sing() -> str:
        return "rain"
""",
        """\
HR18 Poet.write has no self
  app.py:12
    async def write(topic: str) -> str:
              ^
  An endpoint is called on the service's instance.
  fix: async def write(self, topic: str) -> str:

HR18 Poet.sing has no self
  app.py:16
    def sing() -> str:
        ^
  An endpoint is called on the service's instance.
  fix: def sing(self) -> str:
""",
        False,
        id="HR18 no self",
    ),
    pytest.param(
        """\
def logged(function: Callable[..., str]) -> Callable[..., str]:
    def wrapper(*args: object, **kwargs: object) -> str:
        return function(*args, **kwargs)

    return wrapper


@service
class Poet:
    @endpoint
    @logged
    def write(self, topic: str) -> str:
        return topic
""",
        """\
HR18 Poet.write(*args: object, **kwargs: object): the parameters are hidden
  app.py:10
    def wrapper(*args: object, **kwargs: object) -> str:
        ^
  A decorator that passes on *args needs functools.wraps, so that the method's own parameters are seen.
  fix: @functools.wraps(function)
       def wrapper(*args, **kwargs):
""",
        False,
        id="HR18 parameters that a decorator hides",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    def write(self, topic: str, /, *more: str, **options: int) -> str:
        return topic
""",
        """\
HR18 Poet.write(topic: str): a request cannot fill this kind of parameter
  app.py:12
    def write(self, topic: str, /, *more: str, **options: int) -> str:
                    ^
  Arguments come by name, each with its own type.
  fix: def write(self, topic: str, lines: int = 4) -> str:

HR18 Poet.write(*more: str): a request cannot fill this kind of parameter
  app.py:12
    def write(self, topic: str, /, *more: str, **options: int) -> str:
                                    ^
  Arguments come by name, each with its own type.
  fix: def write(self, topic: str, lines: int = 4) -> str:

HR18 Poet.write(**options: int): a request cannot fill this kind of parameter
  app.py:12
    def write(self, topic: str, /, *more: str, **options: int) -> str:
                                                 ^
  Arguments come by name, each with its own type.
  fix: def write(self, topic: str, lines: int = 4) -> str:
""",
        False,
        id="HR18 parameters without names",
    ),
    pytest.param(
        """\
@service
class Poet:
    write = endpoint(lambda self, topic: topic)

    @endpoint
    @staticmethod
    def sing(topic: str) -> str:
        return topic

    @classmethod
    @endpoint
    def hum(cls, topic: str) -> str:
        return topic

    @endpoint
    @property
    def title(self) -> str:
        return "rain"

    @staticmethod
    @endpoint
    def words(topic: str) -> str:
        return topic

    @functools.cached_property
    @endpoint
    def length(self) -> int:
        return 3

    @endpoint
    class Verse: ...

    size = endpoint(functools.partial(len, "rain"))
""",
        """\
HR18 Poet.write is a lambda, not a method
  app.py:11
    write = endpoint(lambda self, topic: topic)
                     ^
  An endpoint is called on the service's instance, and its parameters carry types.
  fix: @endpoint
       def write(self, topic: str) -> str:

HR18 Poet.sing is a staticmethod, not a method
  app.py:15
    def sing(topic: str) -> str:
        ^
  An endpoint is called on the service's instance, and its parameters carry types.
  fix: @endpoint
       def sing(self, topic: str) -> str:

HR18 Poet.hum is a classmethod, not a method
  app.py:20
    def hum(cls, topic: str) -> str:
        ^
  An endpoint is called on the service's instance, and its parameters carry types.
  fix: @endpoint
       def hum(self, topic: str) -> str:

HR18 Poet.title is a property, not a method
  app.py:25
    def title(self) -> str:
        ^
  An endpoint is called on the service's instance, and its parameters carry types.
  fix: @endpoint
       def title(self, topic: str) -> str:

HR18 Poet.words is a staticmethod, not a method
  app.py:30
    def words(topic: str) -> str:
        ^
  An endpoint is called on the service's instance, and its parameters carry types.
  fix: @endpoint
       def words(self, topic: str) -> str:

HR18 Poet.length is a cached_property, not a method
  app.py:35
    def length(self) -> int:
        ^
  An endpoint is called on the service's instance, and its parameters carry types.
  fix: @endpoint
       def length(self, topic: str) -> str:

HR18 Poet.Verse is a class, not a method
  app.py:39
    class Verse: ...
          ^
  An endpoint is called on the service's instance, and its parameters carry types.
  fix: @endpoint
       def Verse(self, topic: str) -> str:

HR18 Poet.size is a partial, not a method
  An endpoint is called on the service's instance, and its parameters carry types.
  fix: @endpoint
       def size(self, topic: str) -> str:
""",
        False,
        id="HR18 things that are no methods",
    ),
    pytest.param(
        """\
class Ink: ...


@service
class Poet:
    @endpoint
    def write(self, topic: str, ink: Ink, then: Callable[[], None]) -> str:
        return topic
""",
        """\
HR18 Poet.write(ink): Ink cannot be checked: pydantic has no schema for it
  app.py:15
    def write(self, topic: str, ink: Ink, then: Callable[[], None]) -> str:
                                ^
  A parameter is a scalar, a pydantic model, a dataclass, a TypedDict, a msgspec Struct, a dict or a list.
  fix: @dataclass
       class Ink:

HR18 Poet.write(then): Callable[[], None] cannot be checked: JSON has no form for it
  app.py:15
    def write(self, topic: str, ink: Ink, then: Callable[[], None]) -> str:
                                          ^
  A parameter is a scalar, a pydantic model, a dataclass, a TypedDict, a msgspec Struct, a dict or a list.
  fix: @dataclass
       class Options:
""",
        False,
        id="HR18 a type that nobody can check",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    def write(self, topic: Annotated[str, Field(pattern="(")]) -> str:
        return topic
""",
        """\
HR18 Poet.write(topic): str cannot be checked: unclosed group
  app.py:12
    def write(self, topic: Annotated[str, Field(pattern="(")]) -> str:
                    ^
  A parameter is a scalar, a pydantic model, a dataclass, a TypedDict, a msgspec Struct, a dict or a list.
  fix: topic: str
""",
        False,
        id="HR18 a pattern that is none",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    def write(self, lines: int = Field(4, ge=1), topic: str = Field(min_length=1)) -> str:
        return topic
""",
        """\
HR18 Poet.write(lines): its default is a Field
  app.py:12
    def write(self, lines: int = Field(4, ge=1), topic: str = Field(min_length=1)) -> str:
                    ^
  Only pydantic's models understand that; the method would be called with the Field itself.
  fix: lines: Annotated[int, Field(...)] = 4

HR18 Poet.write(topic): its default is a Field
  app.py:12
    def write(self, lines: int = Field(4, ge=1), topic: str = Field(min_length=1)) -> str:
                                                 ^
  Only pydantic's models understand that; the method would be called with the Field itself.
  fix: topic: Annotated[str, Field(...)]
""",
        False,
        id="HR18 a Field as the default",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    def write(self, image: bytes, sound: bytes) -> str:
        return "rain"
""",
        """\
HR18 Poet.write(sound): image already takes the body
  app.py:12
    def write(self, image: bytes, sound: bytes) -> str:
                                  ^
  A request has one body.
  fix: sound: str  # from the query
""",
        False,
        id="HR18 two bodies",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    def write(self, image: Annotated[bytes, Field(max_length=10)]) -> str:
        return "rain"
""",
        """\
HR18 Poet.write(image): a body of bytes is taken as it comes and has no constraints
  app.py:12
    def write(self, image: Annotated[bytes, Field(max_length=10)]) -> str:
                    ^
  Nothing looks into it; --max-body is the limit of its size.
  fix: image: bytes
""",
        False,
        id="HR18 a body with constraints",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    def write(self, lines: AsyncIterator[str]) -> str:
        return "rain"
""",
        """\
HR18 Poet.write(lines): a body that is read as it arrives is an Iterator in a def
  app.py:12
    def write(self, lines: AsyncIterator[str]) -> str:
                    ^
  A def waits for it on a thread of its own, with `for`.
  fix: lines: Iterator[str]
""",
        False,
        id="HR18 a body that arrives in a def",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    def write(self, lines: Iterable[str]) -> str:
        return "rain"
""",
        """\
HR18 Poet.write(lines): a body that is read as it arrives is an Iterator in a def
  app.py:12
    def write(self, lines: Iterable[str]) -> str:
                    ^
  A def waits for it on a thread of its own, with `for`. Values of the JSON body come as a list.
  fix: lines: list[str]
""",
        False,
        id="HR18 a body as another kind of iterator in a def",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    async def write(self, lines: Iterable[str]) -> str:
        return "rain"
""",
        """\
HR18 Poet.write(lines): a body that is read as it arrives is an AsyncIterator in an async def
  app.py:12
    async def write(self, lines: Iterable[str]) -> str:
                          ^
  The body arrives on the event loop, where only async code can wait for it. Values of the JSON body come as a list.
  fix: lines: list[str]
""",
        False,
        id="HR18 a body as another kind of iterator",
    ),
    pytest.param(
        """\
class Ink: ...


@service
class Poet:
    @endpoint
    async def write(self, inks: AsyncIterator[Ink]) -> str:
        return "rain"
""",
        """\
HR18 Poet.write(inks): a body that is read as it arrives is an AsyncIterator in an async def
  app.py:15
    async def write(self, inks: AsyncIterator[Ink]) -> str:
                          ^
  Ink cannot be sent: pydantic has no schema for it
  fix: inks: AsyncIterator[bytes]
""",
        False,
        id="HR18 a body of items that cannot be read",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint
    async def write(self, image: bytes, sizes: list[int]) -> str:
        return "rain"
""",
        """\
HR18 Poet.write(sizes) comes from the query and is not a scalar
  app.py:12
    async def write(self, image: bytes, sizes: list[int]) -> str:
                                        ^
  image takes the body, so the others come from the query.
  fix: sizes: str
""",
        False,
        id="HR18 a body beside what no query can carry",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint(methods=("GET",))
    async def write(self, image: bytes) -> str:
        return "rain"
""",
        """\
HR18 Poet.write(image) takes the body, and GET has none
  app.py:12
    async def write(self, image: bytes) -> str:
                          ^
  A GET request carries its arguments in the query.
  fix: @endpoint(methods=("POST",))
""",
        False,
        id="HR18 a body for GET",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint(methods=("GET",))
    async def write(self, topics: list[str]) -> str:
        return "rain"
""",
        """\
HR18 Poet.write(topics) comes from the query and is not a scalar
  app.py:12
    async def write(self, topics: list[str]) -> str:
                          ^
  GET has only a query.
  fix: @endpoint(methods=("POST",))
""",
        False,
        id="HR18 a list for GET",
    ),
    pytest.param(
        """\
@service
class Poet:
    def on_start(self, app: object) -> None: ...

    @endpoint
    def write(self) -> str:
        return "rain"
""",
        """\
HR18 Poet.on_start(app): nothing is passed to on_start
  app.py:11
    def on_start(self, app: object) -> None: ...
                       ^
  What the service needs comes through its constructor.
  fix: async def on_start(self) -> None:
""",
        False,
        id="HR18 a hook with parameters",
    ),
    pytest.param(
        """\
@service
class Poet:
    @endpoint(path="write", methods=("FETCH",))
    async def write(self, prompt, *rest: str) -> AsyncIterator[str]:
        return prompt

    @endpoint
    def sing(self, tune: bytes, words: list[str]):
        yield words


class Singer(Poet): ...


Singer = service(Singer)
""",
        """\
HR17 Singer.write cannot be served at 'write'
  app.py:12
    async def write(self, prompt, *rest: str) -> AsyncIterator[str]:
              ^
  A path starts with "/" and is plain text; {name} stands for one part, {name:path} for one with slashes.
  fix: @endpoint(path="/write")

HR17 Singer.write cannot answer FETCH
  app.py:12
    async def write(self, prompt, *rest: str) -> AsyncIterator[str]:
              ^
  An endpoint answers one or more of GET, POST, PUT, PATCH, DELETE.
  fix: @endpoint(methods=("GET", "POST"))

HR05 Singer.write(prompt): add a type, e.g. prompt: str
  app.py:12
    async def write(self, prompt, *rest: str) -> AsyncIterator[str]:
                          ^
  It becomes the check, the docs and the form.
  fix: prompt: str

HR18 Singer.write(*rest: str): a request cannot fill this kind of parameter
  app.py:12
    async def write(self, prompt, *rest: str) -> AsyncIterator[str]:
                                   ^
  Arguments come by name, each with its own type.
  fix: async def write(self, topic: str, lines: int = 4) -> AsyncIterator[str]:

HR06 Singer.write says AsyncIterator[str] but never yields
  app.py:12
    async def write(self, prompt, *rest: str) -> AsyncIterator[str]:
                                                 ^
  A stream is made by a generator; a method that returns answers once.
  fix: yield item  # for each of them; or, for one answer: -> str; for a stream that is made elsewhere: def write

HR18 Singer.sing(words) comes from the query and is not a scalar
  app.py:16
    def sing(self, tune: bytes, words: list[str]):
                                ^
  tune takes the body, so the others come from the query.
  fix: words: str

HR05 Singer.sing: add a return type, e.g. -> Iterator[str]
  app.py:16
    def sing(self, tune: bytes, words: list[str]):
        ^
  It becomes the check of every item, the documentation and the client's type.
  fix: def sing(self, tune: bytes, words: list[str]) -> Iterator[str]:
""",
        False,
        id="several mistakes in several endpoints",
    ),
]


def target(module: ModuleType) -> type:
    """`app` if there is one, else the last service."""
    services = [each for each in vars(module).values() if hasattr(each, "__headrace_service__")]
    found: type = getattr(module, "app", services[-1])
    return found


@pytest.mark.parametrize("future", ["", FUTURE], ids=["plain", "future"])
@pytest.mark.parametrize(("source", "text", "needs_future"), MISTAKES)
def test_the_mistake_is_told_in_full(
    written: Callable[[str], ModuleType],
    told: Callable[[Callable[[], object]], str],
    source: str,
    text: str,
    needs_future: bool,
    future: str,
) -> None:
    module = written(HEAD.format(future=FUTURE if needs_future else future) + source)
    assert told(lambda: define(target(module))) == text
