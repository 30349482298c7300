"""Fenced blocks in what a model wrote: CommonMark's rules, plus what models do that CommonMark does not foresee.

A fence that carries an info string inside a fence of the same character opens a deeper one (models nest ```python in
```markdown; CommonMark would cut at the inner close). `~~~~~~file path=src/app.py` is a whole file, `delete path=…`
removes one. A file whose end cannot be told is an error, never a guess. Pure; linear in the length of the text.
"""

import re

import msgspec

from catherd.core import hidden

_OPEN = re.compile(
    r"^(?P<indent>[ \t]*)(?P<marks>`{3,}|~{3,})[ \t]*(?P<info>.*?)[ \t]*$"
)
_PATH = re.compile(
    r"""\bpath\s*[=:]\s*(?:"(?P<dq>[^"]*)"|'(?P<sq>[^']*)'|“(?P<cq>[^”]*)”|(?P<plain>\S+))"""
)
_FILE = re.compile(r"^(?P<verb>file|delete)\b[:\s]*(?P<rest>.*)$", re.IGNORECASE)


class File(msgspec.Struct, frozen=True):
    """A whole file of an answer: a relative POSIX path, its text with plain line ends, empty if `delete`."""

    path: str
    text: str = ""
    delete: bool = False


class Fence(msgspec.Struct, frozen=True):
    """A line that opens or closes a fence; `info` is empty for a line that may close one."""

    indent: int
    char: str
    size: int
    info: str


class Block(msgspec.Struct, frozen=True):
    """Lines `start` to `end` (both 0-based and inclusive) of one fenced block; `end` is -1 if it was never closed."""

    start: int
    end: int
    fence: Fence


