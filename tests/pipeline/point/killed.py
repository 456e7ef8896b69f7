"""python -m tests.pipeline.point.killed key=value …: a run that is killed at its third photo."""

import os
import signal
import sys

from pipeline.__main__ import main
from pipeline.pointed_photo import PhotoPlayer

if __name__ == "__main__":
    begun, rows = [0], PhotoPlayer.rows

    def rows_or_end(*arguments):  # type: ignore[no-untyped-def]
        begun[0] += 1
        if begun[0] == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return rows(*arguments)

    PhotoPlayer.rows = rows_or_end  # type: ignore[method-assign]
    sys.exit(main())
