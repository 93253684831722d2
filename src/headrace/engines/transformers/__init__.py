"""Any causal language model of the `transformers` library, many answers at a time.

`headrace.engines.transformers.engine` is the way in. Importing it does not import torch; starting the engine does.
"""
