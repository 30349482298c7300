"""CLI agents as hands: five programs that lie as the real ones do, and what is made of it."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from catherd.bus import config
from catherd.core.errors import CatherdError
from catherd.models import cli_spec
from catherd.models.cli_run import CliOutcome, Surroundings, run_command
from catherd.models.cli_spec import Capture, CliTranscript, Driver, Sign, Usage

FAKES = Path(__file__).parents[1] / "fakes"
EXAMPLES = Path(__file__).parents[2] / "examples"
CODEX: dict[str, Any] = {
    "final": {"type": "turn.completed"},
    "text": Capture(
        {"type": "item.completed", "item.type": "agent_message"}, "item.text"
    ),
    "usage": Usage(
        {"type": "turn.completed"},
        "usage.input_tokens",
        "usage.output_tokens",
        "usage.cached_input_tokens",
    ),
    "grace_s": 0.2,
}


def git(where: Path, *args: str) -> str:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    who = ["-c", "user.name=t", "-c", "user.email=t@t"]
    return subprocess.run(
        ["git", *who, *args],
        cwd=where,
        env=env,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A linked worktree on the branch claude/T-1."""
    repo = tmp_path / "repo"
    repo.mkdir()
    git(repo, "init", "-q", "-b", "main")
    (repo / "README.md").write_text("hello\n")
    git(repo, "add", ".")
    git(repo, "commit", "-q", "-m", "first")
    git(repo, "worktree", "add", "-q", "-b", "claude/T-1", str(tmp_path / "tree"))
    return tmp_path / "tree"


def go(
    fake: str,
    tree: Path,
    prompt: str,
    keys: tuple[str, ...] = (),
    argv: tuple[str, ...] = (),
    **more: Any,
) -> CliOutcome:
    run = {k: more.pop(k) for k in ("log", "started", "environ") if k in more}
    made = Driver(argv=[sys.executable, str(FAKES / fake), *argv], **{**CODEX, **more})
    return run_command(made, prompt, around(tree, keys=keys, **run))


def around(tree: Path, **more: Any) -> Surroundings:
    return Surroundings(worktree=str(tree), home=str(tree.parent / "home"), **more)


def dies(pid: int) -> bool:
    """Whether this process is dead within ten seconds; a killed one takes a moment."""
    return any(gone(pid) or threading.Event().wait(0.01) for _ in range(1000))


def gone(pid: int) -> bool:
    found = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True
    ).stdout.strip()
    return not found or found.startswith("Z")


def test_a_program_that_waits_for_the_end_of_stdin_gets_it(tree: Path) -> None:
    outcome = go("hang_on_stdin.py", tree, "Do it. " * 100_000)
    assert (outcome.result, outcome.changed, outcome.rc, outcome.commits) == (
        "changed",
        ["done.txt"],
        0,
        0,
    )
    assert outcome.heard == CliTranscript(
        "I read 700000 characters.",
        events=3,
        finished=True,
        prompt_tokens=120,
        cached_tokens=100,
        completion_tokens=7,
        counted=True,
    )
    assert outcome.base == git(tree, "rev-parse", "HEAD")


def test_silence_ends_at_the_idle_limit_however_much_it_mutters(tree: Path) -> None:
    outcome = go("hang_on_stdin.py", tree, "offline", idle_s=0.6)
    assert (outcome.result, outcome.detail, outcome.changed) == (
        "idle_timeout",
        "no event in 0.6 s",
        [],
    )


def test_the_wall_limit_ends_what_never_ends(tree: Path) -> None:
    outcome = go("hang_on_stdin.py", tree, "offline", wall_s=0.6)
    assert (outcome.result, outcome.detail) == ("wall_timeout", "no end in 0.6 s")


def test_a_program_that_stays_after_its_result_is_ended_and_its_result_taken(
    tree: Path,
) -> None:
    seen: list[int] = []
    outcome = go("hang_after_result.py", tree, "x", started=seen.append)
    assert (outcome.result, outcome.changed, outcome.rc) == (
        "changed",
        ["done.txt"],
        -9,
    )
    assert dies(seen[0])
    assert dies(int(outcome.heard.text.removeprefix("child ")))


CLAUDE: dict[str, Any] = {
    "final": {"type": "result"},
    "text": Capture({"type": "result"}, "result"),
    "usage": Usage({"type": "result"}, usd="total_cost_usd"),
    "signs": [
        Sign("budget", {"type": "result", "subtype": "error_max_budget_usd"}),
        Sign("auth", {"type": "result", "is_error": "true"}, says="login|api key"),
        Sign("error", {"type": "result", "is_error": "true"}),
        Sign("denied", {"type": "result"}, "permission_denials"),
    ],
}


