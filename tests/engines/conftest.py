"""Numpy computes on one thread, as it does where the built-in engine is the first to import it.

On busy cores its threads' waiting for each other makes the tests of models ten times slower.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
