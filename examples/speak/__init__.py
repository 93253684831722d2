"""Text to speech: `service.py` is where to begin."""
