"""`python -m catherd.herd FILE` is a daemon that the herd starts: it does without click
and git, which only people need.
"""

import os
import sys

from catherd.herd.daemon import main

if __name__ == "__main__":
    sys.exit(main(os.getcwd(), sys.argv[1]))
