"""The forms in which models write calls, by name, and how a chat template tells which one its model writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from headrace.engines.tape import Grammar, Parser
from headrace.engines.tool_calls import hermes, llama, mistral
from headrace.errors import SetupError


@dataclass(frozen=True, slots=True)
class Form:
    """One form.

    Attributes:
        marks: a chat template with one of them is of this form,
        unlike: unless it has one of these, too: another form with the same mark.
    """

    grammar: Grammar
    marks: tuple[str, ...]
    unlike: tuple[str, ...] = ()


FORMS = {
    "hermes": Form(hermes.hermes, (hermes.START,), ("<function=", "<arg_key>")),
    "llama": Form(llama.llama, (llama.START, '{"name": function name, "parameters":')),
    "mistral": Form(mistral.mistral, (mistral.START,)),
}


def parser_for(name: str | None = None, chat_template: str | None = None) -> Callable[[], Parser] | None:
    """What makes the parser of an answer: of the form of this name, or of the one that the template shows.

    Args:
        name: a key of `FORMS`; None: see the template.
        chat_template: the model's, as written; None: it has none.

    Returns:
        None where the template shows no form that is known.

    Raises:
        SetupError: there is no form of this name.
    """
    if name is None:
        template = chat_template or ""
        found = [form for form in FORMS.values() if _shown(form.marks, template) and not _shown(form.unlike, template)]
        return partial(Parser, found[0].grammar) if found else None
    if name not in FORMS:
        raise SetupError(f"there is no form of tool calls named {name!r}; the known ones are {', '.join(FORMS)}")
    return partial(Parser, FORMS[name].grammar)


def _shown(marks: tuple[str, ...], template: str) -> bool:
    return any(mark in template for mark in marks)
