"""The program that Playwright starts in place of Chromium: Chromium in its own box.

`python -P -m catherd.box.browserbox INFO PROGRAM ARGS…`

The page is the agents' code. So the browser that shows it sees no file of the host, no
network but its box's own loopback, and nothing of our environment. Descriptors 3 and 4
(Playwright's pipe) are passed through. INFO is a file to write the pid of the box's
init to.
"""

import os
import sys

from catherd.box import bwrap_args
from catherd.box.bwrap_args import Bind, Launch, Limits
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
    plan = bwrap_args.plan_launch(
        Launch(
            argv=argv,
            tree=tree,
            uid=box_uid(),
            binds=binds,
            limits=_LIMITS,
            info_to=told,
            counted=False,
        )
    )
    for fd in plan.fds:
        os.set_inheritable(fd, True)

    path = bwrap_args.PATH + ":/usr/sbin:/sbin"
    os.environ["PATH"] = path
    os.execvpe(plan.argv[0], plan.argv, {"PATH": path})  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main(sys.argv[1:])
