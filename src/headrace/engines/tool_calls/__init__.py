"""Function calls that a model writes as text: one file per form, a table of them (`forms`), and the wrapper that makes
an engine's text events into call events (`calling`).
"""
