"""The links between the pages."""

import posixpath
import re
from collections.abc import Iterator
from typing import NamedTuple

from catherd.design.checks.between.files import Files, finding
from catherd.design.checks.finding import Facts, Finding, Ref

_ARTIFACT = re.compile(
    r"docs/(index\.md|trace\.md|roadmap\.\w+|(ux|journeys|stories|spec|decisions|tasks)(/.*)?)$"
)
_WEB_ADDRESS = re.compile(r"[a-zA-Z][\w+.-]*:|//")
_CODE_LINES = re.compile(r"L\d+(-L\d+)?")


class _Link(NamedTuple):
    """A link to a place of the repository; `path` is relative to its root."""

    page: Facts
    ref: Ref
    path: str
    anchor: str


def lead_to_a_file(files: Files) -> Iterator[Finding]:
    """Every relative link leads to a file."""
    for link in _links(files):
        if not files.exists(link.path):
            what = f"the link leads to {link.path}, which is not there"
            severity = _severity(files, link.path)
            yield finding(link.page, "DOC005", what, link.ref, severity=severity)


def _severity(files: Files, path: str) -> str:
    """A missing file is an error below docs/, unless it may still come."""
    coming = not files.complete and _ARTIFACT.match(path)
    return "warning" if coming or not path.startswith("docs/") else "error"


def lead_to_a_heading(files: Files) -> Iterator[Finding]:
    """Every relative link with an anchor leads to a heading."""
    for link in _links(files):
        page = files.by_path.get(link.path)
        if not link.anchor or page is None or not link.path.endswith(".md"):
            continue
        known = link.anchor in page.anchors or link.anchor.lower() in page.anchors
        if not known and not _CODE_LINES.fullmatch(link.anchor):
            yield finding(
                link.page,
                "DOC006",
                f"{link.path} has no heading #{link.anchor}",
                link.ref,
                about=[link.path],
            )


def _links(files: Files) -> Iterator[_Link]:
    """The links that lead to a place which can be looked at."""
    for facts in files.by_path.values():
        for ref in facts.links:
            link = _link(facts, ref)
            if link and _within_reach(files, link.path):
                yield link


def _link(page: Facts, ref: Ref) -> _Link | None:
    """A link taken apart, or None for a web address and for one that is empty."""
    if _WEB_ADDRESS.match(ref.name):
        return None
    address, _, anchor = ref.name.partition("#")
    target, _, _ = address.partition("?")
    if target:
        return _Link(page, ref, _path(page, target), anchor)
    return _Link(page, ref, page.path, anchor) if anchor else None


def _path(page: Facts, target: str) -> str:
    """The path that a link's target means; a leading slash means the repository's root."""
    if target.startswith("/"):
        return posixpath.normpath(target.lstrip("/"))
    folder = posixpath.dirname(page.path)
    return posixpath.normpath(posixpath.join(folder, target))


def _within_reach(files: Files, path: str) -> bool:
    """Whether a path is in the repository, and not in an app that is still to be built."""
    if path.startswith(".."):
        return False
    in_app = path == "app" or path.startswith("app/")
    return not in_app or files.exists("app")
