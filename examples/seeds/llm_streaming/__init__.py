"""A chat that streams, calls functions, is measured and can be stopped: `service.py` is where to begin."""
