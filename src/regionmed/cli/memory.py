"""Freed memory is kept for the next picture, not given back to the system after each."""

import ctypes
import sys

# names and numbers of <malloc.h>, GNU C library
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """Let malloc reuse large blocks; elsewhere than on the GNU C library, do nothing.

    A forward pass frees and asks again for the same large maps; by default each is returned to
    the system, which clears every page anew: a fifth of the time of an evaluation.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
