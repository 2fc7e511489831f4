"""The interpreter that takes the place of `sys.executable`: see tests/warm.py, which writes this text into a file and adds a call of `main`.

It imports as little as it can.
"""

import json
import os
import signal
import socket
import sys


def main(python: str, address: str) -> None:
    """Run the command line: the workbench in a child of the warm process, anything else in Python."""
    words = sys.argv[1:]
    here = words[1:] if words[:1] == ["-P"] else words
    if here[:2] != ["-m", "workbench"]:
        os.execv(python, [python, *words])
    order = {"python": sys.argv[0], "words": here[2:], "folder": os.getcwd(), "environment": dict(os.environ)}  # noqa: PTH109  (pathlib takes long to import)
    with socket.socket(socket.AF_UNIX) as link, link.makefile("rb") as told:
        link.connect(address)
        socket.send_fds(link, [b" "], [0, 1, 2])
        link.sendall(json.dumps(order).encode() + b"\n")
        pid = int(told.readline() or 0)
        for number in (0, 1, 2):  # the pipes are the child's alone, so that they close with it
            os.close(number)
        sent = [signal.SIGKILL]

        def hand_on(number: int, _frame: object) -> None:
            sent.append(signal.Signals(number))
            os.kill(pid, number)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, hand_on)
        code = told.readline()
    if code:
        os._exit(int(code) & 255)
    if sent[-1] != signal.SIGKILL:
        signal.signal(sent[-1], signal.SIG_DFL)
    os.kill(os.getpid(), sent[-1])
