"""Measurements. Nothing here is a test: `python -m bench.<name>` prints a table."""
