"""What is over costs nothing: finished pull requests are neither watched nor opened, a long chat is not listed for one line."""

import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from watchdog.events import FileOpenedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from catherd.bus import atomic, config
from catherd.bus.store import Bus
from catherd.bus.watch import Watch
from catherd.bus.yaml_write import dumps
from catherd.core.messages import Chat, Game, Trouble
from catherd.core.tasks import Closed, Head, Merged, Pr, Task
from catherd.game import lifecycle
from catherd.pulls import board, pr_files
from crash import lab
from support import games
from support.typed import until


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    """PR-0001 is merged, PR-0002 closed by hand, PR-0003 open; a task waits for what PR-0003 brings."""
    root = games.lay(tmp_path / "game")
    made = Bus(str(root))
    lifecycle.lay(made)
    made.post(
        "game.yaml", Game(id="g-1", branch="main", roll=list(config.agents(str(root))))
    )
    for n in (1, 2, 3):
        made.post(
            f"prs/PR-000{n}/pr.yaml",
            Pr(task=f"T-{n}", author="gemini", branch=f"gemini/T-{n}", title="Words"),
        )
        made.post(f"prs/PR-000{n}/head-1.yaml", Head(head=str(n) * 40))
        os.mkdir(made.here(f"prs/PR-000{n}/reviews"))
    made.post("prs/PR-0001/merged.yaml", Merged(commit="1" * 40))
    Path(made.here("prs/PR-0002/closed.yaml")).touch()
    made.post("tasks/T-4.yaml", Task(kind="design", title="Then", needs=["T-3"]))
    board.open_claim(made, "T-4")
    yield made
    lab.end(root)


def watched(pid: int) -> set[int]:
    """The inodes that a process has inotify watches on."""
    told = ""
    for file in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            told += file.read_text()
    lines = [line.split() for line in told.splitlines() if line.startswith("inotify ")]
    return {
        int(word[4:], 16)
        for words in lines
        for word in words
        if word.startswith("ino:")
    }


class Opened(FileSystemEventHandler):
    """What was opened below a folder, as the kernel tells it."""

    def __init__(self, folder: str) -> None:
        self.seen: list[str] = []
        self.observer = Observer()
        self.observer.schedule(
            self, folder, recursive=True, event_filter=[FileOpenedEvent]
        )
        self.observer.start()

    def on_any_event(self, event: FileSystemEvent) -> None:
        self.seen.append(os.path.relpath(str(event.src_path), start=self.folder))

    @property
    def folder(self) -> str:
        return next(iter(self.observer.emitters)).watch.path

    def stop(self) -> list[str]:
        self.observer.stop()
        self.observer.join()
        return self.seen


@pytest.mark.skipif(sys.platform != "linux", reason="counts inotify watches")
def test_a_daemon_neither_watches_nor_opens_a_pull_request_that_is_over(
    bus: Bus,
) -> None:
    over, going = (
        [bus.here("prs/PR-0001"), bus.here("prs/PR-0002")],
        bus.here("prs/PR-0003"),
    )
    opened = [Opened(folder) for folder in [*over, going]]
    command = [
        os.path.join(bus.root, ".venv/bin/catherd"),
        "agent",
        "agents/claude.yaml",
    ]
    daemon = subprocess.Popen(
        command, cwd=bus.root, env=games.env(), stdin=subprocess.DEVNULL
    )
    try:
        until(
            "what is open is watched",
            lambda: os.stat(f"{going}/reviews").st_ino in watched(daemon.pid),
        )
        for n in (1, 2):  # it looks at its desk before each answer
            atomic.publish(
                bus.path,
                f"chat/20260601T00000{n}.000Z.human.yaml",
                dumps(Chat(text="@claude and?")),
            )
            answer = Path(
                bus.here(
                    f"runs/claude/chat.20260601T00000{n}.000Z.human.reply.1.1.answer.yaml"
                )
            )
            until("it answers", answer.exists)
        assert os.stat(bus.here("prs")).st_ino in watched(daemon.pid)
        assert not {
            os.stat(f"{folder}{end}").st_ino
            for folder in over
            for end in ("", "/reviews")
        } & watched(daemon.pid)
        bus.post("prs/PR-0003/closed.yaml", Closed(why="enough"))
        until("it is let go", lambda: os.stat(going).st_ino not in watched(daemon.pid))
    finally:
        daemon.terminate()
        daemon.wait()
    merged, closed, read = [one.stop() for one in opened]
    assert (merged, closed) == ([], [])
    assert "head-1.yaml" in read


