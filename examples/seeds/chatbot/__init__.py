"""A conversation with a language model over a WebSocket: `chatbot.py` is where to begin."""
