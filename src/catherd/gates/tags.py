"""Tags of a phase that asks for them, with `options: {tag: v1.0.0}`.

A proof is a candidate, `v1.0.0-rc.1`; your yes is the version, `v1.0.0`. Each is an
annotated tag on the commit that landed the note. A tag that is there is never moved.
"""

from catherd.bus.config import Phase
from catherd.git.objects import transaction
from catherd.git.run import CATHERD, git, locked, rev


def tag_name(phase: Phase) -> str:
    """The version that the phase is to become. It is "" for a phase without tags."""
    return str(phase.options.get("tag", ""))


def tag_candidate(root: str, phase: Phase, commit: str, app: str) -> str:
    """Tag a proof as the next candidate, once per commit.

    Gives the tag's name, "" for a phase without tags.
    """
    version = tag_name(phase)
    if not version:
        return ""
    number = 1
    tagged = rev(root, f"refs/tags/{version}-rc.{number}")
    while tagged and tagged != commit:
        number += 1
        tagged = rev(root, f"refs/tags/{version}-rc.{number}")

    name = f"{version}-rc.{number}"
    if not tagged:
        words = f"{app}: proved by its journeys; nobody has tried it yet"
        _tag(root, name, commit, words)

    return name


def tag_final(root: str, phase: Phase, commit: str, app: str) -> str:
    """Tag what you said yes to. Said again, the tag stays where it is.

    Gives the tag's name, "" for a phase without tags.
    """
    version = tag_name(phase)
    if version and not rev(root, f"refs/tags/{version}"):
        words = f"{app}: proved by its journeys, tried and accepted by a person"
        _tag(root, version, commit, words)

    return version


def _tag(root: str, tag: str, commit: str, words: str) -> None:
    when = git(root, "log", "-1", "--format=%ct", commit)
    tagger = f"{CATHERD.name} <{CATHERD.email}> {when} +0000"
    head = f"object {commit}\ntype commit\ntag {tag}\ntagger {tagger}\n"
    made = git(root, "mktag", stdin=f"{head}\n{words}\n".encode())
    with locked(root):
        transaction(root, [f"create refs/tags/{tag} {made}"], f"tag {tag}")
