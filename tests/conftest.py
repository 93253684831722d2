"""For all tests, before any of them imports numpy."""

import os

# The tests of the built-in model run beside everything else, and OpenBLAS's threads then wait for each other: one test
# took 18 s with two of them, and 1 s with one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