def test_what_is_over_is_known_from_one_file_and_from_the_folders_where_that_lacks(
    bus: Bus,
) -> None:
    queue = board.Desk(bus, {})
    assert queue.pulls() == ["PR-0003"]
    queue.log()
    assert Path(bus.here("prs.log")).read_text() == "PR-0001 merged\nPR-0002 closed\n"
    queue.log()
    bus.post("prs/PR-0003/merged.yaml", Merged(commit="3" * 40))
    late = board.Desk(bus, {})  # its line lacks: whoever merged it was killed there
    assert late.pulls() == []
    late.log()
    assert pr_files.logged_pulls(bus) == {"PR-0001", "PR-0002", "PR-0003"}
    bus.post(
        "prs/PR-0004/pr.yaml",
        Pr(task="T-5", author="gemini", branch="gemini/T-5", title="More"),
    )
    assert queue.pulls() == late.pulls() == ["PR-0004"]
    os.unlink(bus.here("prs.log"))
    assert board.Desk(bus, {}).pulls() == ["PR-0004"]


def test_a_directory_in_place_of_the_list_is_reported_and_nothing_else_changes(
    bus: Bus,
) -> None:
    os.mkdir(bus.here("prs.log"))
    reader = board.Desk(bus, {})
    assert reader.pulls() == ["PR-0003"]
    reader.log()
    told = bus.must("problems/prs.log.yaml", Trouble)
    assert (told.where, told.what) == ("bus/prs.log", "not a regular file")
    assert told.fix == "rm -r 'bus/prs.log' and write a file there"


def say(bus: Bus, stem: str) -> None:
    atomic.publish(bus.path, f"chat/{stem}.yaml", dumps(Chat(text=stem)))


def test_what_a_watch_names_is_taken_for_what_came_into_the_chat_until_it_is_listed_again(
    bus: Bus,
) -> None:
    say(bus, "1.gemini")
    bus.heard = deque(maxlen=3)
    assert list(bus.chat()) == ["1.gemini"]
    for stem in ("2.gemini", "3.gemini"):
        say(bus, stem)
    bus.heard.extend(["3.gemini.yaml", ".3.gemini.yaml.swp"])
    assert list(bus.chat()) == [
        "1.gemini",
        "3.gemini",
    ]  # the event of the other one was lost
    assert list(bus.chat(fresh=True)) == ["1.gemini", "2.gemini", "3.gemini"]
    say(bus, "4.gemini")
    say(bus, "5.gemini")
    bus.relist_s = 0.0
    bus.heard.append("5.gemini.yaml")
    assert list(bus.chat())[-2:] == ["3.gemini", "5.gemini"]
    assert list(bus.chat())[-2:] == ["4.gemini", "5.gemini"]  # listed, for it was due


def test_more_names_than_are_kept_an_edit_and_a_message_taken_away_are_all_seen(
    bus: Bus,
) -> None:
    bus.heard = deque(maxlen=3)
    say(bus, "1.gemini")
    bus.chat()
    for n in (2, 3, 4, 5):
        say(bus, f"{n}.gemini")
        bus.heard.append(f"{n}.gemini.yaml")
    assert list(bus.chat()) == [f"{n}.gemini" for n in (1, 2, 3, 4, 5)]
    Path(bus.here("chat/2.gemini.yaml")).write_text("text: otherwise\n")
    os.unlink(bus.here("chat/3.gemini.yaml"))
    bus.heard.extend(["2.gemini.yaml", "3.gemini.yaml"])
    said = bus.chat()
    assert (list(said), said["2.gemini"].text) == (
        [f"{n}.gemini" for n in (1, 2, 4, 5)],
        "otherwise",
    )


def test_a_watch_tells_the_names_under_chat_and_follows_what_it_is_told_to(
    bus: Bus,
) -> None:
    with Watch(bus.path, ("chat", "prs"), ("claims",)) as watch:
        say(bus, "1.gemini")
        assert watch.wait(20)
        until("the name is heard", lambda: watch.heard == deque(["1.gemini.yaml"]))
        while watch.wait(0.3):
            pass
        watch.follow(["prs/PR-0003", "prs/PR-0009"])
        assert watch.wait(20)  # at once: something may have come before it was watched
        bus.post("prs/PR-0003/reviews/333333333333.claude.yaml", Closed())
        assert watch.wait(20)
        watch.follow([])
        while watch.wait(0.3):
            pass
        bus.post("prs/PR-0003/head-2.yaml", Head(head="4" * 40))
        assert not watch.wait(0.3)
