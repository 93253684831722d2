"""Speech out of text over a WebSocket: `service.py` is where to begin."""
