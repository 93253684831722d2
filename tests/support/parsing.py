"""What a parser makes of a text, however it is cut."""

from collections.abc import Callable, Iterable

from hypothesis import strategies as st

from headrace.engines.events import EngineEvent, ReasoningDelta, TextDelta, ToolCallDelta
from headrace.engines.tape import Grammar, Parser


def parsed(grammar: Grammar, pieces: Iterable[str]) -> list[EngineEvent]:
    """All deltas, piece by piece and then at the end."""
    parser = Parser(grammar)
    return [delta for piece in pieces for delta in parser.feed(piece)] + parser.end()


def told(events: Iterable[EngineEvent]) -> list[str]:
    """The content in its order, with neighbours joined: `text`, `(reasoning)`, `name<-arguments`; no other events."""
    out: list[list[str]] = []
    kinds: list[object] = []
    for event in events:
        match event:
            case TextDelta(text):
                kind, before, content, after = "text", "", text, ""
            case ReasoningDelta(text):
                kind, before, content, after = "reasoning", "(", text, ")"
            case ToolCallDelta(number=number):
                kind, before, content, after = f"call {number}", f"{event.name}<-", event.arguments, ""
            case _:
                continue
        if not kinds or kinds[-1] != kind:
            kinds.append(kind)
            out.append([before, after])
        out[-1].insert(-1, content)
    return ["".join(parts) for parts in out]


def outcome(grammar: Grammar, pieces: Iterable[str]) -> list[str]:
    return told(parsed(grammar, pieces))


def cut_texts(fragments: list[str]) -> st.SearchStrategy[list[str]]:
    """Texts made of these fragments and anything else, as pieces cut anywhere."""
    text = st.lists(st.sampled_from(fragments) | st.text(max_size=3), max_size=12).map("".join)
    return text.flatmap(cuts)


@st.composite
def cuts(draw: Callable[[st.SearchStrategy[list[int]]], list[int]], text: str) -> list[str]:
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
