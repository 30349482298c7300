"""Tags of a phase that asks for one (`options: {tag: v1.0.0}`): a proof is a candidate, your yes is the version.

An annotated tag on the commit that landed the note. A tag that is there is never moved.
"""

from catherd.bus.config import Phase
from catherd.git.objects import transaction
from catherd.git.run import CATHERD, git, locked, rev


def tag_name(phase: Phase) -> str:
    """The version that the phase is to become; "" where it is tagged with nothing."""
    return str(phase.options.get("tag", ""))


def tag_candidate(root: str, phase: Phase, commit: str, app: str) -> str:
    """Tag a proof as the next candidate, once per commit; its name, "" for a phase without tags."""
    if not tag_name(phase):
        return ""
    n = 1
    while at := rev(root, f"refs/tags/{tag_name(phase)}-rc.{n}"):
        if at == commit:
            return f"{tag_name(phase)}-rc.{n}"
        n += 1
    return _tag(
        root,
        f"{tag_name(phase)}-rc.{n}",
        commit,
        f"{app}: proved by its journeys; nobody has tried it yet",
    )


def tag_final(root: str, phase: Phase, commit: str, app: str) -> str:
    """Tag what you said yes to; the name, "" for a phase without tags. Said again, it stays where it is."""
    if not tag_name(phase):
        return ""
    if rev(root, f"refs/tags/{tag_name(phase)}"):
        return tag_name(phase)
    return _tag(
        root,
        tag_name(phase),
        commit,
        f"{app}: proved by its journeys, tried and accepted by a person",
    )


def _tag(root: str, tag: str, commit: str, words: str) -> str:
    when = git(root, "log", "-1", "--format=%ct", commit)
    head = f"object {commit}\ntype commit\ntag {tag}\ntagger {CATHERD.name} <{CATHERD.email}> {when} +0000\n"
    made = git(root, "mktag", stdin=f"{head}\n{words}\n".encode())
    with locked(root):
        transaction(root, [f"create refs/tags/{tag} {made}"], f"tag {tag}")
    return tag
