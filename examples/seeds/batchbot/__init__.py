"""Prompts of several clients, run together and streamed to each: `batchbot.py` is where to begin."""
