"""The built-in chat model: 3.2 million parameters, run by numpy alone, so that all can be tried without a download.

`headrace.engines.tiny.engine` is the way in. Importing it does not import numpy; starting the engine does.
"""
