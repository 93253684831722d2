"""Stop strings: they end the answer and are not part of it, wherever the borders between tokens fall.

Text that may still become a stop string is held back; all other text passes at once. Where several stop strings end the
answer, the one that is complete first counts, as if the text came character by character: then the cutting into tokens
never shows.
"""

from __future__ import annotations

from collections.abc import Sequence


class StopStrings:
    """Feed it the pieces of a text; what it returns is clear of stop strings.

    Attributes:
        found: the stop string that ended the text; None: there was none yet.
    """

    def __init__(self, strings: Sequence[str]) -> None:
        self._strings = tuple(strings)
        self._held = ""
        self.found: str | None = None

    def feed(self, text: str) -> str:
        """Takes the next piece and returns what may go out; after a stop string, nothing more."""
        if not self._strings:
            return text
        if self.found is not None:
            return ""
        text = self._held + text
        places = [(at + len(string), at, string) for string in self._strings if (at := text.find(string)) >= 0]
        if places:
            _, keep, self.found = min(places)
        else:
            keep = len(text) - max(_overlap(text, string) for string in self._strings)
        self._held = "" if self.found is not None else text[keep:]
        return text[:keep]

    def end(self) -> str:
        """The text is over: what was held back did not become a stop string."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, string: str) -> int:
    """How much of the end of `text` is the beginning of `string`, in characters; never all of `string`."""
    longest = min(len(text), len(string) - 1)
    return next((length for length in range(longest, 0, -1) if text.endswith(string[:length])), 0)
