"""Cuts a text into what is synthesised at once.

The first sentence is heard while the second is not made yet, and a listener who leaves costs one sentence at most.
"""

import re
import textwrap

LONGEST = 300  # characters; a text without any stop is cut between words

END = re.compile(r"(?<=[.!?;:])\s+|\n\s*")
SOUNDLESS = re.compile(r"[\x00-\x1f\x7f]+")  # and a NUL would be the end of the text in C
SPOKEN = re.compile(r"\w")


def sentences(text: str) -> list[str]:
    """The sentences of a text, each of at most `LONGEST` characters; none where there is nothing to say."""
    parts = [SOUNDLESS.sub(" ", part).strip() for part in END.split(text)]
    return [line for part in parts if SPOKEN.search(part) for line in textwrap.wrap(part, LONGEST)]
