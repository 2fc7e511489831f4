"""A child process's own ends of the pipes that it was started with."""

from __future__ import annotations

import os
from typing import BinaryIO


def take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """What came in on stdin and goes out on stdout, for the protocol alone.

    File descriptor 1 then leads to stderr, so that whatever libraries print does no harm, and nothing can read from 0 any more.
    """
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return requests, replies
