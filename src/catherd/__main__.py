"""`python -m catherd` is `catherd`; a daemon that the herd starts does without what only people need (click, git)."""

import os
import sys

if sys.argv[1:2] == ["agent"] and os.environ.get("CATHERD_LOCK"):
    from catherd.agent import main as daemon

    sys.exit(daemon(os.getcwd(), sys.argv[2]))

from catherd.cli import main

main()