@pytest.mark.parametrize(
    ("lie", "result", "detail"),
    [
        ("login", "auth", "Invalid API key. Please run /login"),
        ("denied", "denied", "permission_denials"),
        ("budget", "budget", "error_max_budget_usd"),
        ("nothing", "no_change", ""),
        ("silent", "no_change", "it ended without its final event: a last word"),
    ],
)
def test_exit_zero_is_believed_by_nobody(
    tree: Path, lie: str, result: str, detail: str
) -> None:
    outcome = go("lie_with_zero.py", tree, lie, **CLAUDE)
    assert (outcome.result, outcome.rc, outcome.changed) == (result, 0, [])
    assert detail in outcome.detail
    assert outcome.heard.usd == (0.0 if lie == "silent" else 0.01)


def test_a_wrong_key_is_not_tried_for_ever_and_is_not_quoted(tree: Path) -> None:
    signs = [
        Sign(
            "auth",
            {
                "type": "system",
                "subtype": "api_retry",
                "error": "authentication_failed",
            },
        )
    ]
    environ = {**os.environ, "SOME_KEY": "sk-no-good-key"}
    outcome = go(
        "lie_with_zero.py",
        tree,
        "retry",
        ("SOME_KEY",),
        environ=environ,
        **{**CLAUDE, "signs": signs},
    )
    assert outcome.result == "auth"
    assert outcome.detail.endswith('"key": "[removed: the value of SOME_KEY]"}')


def test_the_directories_that_its_environment_names_are_there(tree: Path) -> None:
    made = Driver(
        argv=["sh", "-c", 'test -d "$CODEX_HOME" && echo > done.txt'],
        events="text",
        env={"CODEX_HOME": "{home}/.codex"},
    )
    assert run_command(made, "x", around(tree)).result == "changed"


@pytest.mark.parametrize(
    ("what", "detail"),
    [
        ("branch", "it left its branch for main-but-better"),
        ("detach", "it left its branch for a detached HEAD"),
        ("rewrite", "it rewrote its branch"),
        ("hook", "it changed the repository's hooks, config or .git file"),
        ("config", "it changed the repository's hooks, config or .git file"),
    ],
)
def test_a_program_that_touches_what_is_not_its_own_is_refused(
    tree: Path, what: str, detail: str
) -> None:
    outcome = go("switch_branch.py", tree, what)
    assert (outcome.result, outcome.detail, outcome.changed) == (
        "scope_violation",
        detail,
        [],
    )


def test_a_commit_of_its_own_is_counted_and_its_files_are_listed(tree: Path) -> None:
    base = git(tree, "rev-parse", "HEAD")
    outcome = go("switch_branch.py", tree, "commit")
    assert (outcome.result, outcome.changed, outcome.commits, outcome.base) == (
        "changed",
        ["done.txt"],
        1,
        base,
    )


@pytest.mark.slow
def test_forty_megabytes_of_nonsense_hide_neither_the_result_nor_a_key(
    tree: Path, tmp_path: Path
) -> None:
    outside = {
        **{k: os.environ[k] for k in ("PATH",)},
        "OPENAI_API_KEY": "sk-mine", "ANTHROPIC_API_KEY": "sk-other", "GH_TOKEN": "ghp", "AWS_SECRET_ACCESS_KEY": "aws",
        "CLAUDECODE": "1", "CLAUDE_CODE_ENTRYPOINT": "cli", "SSH_AUTH_SOCK": "/x", "LANG": "C.UTF-8", "PYTHONPATH": "/x",
    }  # fmt: skip
    log = tmp_path / "run.jsonl"
    outcome = go(
        "spam.py", tree, "the secret plan", ("OPENAI_API_KEY",), ("--home", "{home}", "{not_a_place}"),
        environ=outside, log=str(log), litter=[".aider*"], env={"CODEX_HOME": "{home}/.codex"}, idle_s=60.0,
    )  # fmt: skip
    assert (
        outcome.result,
        outcome.changed,
        outcome.heard.completion_tokens,
        outcome.heard.events,
    ) == (
        "changed",
        ["done.txt"],
        6,
        4,
    )
    told = json.loads(outcome.heard.text)
    home = str(tmp_path / "home")
    assert told["argv"] == ["--home", home, "{not_a_place}"]
    assert told["cwd"] == str(tree)
    assert {k: v for k, v in told["env"].items() if k != "LC_CTYPE"} == {
        "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "OPENAI_API_KEY": "sk-mine", "HOME": home, "TMPDIR": f"{home}/tmp",
        "TERM": "dumb", "NO_COLOR": "1", "PAGER": "cat", "GIT_PAGER": "cat", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1",
        "XDG_CONFIG_HOME": f"{home}/.config", "XDG_DATA_HOME": f"{home}/.local/share", "XDG_CACHE_HOME": f"{home}/.cache",
        "XDG_STATE_HOME": f"{home}/.local/state", "CODEX_HOME": f"{home}/.codex",
    }  # fmt: skip
    assert log.stat().st_size < 256 * 1024  # the line of 20 MB is no part of it
    assert log.read_text().endswith(
        '{"type": "turn.completed", "usage": {"input_tokens": 5, "output_tokens": 6}}\n'
    )
    assert sorted(os.listdir(home)) == [".codex", "tmp"]


