"""A command of earpatch that tells each step that it takes in its bundle, before it takes it.

    watched.py SOCKET BUNDLE synced|unsynced ARGUMENT...

Unsynced, its fsync does nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from convert.main import main
from tests.slow.guest import Watch

if __name__ == "__main__":
    socket, bundle, synced, *arguments = sys.argv[1:]
    if synced == "unsynced":
        os.fsync = lambda fd: None  # noqa: ARG005
    with open(int(socket), "r+b", buffering=0) as port:  # noqa: PTH123
        sys.addaudithook(Watch(port, Path(bundle)))
        sys.exit(main(arguments))
