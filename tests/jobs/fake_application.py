"""An application that supervises a ledger until somebody kills it; run as a process of its own by the tests."""

import sys
import time
from pathlib import Path

from tests.jobs.ledger import FileLedger, supervise

if __name__ == "__main__":
    supervisor = supervise(FileLedger(Path(sys.argv[1]), owner="the other application"))
    while True:
        supervisor.tick()
        time.sleep(0.02)
