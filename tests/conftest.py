"""For all tests, before any of them imports numpy or starts a process."""

import os
import signal

# The tests of the built-in model run beside everything else, and OpenBLAS's threads then wait for each other: one test
# took 18 s with two of them, and 1 s with one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# What a shell starts in the background begins with SIGINT ignored, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
