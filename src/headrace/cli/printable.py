"""Text of others, made safe for a terminal: it takes control characters for commands, and a model may write any.

Halves of characters (surrogates), which JSON can carry, cannot be printed at all.
"""

from __future__ import annotations

_UNPRINTABLE = (*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000))
_SHOWN = {**dict.fromkeys(_UNPRINTABLE, "\N{REPLACEMENT CHARACTER}"), ord("\t"): "\t", ord("\n"): "\n", ord("\r"): None}


def printable(text: str) -> str:
    """The text without control characters and halves of characters: they become U+FFFD.

    Tabs and line feeds stay, CR is left out.
    """
    return text.translate(_SHOWN)
