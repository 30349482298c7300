"""What docs/handbook/bus.md promises of every file: whole, once, never overwritten; one winner per claim; edits seen."""

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from catherd.bus import atomic, yaml_read
from catherd.bus.store import Bus
from catherd.core.messages import Ballot, Chat, Pitch
from support import games

FORK = multiprocessing.get_context("fork")
TASKS = 40


@pytest.fixture
def bus(tmp_path: Path) -> Bus:
    """A bus with nothing on it."""
    for folder in (
        ".tmp",
        "agents",
        "chat",
        "claims/open",
        "claims/done",
        "events",
        "problems",
    ):
        (tmp_path / "bus" / folder).mkdir(parents=True)
    return Bus(str(tmp_path))


@pytest.fixture(params=["", "named"], ids=["unnamed", "named"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to write what is not yet published: a file without a name, and the twin for systems that have none."""
    monkeypatch.setenv("CATHERD_PUBLISH", request.param)


def _claim(path: str, n: int, barrier: Barrier) -> None:
    barrier.wait()
    won = [
        f"T-{task:03}"
        for task in range(TASKS)
        if atomic.rename(
            path, f"claims/open/T-{task:03}.lock", f"claims/a{n}/T-{task:03}.lock"
        )
    ]
    Path(path, f"a{n}.won").write_text("\n".join(won))


def test_of_sixteen_that_claim_a_task_exactly_one_gets_it(bus: Bus) -> None:
    for task in range(TASKS):
        Path(bus.here(f"claims/open/T-{task:03}.lock")).write_text(
            f"task: T-{task:03}\n"
        )
    barrier = FORK.Barrier(16)
    crowd = [
        FORK.Process(target=_claim, args=(bus.path, n, barrier)) for n in range(16)
    ]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(60)
    won = [
        task
        for n in range(16)
        for task in Path(bus.here(f"a{n}.won")).read_text().split()
    ]
    assert sorted(won) == [f"T-{task:03}" for task in range(TASKS)]
    there = sorted(path.name for path in Path(bus.here("claims")).glob("a*/*.lock"))
    assert there == [f"T-{task:03}.lock" for task in range(TASKS)]
    assert bus.names("claims/open") == []


def _post(path: str, n: int, barrier: Barrier) -> None:
    barrier.wait()
    if atomic.publish(path, "chat/one.yaml", f"text: {n}\n" * 2_000):
        Path(path, f"a{n}.won").touch()


@pytest.mark.usefixtures("way")
def test_of_sixteen_that_post_under_one_name_one_does_and_the_others_change_nothing(
    bus: Bus,
) -> None:
    barrier = FORK.Barrier(16)
    crowd = [FORK.Process(target=_post, args=(bus.path, n, barrier)) for n in range(16)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(60)
    winners = [path.stem for path in Path(bus.path).glob("*.won")]
    assert len(winners) == 1
    assert (
        Path(bus.here("chat/one.yaml")).read_text()
        == f"text: {winners[0][1:]}\n" * 2_000
    )
    assert os.listdir(bus.here(".tmp")) == []


@pytest.mark.usefixtures("way")
def test_posting_again_never_overwrites_what_you_edited(bus: Bus) -> None:
    assert bus.post("chat/1.claude.yaml", Chat(text="first"))
    Path(bus.here("chat/1.claude.yaml")).write_text("text: yours\n")
    assert not bus.post("chat/1.claude.yaml", Chat(text="second"))
    assert Path(bus.here("chat/1.claude.yaml")).read_text() == "text: yours\n"


WRITER = """
import hashlib, sys
from catherd.bus import atomic
n = int(sys.argv[2])
while True:
    body = (hashlib.sha256(str(n).encode()).hexdigest() + "\\n") * 4_000
    atomic.publish(sys.argv[1], f"chat/{n:06}.yaml", body + hashlib.sha256(body.encode()).hexdigest())
    print(n, flush=True)
    n += 1
"""


def test_a_reader_sees_whole_files_only_however_often_the_writer_is_killed(
    bus: Bus,
) -> None:
    seen: set[str] = set()
    for life in range(6):
        first = life * 1_000
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, bus.path, str(first)],
            stdout=subprocess.PIPE,
            text=True,
            env=games.env() | {"PYTHONPATH": str(games.ROOT / "src")},
        )
        assert writer.stdout is not None
        for _ in range(3 + life):
            writer.stdout.readline()
            for name in set(os.listdir(bus.here("chat"))) - seen:
                body, _, sha = (
                    Path(bus.here(f"chat/{name}")).read_text().rpartition("\n")
                )
                assert hashlib.sha256(f"{body}\n".encode()).hexdigest() == sha, name
                seen.add(name)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    for name in os.listdir(bus.here("chat")):
        body, _, sha = Path(bus.here(f"chat/{name}")).read_text().rpartition("\n")
        assert hashlib.sha256(f"{body}\n".encode()).hexdigest() == sha, name
    atomic.sweep_writers(bus.path)
    assert os.listdir(bus.here(".tmp")) == []


def test_sweeping_leaves_what_a_living_process_is_writing(bus: Bus) -> None:
    mine = f"{os.getpid()}-{atomic.started(os.getpid())}-1-x.yaml"
    for name in (
        mine,
        f"{os.getpid()}-1-1-recycled.yaml",
        "4194304-17-1-dead.yaml",
        "stray",
    ):
        Path(bus.here(f".tmp/{name}")).touch()
    atomic.sweep_writers(bus.path)
    assert os.listdir(bus.here(".tmp")) == [mine]


def test_the_life_of_an_agent_is_its_lock_and_ends_with_it_however_it_ends(
    bus: Bus,
) -> None:
    code = "import sys, time\nfrom catherd.bus import atomic\nlock = atomic.take_lock(sys.argv[1], wait=False)\nprint(lock is not None, flush=True)\ntime.sleep(60)"
    path = bus.here("agents/claude.lock")
    assert not bus.alive("claude")
    holder = subprocess.Popen(
        [sys.executable, "-c", code, path],
        stdout=subprocess.PIPE,
        text=True,
        env=games.env() | {"PYTHONPATH": str(games.ROOT / "src")},
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    assert bus.alive("claude")
    assert atomic.take_lock(path, wait=False) is None
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert not bus.alive("claude")
    assert os.path.exists(path)


def test_an_edit_of_yours_breaks_the_seal_and_a_message_without_one_cannot_be_told_from_an_edited_one(
    bus: Bus,
) -> None:
    bus.post("debate/round-1/claude.yaml", Pitch(title="Shed", body="## User\nMarta"))
    path = Path(bus.here("debate/round-1/claude.yaml"))
    assert not bus.edited(bus.must("debate/round-1/claude.yaml", Pitch))
    path.write_text(path.read_text().replace("Marta", "Ruth"))
    assert bus.edited(bus.must("debate/round-1/claude.yaml", Pitch))
    path.write_text("title: Shed\nbody: mine\n")
    assert not bus.edited(bus.must("debate/round-1/claude.yaml", Pitch))


def test_reformatting_a_file_is_no_edit(bus: Bus) -> None:
    """The seal is over what a message says: an editor that only wraps lines or sorts keys changes nothing."""
    bus.post("debate/ballots/claude.yaml", Ballot(ranking=["hazel", ["birch", "sage"]]))
    path = Path(bus.here("debate/ballots/claude.yaml"))
    data = yaml_read.read_yaml(str(path)).data
    path.write_text(
        "# nicer\n"
        + "".join(f"{key}: {json.dumps(data[key])}\n" for key in sorted(data))
    )
    assert not bus.edited(bus.must("debate/ballots/claude.yaml", Ballot))


def test_what_editors_leave_behind_is_not_seen(bus: Bus) -> None:
    for name in (
        "a.yaml",
        ".a.yaml.swp",
        "a.yaml~",
        "#a.yaml#",
        "4913",
        ".#a.yaml",
        "a.yaml.swo",
    ):
        Path(bus.here(f"chat/{name}")).write_text("text: hi\n")
    assert bus.names("chat") == ["a.yaml"]
    assert list(bus.chat()) == ["a"]


def test_an_event_is_one_line_and_the_same_event_has_the_same_id(bus: Bus) -> None:
    bus.by = "claude"
    for _ in range(2):
        bus.event("posted", "debate/round-1/claude.yaml", turn="debate/round-1.pitch.1")
    (day,) = Path(bus.here("events")).glob("*.jsonl")
    lines = [json.loads(line) for line in day.read_text().splitlines()]
    at = lines[0].pop("at")
    assert lines[0] == {
        "v": 1,
        "id": "posted:debate/round-1/claude.yaml",
        "by": "claude",
        "kind": "posted",
        "subject": "debate/round-1/claude.yaml",
        "turn": "debate/round-1.pitch.1",
    }
    assert lines[1]["id"] == lines[0]["id"]
    assert day.stem == at[:10]


def test_trouble_is_said_once_per_content(bus: Bus) -> None:
    def said() -> int:
        return sum(
            "problem" in path.read_text()
            for path in Path(bus.here("events")).glob("*.jsonl")
        )

    for _ in range(3):
        bus.trouble("x", "bus/x.yaml", "is wrong", "rm bus/x.yaml", "sha-1")
    (day,) = Path(bus.here("events")).glob("*.jsonl")
    assert len(day.read_text().splitlines()) == said() == 1
    bus.trouble("x", "bus/x.yaml", "is wrong", "rm bus/x.yaml", "sha-2")
    assert len(day.read_text().splitlines()) == 2
    bus.solved("x")
    assert bus.names("problems") == []


def test_a_bus_that_is_taken_away_is_not_made_again(bus: Bus) -> None:
    (Path(bus.path) / ".tmp").rmdir()
    bus.event("left", "claude")
    with pytest.raises(FileNotFoundError):
        atomic.publish(bus.path, "new/x.yaml", "text: hi\n")
    assert not os.path.exists(bus.here("new"))
