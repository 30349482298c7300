"""What a finished game left, brought into a form in which two games can be compared, and what is wrong with it.

Times, the game's id and the commit it landed are masked; a message of the chat is known by the turn that it came from, not
by its time.
"""

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import yaml

from support import games
from support.git_repos import sh

MASKS = (
    (re.compile(r"\d{8}T\d{6}\.\d{3}Z"), "UTC"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r"g-\d{8}-\d{6}-[0-9a-f]{4}"), "GAME"),
    (
        re.compile(r"\bPR-\d{4}\b"),
        "PR",
    ),  # in the order in which they were opened, which nobody promises
    (
        re.compile(r"\b[0-9a-f]{12}([0-9a-f]{28})?\b"),
        "SHA",
    ),  # of commits and trees, which hold times
)
LIFE = {
    "came",
    "left",
    "died",
    "crank-taken-up",
    "snapshot-failed",
    "problem",
    "goal-cleared",
}  # of processes
BILLED = "may-have-been-billed"
CALL = re.compile(
    r"runs/(?P<agent>[^/]+)/(?P<turn>.+?)\.(?P<n>\d+)(?P<answer>\.answer)?\.yaml"
)
MERGE = re.compile(
    r"^Merge \w+/", re.MULTILINE
)  # who did the task: an idle agent may take what is open for long
PROMPT = re.compile(r"^sha256: '?(\w+)", re.MULTILINE)
# Nothing that a game needs: locks, logs, and a mark that only an open round reads.
PROVED = re.compile(rb"^ *(?:- )?(?:id|against|number|verdict): .*\n", re.MULTILINE)
UNLOGGED = re.compile(r"(problems|agents|archive)/|.+/evidence\.yaml\Z")
ASIDE = re.compile(
    r"(agents/.*|\.[a-z]+\.lock|chat\.log|events/.*|runs/.*\.posted|README\.md|STEP|GO)\Z"
)


class Left(msgspec.Struct):
    """What a game left. `calls`: (agent, turn) → for each number, whether its answer is there, and the hash of its prompt;
    `answers`: the same turns, masked → how many answers.
    """

    documents: dict[str, bytes]
    chat: Counter[tuple[str, str, str]]
    landed: set[str]
    events: set[str]
    calls: dict[tuple[str, str], dict[int, tuple[bool, str]]]
    answers: Counter[tuple[str, str]]
    billed: set[str]
    files: set[str]
    commits: Counter[str]
    refs: set[str]
    yours: set[
        str
    ]  # what lies about in the checkout: git's word for it, and what is in it


def masked(text: str) -> str:
    """`text` without what differs from game to game."""
    for pattern, word in MASKS:
        text = pattern.sub(word, text)
    return text


def left(game: Path) -> Left:
    """Read what is there."""
    said = _chat(game)
    names = {stem: masked(_identity(stem, said)) for stem in said}

    def mask(text: str) -> str:
        for stem, name in names.items():
            text = text.replace(stem, name)
        return masked(text)

    events = _events(
        [
            path.read_text(errors="replace")
            for path in sorted((game / "bus/events").glob("*.jsonl"))
        ]
    )
    calls = _calls(game)
    answers = Counter[tuple[str, str]]()
    for (agent, turn), there in calls.items():
        answers[agent, mask(turn)] += sum(answered for answered, _ in there.values())
    return Left(
        documents=_documents(game, mask),
        chat=Counter(
            (names[stem], names.get(one["reply_to"], ""), masked(str(one["text"])))
            for stem, one in said.items()
        ),
        landed={_once(mask(i)) for i in _events(_landed(game)) if _kind(i) not in LIFE},
        events={_once(mask(i)) for i in events if _kind(i) not in {*LIFE, BILLED}},
        calls=calls,
        answers=answers,
        billed={i.removeprefix(f"{BILLED}:") for i in events if _kind(i) == BILLED},
        files={_once(mask(name)) for name in _files(game) if not ASIDE.match(name)},
        commits=Counter(
            MERGE.sub(
                "Merge",
                masked(sh(game, "log", "--first-parent", "--format=%s", "main")),
            ).splitlines()
        ),
        refs=set(masked(sh(game, "for-each-ref", "--format=%(refname)")).splitlines()),
        yours=checkout(game),
    )


def checkout(game: Path) -> set[str]:
    """What git says of your checkout, and what `yours` gives."""
    return set(sh(game, "status", "--porcelain").splitlines()) | yours(game)


def yours(game: Path) -> set[str]:
    """The files of `games.YOURS` that are there, with what they hold."""
    return {
        f"{name}: {(game / name).read_bytes()!r}"
        for name in games.YOURS
        if (game / name).exists()
    }


