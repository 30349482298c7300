"""What Playwright starts in place of Chromium: Chromium in a box of its own. `python -P -m catherd.box.browserbox INFO PROGRAM ARGS…`.

The page is the agents' code, so the browser that shows it sees no file of the host, no network but its box's own loopback, and none of our
environment. Descriptors 3 and 4 (Playwright's pipe) are passed through. INFO is the file that is told the pid of the box's init.
"""

import os
import sys

from catherd.box import bwrap_args
from catherd.box.bwrap_args import Bind, Limits
from catherd.box.tiers import box_uid

_NEEDS = (
    "/etc/chromium",
    "/etc/chromium.d",
    "/etc/fonts",
    "/opt/google",
    "/etc/opt/chrome",
)
_LIMITS = Limits(cpu_s=0, address_mb=0, processes=1024, files=4096, file_mb=512)


def main(words: list[str]) -> None:
    """Become the box; does not return."""
    info, argv = words[0], words[1:]
    tree = os.path.join(os.path.dirname(info), "tree")
    binds = tuple(
        Bind(host=path, inside=path) for path in _NEEDS if os.path.exists(path)
    )
    told = os.open(info, os.O_WRONLY)
    plan = bwrap_args.plan(
        argv,
        tree,
        binds,
        _LIMITS,
        mode="copy",
        cwd=".",
        uid=box_uid(),
        info_to=told,
        counted=False,
    )
    for fd in plan.fds:
        os.set_inheritable(fd, True)
    path = bwrap_args.PATH + ":/usr/sbin:/sbin"
    os.environ["PATH"] = path
    os.execvpe(plan.argv[0], plan.argv, {"PATH": path})  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main(sys.argv[1:])
