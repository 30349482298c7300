"""Halfpast: `python3 halfpast.py start writing the report`, `… stop`, `… report`; `--help` says the rest."""

import sys

from timelog.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