def faults(
    want: Left, got: Left, game: Path, kills: int, *, same_talk: bool = True
) -> list[str]:
    """Every way in which `got` is not what an undisturbed game leaves, or is no sane game.

    With `same_talk` the way there is compared as well, and not only what is on main: who said, claimed and read what. A
    debate promises that; who reviews whom in the later phases depends on who is free.
    """
    return [
        *_delivered(want, got),
        *(_talked(want, got) if same_talk else ()),
        *_asked_again(got, kills),
        *(f"your checkout: {one}" for one in sorted(want.yours ^ got.yours)),
        *_untidy(game),
        *_unlogged(game),
        *_repository(game),
    ]


def _delivered(want: Left, got: Left) -> list[str]:
    found = []
    for path in sorted(want.documents.keys() | got.documents.keys()):
        if want.documents.get(path) != got.documents.get(path):
            how = (
                "lacks"
                if path not in got.documents
                else "has also"
                if path not in want.documents
                else "differs in"
            )
            found.append(f"main {how} {path}")
    found += [
        f"main lacks the commit {subject}"
        for subject in (want.commits - got.commits).elements()
    ]
    found += [
        f"main has also the commit {subject}"
        for subject in (got.commits - want.commits).elements()
    ]
    return found


def _talked(want: Left, got: Left) -> list[str]:
    found = []
    found += [
        f"another turn: {key}"
        for key in sorted(got.answers.keys() ^ want.answers.keys())
    ]
    for key in sorted(got.answers.keys() & want.answers.keys()):
        if got.answers[key] != want.answers[key]:
            found.append(f"{key[0]}: {got.answers[key]} answers to {key[1]}")
    found += [
        f"the chat lacks {who}: {text[:60]}" for who, _, text in (want.chat - got.chat)
    ]
    found += [
        f"the chat has also {who}: {text[:60]}"
        for who, _, text in (got.chat - want.chat)
    ]
    for name in ("landed", "events", "files", "refs"):
        wanted, there = getattr(want, name), getattr(got, name)
        extra = {
            i for i in there - wanted if not (name == "landed" and _kind(i) == BILLED)
        }
        found += [f"{name}: lost {one}" for one in sorted(wanted - there)]
        found += [f"{name}: more {one}" for one in sorted(extra)]
    return found


def _asked_again(got: Left, kills: int) -> list[str]:
    """A call without an answer was in flight; as many as kills, each listed; never a second answer to one question."""
    found, repeats = [], 0
    for key, there in got.calls.items():
        lost = [n for n, (answered, _) in there.items() if not answered]
        repeats += len(lost)
        asked = Counter(prompt for answered, prompt in there.values() if answered)
        found += [
            f"{key[0]}: answered, and asked again: {key[1]}"
            for times in asked.values()
            if times > 1
        ]
        unlisted = {n for n in lost if f"runs/{key[0]}/{key[1]}.{n}" not in got.billed}
        if unlisted:
            found.append(
                f"{key[0]}: not listed as maybe billed: {key[1]} {sorted(unlisted)}"
            )
    if repeats != len(got.billed):
        found.append(
            f"{repeats} calls without an answer, {len(got.billed)} listed as maybe billed"
        )
    if repeats > kills:
        found.append(f"{repeats} calls asked again after {kills} kills")
    return found


def _untidy(game: Path) -> list[str]:
    found = [
        f"left over: bus/.tmp/{name}" for name in sorted(os.listdir(game / "bus/.tmp"))
    ]
    state = game / ".git/catherd"
    found += [
        f"left over: .git/catherd/{p.name}"
        for p in sorted(state.iterdir())
        if p.name.startswith("ff.yaml")
    ]
    found += [
        f"left over: {p.relative_to(game)}"
        for p in sorted((game / ".git").rglob("*.lock"))
        if state not in p.parents
    ]
    found += [
        f"told of a problem: {p.read_text()}"
        for p in sorted((game / "bus/problems").glob("*.yaml"))
    ]
    found += [
        f"not cleared: bus/{name}"
        for name in ("goal", "STEP", "GO")
        if (game / "bus" / name).exists()
    ]
    return found


def _unlogged(game: Path) -> list[str]:
    """What is posted has its line in the events."""
    ids = set(
        _events(
            [
                path.read_text(errors="replace")
                for path in sorted((game / "bus/events").glob("*.jsonl"))
            ]
        )
    )
    posted = [
        name
        for name in _files(game)
        if name.endswith(".yaml") and not UNLOGGED.match(name)
    ]
    return [
        f"not in the events: {name}"
        for name in sorted(posted)
        if f"posted:{name}" not in ids
    ]


