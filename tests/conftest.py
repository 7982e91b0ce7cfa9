"""One thread a test process: tiny networks lose far more to idle threads than they gain."""

from __future__ import annotations

import os
import signal

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

try:
    import torch
except ImportError:  # the engine's tests run without torch
    pass
else:
    torch.set_num_threads(1)

# A runner in the background may have been started with Ctrl-C ignored, and so would be every process
# that the tests start; some of them are about Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