class Broken(Exception):
    """The files of an answer cannot be told apart; `errors` are sentences to send back, each with its line."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


def fence_at(line: str) -> Fence | None:
    """The fence that this line opens or closes, if it is one."""
    m = _OPEN.match(line)
    if m is None:
        return None
    marks, info = m["marks"], m["info"]
    if marks[0] == "`" and "`" in info:  # ```x``` is inline code
        return None
    return Fence(len(m["indent"].expandtabs(4)), marks[0], len(marks), info)


def target(info: str) -> tuple[str, str] | None:
    """("file" or "delete", path) that an info string names, else None."""
    verb = _FILE.match(info)
    named = _PATH.search(info)
    if named is not None:
        path = next(g for g in named.group("dq", "sq", "cq", "plain") if g is not None)
        return (verb["verb"].lower() if verb else "file", path.strip())
    if verb is not None and verb["rest"].strip():
        return verb["verb"].lower(), verb["rest"].strip().strip("\"'")
    return None


def blocks(lines: list[str]) -> list[Block]:
    """The outermost fenced blocks, in order. An unclosed plain one counts as its first line only."""
    out: list[Block] = []
    # Character → shortest fence known to have no close below: this keeps it linear.
    unclosed: dict[str, int] = {}
    i = 0
    while i < len(lines):
        fence = fence_at(lines[i])
        named = target(fence.info) if fence else None
        if fence is None or (fence.indent > 3 and named is None):
            i += 1
            continue
        shortest = unclosed.get(fence.char, 1 << 30)
        end = -1
        if fence.size < shortest or named is not None:
            end = _close(lines, i, fence)
        if end < 0:
            unclosed[fence.char] = min(fence.size, shortest)
        out.append(Block(i, end, fence))
        if end < 0 and named is not None and named[0] == "file":
            return out  # truncated: the caller refuses, nothing below it can be trusted
        i = max(i, end) + 1
    return out


def _close(lines: list[str], start: int, outer: Fence) -> int:
    """The line that closes `outer`, counting fences of the same character with an info string as nested; else -1."""
    deep = [outer.size]
    if outer.info.lower().startswith("delete"):
        return _close_delete(lines, start, outer)
    for i in range(start + 1, len(lines)):
        fence = fence_at(lines[i])
        if fence is None or fence.char != outer.char or fence.size < outer.size:
            continue
        if fence.info:
            deep.append(fence.size)
        elif fence.size >= deep[-1]:
            deep.pop()
            if not deep:
                return i
    return -1


def _close_delete(lines: list[str], start: int, outer: Fence) -> int:
    """A delete needs no content and often gets no close: its own line then."""
    for i in range(start + 1, len(lines)):
        if lines[i].strip():
            fence = fence_at(lines[i])
            bare = (
                fence is not None
                and fence.char == outer.char
                and fence.size >= outer.size
                and not fence.info
            )
            return i if bare else start
    return start


def take_files(
    lines: list[str], first: int = 1
) -> tuple[list[str], list[File], list[str]]:
    """(the lines outside file fences, the files, notes). `first` is the number of the first line in the answer.

    Raises Broken: a truncated file, a path that leaves the repository, two texts for one path, an end that is a guess.
    """
    rest: list[str] = []
    files: dict[str, File] = {}
    notes: list[str] = []
    errors: list[str] = []
    shortest: dict[str, int] = {}  # character → shortest file fence closed so far
    at = 0
    for block in blocks(lines):
        n, fence = block.start + first, block.fence
        rest += lines[at : block.start]
        at = max(block.start, block.end) + 1
        found = target(fence.info)
        if found is None:
            rest += lines[block.start : at]
            _suspect(lines, block, n, shortest, errors)
            continue
        verb, path = found
        if block.end < 0:
            errors.append(
                f"line {n}: the file {path} is cut off: its closing {fence.char * fence.size} is missing; return the whole file"
            )
            break
        shortest[fence.char] = min(fence.size, shortest.get(fence.char, fence.size))
        text = (
            ""
            if verb == "delete"
            else _text(lines[block.start + 1 : block.end], fence.indent)
        )
        _keep(File(path, text, verb == "delete"), n, files, notes, errors)
    else:
        rest += lines[at:]
    if errors:
        raise Broken(errors)
    return rest, list(files.values()), notes


def _suspect(
    lines: list[str], block: Block, n: int, shortest: dict[str, int], errors: list[str]
) -> None:
    """A plain fence that may be the tail of a file, or may hide one: refuse rather than guess."""
    fence = block.fence
    if block.end < 0 and fence.char not in shortest:
        return
    if not fence.info and fence.size >= shortest.get(fence.char, 1 << 30):
        errors.append(
            f"line {n}: cannot tell where the file above ends: put files between fences longer than any inside, such as ~~~~~~~~"
        )
    elif not fence.info and any(
        (f := fence_at(x)) and target(f.info)
        for x in lines[block.start + 1 : block.end]
    ):
        errors.append(
            f"line {n}: a file stands inside another fence; put each file outside any other fence"
        )


def _keep(
    file: File, n: int, files: dict[str, File], notes: list[str], errors: list[str]
) -> None:
    wrong = path_error(file.path)
    if wrong:
        errors.append(f"line {n}: the path {file.path[:200]!r} {wrong}")
        return
    before = files.get(file.path)
    if before is not None and before != file:
        errors.append(
            f"line {n}: {file.path} is given twice, differently; return it once"
        )
    elif before is not None:
        notes.append(f"line {n}: {file.path} is given twice, the same")
    files[file.path] = file


def path_error(path: str) -> str:
    """Why `path` may not be written by an agent, or an empty string. Relative POSIX paths inside the repository only."""
    parts = path.split("/")
    if not path or len(path.encode("utf-8", "replace")) > 400:
        return "is empty or too long"
    if _leaves(path, parts):
        return "must be relative and stay inside the repository"
    if "\\" in path or "" in parts or "." in parts:
        return "must be plain, like src/app.py"
    if hidden.in_name(path):
        return "holds invisible characters"
    if ".git" in [part.lower().rstrip(". ") for part in parts]:
        return "belongs to git"
    return ""


def _leaves(path: str, parts: list[str]) -> bool:
    is_absolute = path.startswith(("/", "~")) or re.match(r"^[A-Za-z]:", path)
    return bool(is_absolute) or ".." in parts


def _text(lines: list[str], indent: int) -> str:
    """The content of a file fence, freed of the fence's own indent."""
    if indent:
        lines = [x[min(indent, len(x) - len(x.lstrip(" \t"))) :] for x in lines]
    return "".join(f"{x}\n" for x in lines)


def fenced(file: File) -> str:
    """`file` as an answer carries it, between tildes longer than any inside. The text ends with a newline or is empty."""
    longest = max(
        (f.size for x in file.text.split("\n") if (f := fence_at(x)) and f.char == "~"),
        default=0,
    )
    marks = "~" * max(6, longest + 1)
    path = f'"{file.path}"' if re.search(r"\s", file.path) else file.path
    if file.delete:
        return f"{marks}delete path={path}\n{marks}\n"
    text = file.text if not file.text or file.text.endswith("\n") else f"{file.text}\n"
    return f"{marks}file path={path}\n{text}{marks}\n"