def _repository(game: Path) -> list[str]:
    found = []
    done = subprocess.run(
        ["git", "fsck", "--strict", "--no-dangling"],
        cwd=game,
        capture_output=True,
        text=True,
    )
    if done.returncode or done.stderr.strip():
        found.append(f"git fsck: {done.returncode} {done.stdout}{done.stderr}")
    if (branch := sh(game, "rev-parse", "--abbrev-ref", "HEAD")) != "main":
        found.append(f"HEAD is at {branch}")
    kept = set(
        sh(
            game, "ls-tree", "-r", "--name-only", "refs/catherd/bus", "bus/"
        ).splitlines()
    )
    unsaved = {f"bus/{name}" for name in _files(game) if not ASIDE.match(name)} - kept
    return found + [f"not in refs/catherd/bus: {name}" for name in sorted(unsaved)]


def _documents(game: Path, mask: Callable[[str], str]) -> dict[str, bytes]:
    """What is on main, the chat and the events apart: they are compared by what they say."""
    apart = re.compile(r"docs/game/(chat\.md|events/)")
    tree = sh(game, "ls-tree", "-r", "main").splitlines()
    oids = {
        name: head.split(" ")[2]
        for head, _, name in (line.partition("\t") for line in tree)
    }
    docs = [name for name in oids if name.startswith("docs/") and not apart.match(name)]
    asked = "".join(f"{oids[name]}\n" for name in docs).encode()
    out = subprocess.run(
        ["git", "cat-file", "--batch"],
        cwd=game,
        input=asked,
        capture_output=True,
        check=True,
    ).stdout
    found = {
        name: oid.encode() for name, oid in oids.items() if not name.startswith("docs/")
    }
    for name in (
        docs
    ):  # what the game delivers is compared by its text, the rest by git's word for it
        head, _, out = out.partition(b"\n")
        size = int(head.split(b" ")[2])
        found[name], out = (
            mask(out[:size].decode(errors="replace")).encode(),
            out[size + 1 :],
        )
    for name in [
        name for name in docs if name.startswith("docs/milestones/")
    ]:  # every proof draws its words anew
        found[name] = (
            b"".join(PROVED.findall(found[name]))
            if name.endswith("/evidence.yaml")
            else b""
        )
    return found


def _landed(game: Path) -> list[str]:
    names = sh(
        game, "ls-tree", "-r", "--name-only", "main", "docs/game/events/"
    ).splitlines()
    return [sh(game, "show", f"main:{name}") for name in names]


def _events(texts: list[str]) -> list[str]:
    found = []
    for line in "\n".join(texts).splitlines():
        try:
            found.append(str(json.loads(line)["id"]))
        except ValueError:
            continue  # the last line of a killed process
    return found


def _kind(event: str) -> str:
    return event.partition(":")[0]


def _once(name: str) -> str:
    """A call that was made again is the same call."""
    return re.sub(r"(runs/[^/]+/.+?\.\d+)\.\d+((?:\.answer)?\.yaml)", r"\1.N\2", name)


def _chat(game: Path) -> dict[str, dict[str, str]]:
    found = {}
    for path in sorted((game / "bus/chat").glob("*.yaml")):
        data = yaml.safe_load(path.read_text())
        turn = data.get("wrote", {}).get("turn", "")
        found[path.stem] = {
            "text": data["text"],
            "reply_to": data.get("reply_to", ""),
            "turn": turn,
        }
    return found


def _identity(stem: str, said: dict[str, dict[str, str]]) -> str:
    """Who said it in which turn; an answer to a mention is named after the message that it answers."""
    who, turn = stem.rpartition(".")[2], said[stem]["turn"]
    asked = turn.removeprefix("chat/").partition(".reply.")[0]
    if turn.startswith("chat/") and asked in said and asked != stem:
        return f"({who} to {_identity(asked, said)})"
    return f"({who} in {turn})"


def _calls(game: Path) -> dict[tuple[str, str], dict[int, tuple[bool, str]]]:
    found: dict[tuple[str, str], dict[int, tuple[bool, str]]] = {}
    for path in sorted((game / "bus/runs").rglob("*.yaml")):
        match = CALL.fullmatch(str(path.relative_to(game / "bus")))
        if match:
            turn = found.setdefault((match["agent"], match["turn"]), {})
            answered, prompt = turn.get(int(match["n"]), (False, ""))
            if match["answer"]:
                answered = True
            elif told := PROMPT.search(path.read_text(errors="replace")):
                prompt = told[1]
            turn[int(match["n"])] = (answered, prompt)
    return found


def _files(game: Path) -> list[str]:
    bus = game / "bus"
    names = (str(path.relative_to(bus)) for path in bus.rglob("*") if path.is_file())
    return [name for name in names if not name.startswith(".tmp/")]