def test_a_program_that_is_not_installed_is_told_and_nothing_else_happens(
    tree: Path,
) -> None:
    made = Driver(argv=["codex-that-is-not-there", "exec"])
    outcome = run_command(made, "x", around(tree))
    assert (outcome.result, outcome.detail) == (
        "spawn_failed",
        "codex-that-is-not-there: No such file or directory",
    )


def test_a_stop_signal_takes_the_whole_group_along(tree: Path) -> None:
    class Leave(BaseException):
        pass

    pids: list[int] = []

    def leave(pid: int) -> None:
        pids.append(pid)
        raise Leave

    with pytest.raises(Leave):
        go("hang_on_stdin.py", tree, "offline", started=leave)
    assert dies(pids[0])


def test_text_without_events_is_the_answer_and_signs_are_found_in_it(
    tree: Path,
) -> None:
    said = Driver(
        argv=["sh", "-c", "echo litellm.AuthenticationError; echo x > done.txt"],
        events="text",
        signs=[Sign("auth", says="AuthenticationError")],
    )
    outcome = run_command(said, "x", around(tree))
    assert (outcome.result, outcome.heard.text) == (
        "auth",
        "litellm.AuthenticationError\n",
    )
    onerr = Driver(
        argv=["sh", "-c", "echo 'not logged in' >&2"],
        events="text",
        signs=[Sign("auth", says="not logged in", stderr=True)],
    )
    assert run_command(onerr, "x", around(tree)).result == "auth"


def test_a_file_takes_the_prompt_where_the_program_wants_one(tree: Path) -> None:
    made = Driver(
        argv=["sh", "-c", 'cat "$0" > done.txt; cat >> done.txt', "{prompt_file}"],
        prompt="file",
        events="text",
    )
    outcome = run_command(made, "the prompt", around(tree))
    assert (outcome.result, (tree / "done.txt").read_text()) == (
        "changed",
        "the prompt",
    )


def test_a_group_of_words_is_left_out_when_one_of_its_places_is_empty() -> None:
    made = Driver(argv=["x", ["-m", "{model}"], ["--budget", "{usd}"], '{"a": 1}'])
    assert cli_spec.filled(made, {"model": "m", "usd": ""}) == [
        "x",
        "-m",
        "m",
        '{"a": 1}',
    ]


@pytest.mark.parametrize(
    "name", ["claude-code", "codex", "gemini-cli", "aider", "opencode"]
)
def test_every_shipped_definition_is_an_agent_with_a_driver(name: str) -> None:
    agent = config.agent(str(EXAMPLES), f"agents/{name}.yaml")
    made = cli_spec.driver(agent.command)
    places = dict.fromkeys(
        ("worktree", "home", "prompt_file", "last", "model", "usd"), "x"
    )
    assert made.version[0] == cli_spec.filled(made, places)[0]
    assert made.keys
    assert made.signs
    assert (made.events == "text") == (not made.final)


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ({}, "command: Object missing required field `argv`"),
        ({"argv": []}, "command: argv is empty"),
        ({"argv": ["x"], "idle": 3}, "command: Object contains unknown field `idle`"),
        ({"argv": ["x"], "usd": "0"}, "command: usd is no sum of dollars"),
        ({"argv": ["x"], "usd": "nan"}, "command: usd is no sum of dollars"),
        ({"argv": ["x"], "prompt": "argv"}, "command: 'argv' is not known"),
        (
            {"argv": ["x"], "signs": [{"result": "changed"}]},
            "command: 'changed' is not known",
        ),
        (
            {"argv": ["x"], "signs": [{"result": "auth", "says": "("}]},
            "command: missing ), unterminated subpattern at position 0",
        ),
    ],
)
def test_a_wrong_command_block_is_told_with_its_fix(
    command: dict[str, Any], what: str
) -> None:
    with pytest.raises(CatherdError) as error:
        cli_spec.driver(command, "agents/x.yaml")
    assert (
        str(error.value)
        == f"agents/x.yaml: {what}\n  fix: compare with examples/agents/codex.yaml"
    )
