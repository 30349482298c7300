"""Pull requests as files on the bus: `prs/PR-0007/`, and `prs.log` for those that are
over.

The last `head-<n>.yaml` says which commit a pull request proposes. `merged.yaml` or
`closed.yaml` says that it is over.
"""

import os

from catherd.bus import yaml_read
from catherd.bus.store import Bus, slug
from catherd.core.errors import CatherdError
from catherd.core.jobs import Slot
from catherd.core.tasks import Head, Needs, Pr, Review, View
from catherd.git import merge
from catherd.git.run import git
from catherd.git.trailers import parse_trailers

PRS_LOG = "prs.log"
# What may be in `problems/` about a PR, beside reviews that are forged.
TROUBLES = ("pr", "stuck", "branch")


def head_numbers(bus: Bus, pr: str) -> list[int]:
    """The numbers of its `head-<n>.yaml`, in order."""
    numbers = []
    for file in bus.names(f"prs/{pr}"):
        number = file.removeprefix("head-").removesuffix(".yaml")
        if file == f"head-{number}.yaml" and number.isdecimal():
            numbers.append(int(number))

    return sorted(numbers)


def last_head(bus: Bus, pr: str) -> Head | None:
    """What the PR proposes.

    None before its first head, or where the file is broken (reported).
    """
    numbers = head_numbers(bus, pr)
    if not numbers:
        return None
    return bus.look(f"prs/{pr}/head-{numbers[-1]}.yaml", Head)


def post_head(bus: Bus, pr: str, head: str, why: str, base: str = "") -> None:
    """Say that `head` is what the PR proposes from now on; once for each head."""
    last = last_head(bus, pr)
    if last is not None and last.head == head:
        return
    number = max(head_numbers(bus, pr), default=0) + 1
    bus.post(f"prs/{pr}/head-{number}.yaml", Head(head=head, why=why, base=base))
    # A person who writes a review by hand finds the folder there.
    os.makedirs(bus.here(f"prs/{pr}/reviews"), exist_ok=True)


def is_over(bus: Bus, pr: str) -> bool:
    """Whether the PR is merged or closed."""
    return is_merged(bus, pr) or bus.there(f"prs/{pr}/closed.yaml")


def is_merged(bus: Bus, pr: str) -> bool:
    """Whether the bus says that the PR is merged."""
    return bus.there(f"prs/{pr}/merged.yaml")


def read_view(bus: Bus, name: str) -> View | None:
    """A PR as its files show it.

    None while its author has not finished opening it, or where one of them is broken
    (reported).
    """
    pr = bus.look(f"prs/{name}/pr.yaml", Pr)
    heads = head_numbers(bus, name)
    last = last_head(bus, name)
    if pr is None or last is None:
        return None

    reviews: dict[str, Review] = {}
    objectors: dict[str, None] = {}  # in the order in which they objected
    rejected: set[str] = set()
    for seen, who, review in _reviews(bus, name):
        if review.verdict != "approve":
            objectors[who] = None
            rejected.add(seen)

        if seen == last.head[:12]:
            reviews[who] = _of_head(review, who, last.head)

    needs = bus.look(f"prs/{name}/needs-{last.head[:12]}.yaml", Needs)
    excused = {who for who in objectors if _excused(bus, name, last, who)}
    excused -= reviews.keys()
    return View(
        name=name,
        pr=pr,
        head=last.head,
        heads=len(heads),
        reviews=reviews,
        objectors=tuple(who for who in objectors if who not in excused),
        rejected=len(rejected),
        needs=needs,
    )


def _of_head(review: Review, who: str, head: str) -> Review:
    """The review with the head that the name of its file says.

    Only you may leave it out.
    """
    if who == "human" and not review.head:
        review.head = head
    return review


def _reviews(bus: Bus, name: str) -> list[tuple[str, str, Review]]:
    """(the first 12 digits of the head it saw, who wrote it, the review), of all heads."""
    found = []
    for file in bus.names(f"prs/{name}/reviews"):
        seen, _, who = file.removesuffix(".yaml").partition(".")
        review = bus.look(f"prs/{name}/reviews/{file}", Review)
        if review is not None:
            found.append((seen, who, review))

    return found


def _excused(bus: Bus, name: str, head: Head, who: str) -> bool:
    """Whether the slot of `who` for this head is done.

    Without a review of theirs that means that another stood in, or that they cannot
    look.
    """
    slot = Slot(name, head.head[:12], who)
    return bus.there(f"claims/done/{slot.lock}.lock")


def merged_task(bus: Bus, name: str) -> str:
    """The task of a PR that is merged, "" where nothing says so.

    Its pr.yaml says it, or the commit on main where that file cannot be read.
    """
    pr = bus.look(f"prs/{name}/pr.yaml", Pr)
    if pr is not None:
        return pr.task
    sha = merge.merged(bus.root, name)
    if not sha:
        return ""
    return parse_trailers(git(bus.root, "show", "-s", "--format=%B", sha)).task


def logged_pulls(bus: Bus) -> set[str]:
    """The PRs that are over, as `prs.log` has it.

    A PR that the log lacks is looked up. It is reported when no file stands at that
    path.
    """
    try:
        text = yaml_read.text_of(bus.here(PRS_LOG), f"bus/{PRS_LOG}", 1 << 30)
    except FileNotFoundError:
        text = ""
    except CatherdError as error:
        bus.broken(PRS_LOG, error)
        return set()

    bus.solved(PRS_LOG)
    return set(text.split()) - {"merged", "closed"}


def forget_pull(bus: Bus, pr: str) -> None:
    """Take away what `problems/` says about a PR that is merged or closed."""
    about = {f"{kind}-{pr.lower()}.yaml" for kind in TROUBLES}
    forged = f"forged-{slug(f'prs/{pr}')}-"
    for name in bus.names("problems"):
        if name in about or name.startswith(forged):
            bus.solved(name.removesuffix(".yaml"))
