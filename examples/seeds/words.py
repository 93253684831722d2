"""Text as whole words: what a model says comes in tokens, and a token may be half a word."""

import re

COMPLETE = re.compile(r".*[\s\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]", re.DOTALL)
"""Up to the last space, line break, or character of a script that writes no spaces."""


class Words:
    """Holds text back until its last word is complete."""

    def __init__(self) -> None:
        self.held = ""  # no word of it is complete

    def feed(self, text: str) -> str:
        """The words that this text completes; empty where it completes none."""
        complete = COMPLETE.match(text)
        if complete is None:
            self.held += text
            return ""
        words, self.held = self.held + complete.group(), text[complete.end() :]
        return words

    def finish(self) -> str:
        """The last word, when no more text comes."""
        return self.held
