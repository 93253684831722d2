"""Text that a language model goes on with, over HTTP: `textbot.py` is where to begin."""
