"""The real CLI agents, where they are installed: one turn each behind its walls, against a loopback vendor that lets it write a file.

python bench/hands.py [NAME …]     names are those of examples/agents/: claude-code codex gemini-cli aider opencode

Tells for each: its version, what the driver made of the run, what changed, the requests that it made, and what it said that it took.
Nothing leaves loopback but what the program itself tries; no key is real. Where each is pointed to the loopback is in `POINTED`.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]
NAMES = ("claude-code", "codex", "gemini-cli", "aider", "opencode")
WRITERS = (
    "Write",
    "write",
    "write_file",
    "exec_command",
    "shell",
    "shell_command",
    "local_shell",
)
WHOLE = "hello.txt\n```\nhello\n```\n"  # how aider wants a file


def pointed(
    name: str, block: dict[str, Any], server: Any, home: Path
) -> dict[str, Any]:
    """The `command:` block with its vendor at the loopback, by that program's own means."""
    env, argv = dict(block.get("env", {})), list(block["argv"])
    if name == "claude-code":
        env["ANTHROPIC_BASE_URL"] = server.base("anthropic")
    if name == "codex":
        provider = f'model_providers.x={{name="x",base_url="{server.base("openai")}",env_key="OPENAI_API_KEY",wire_api="responses"}}'
        argv[-1:] = [
            "-m",
            "gpt-5-codex",
            "-c",
            provider,
            "-c",
            'model_provider="x"',
            argv[-1],
        ]
    if name == "gemini-cli":
        env["GOOGLE_GEMINI_BASE_URL"] = f"http://127.0.0.1:{server.port}"
        settings = (
            home / ".gemini" / "settings.json"
        )  # the address alone makes it ask for a login that it does not have
        settings.parent.mkdir(parents=True)
        settings.write_text(
            json.dumps({"security": {"auth": {"selectedType": "gemini-api-key"}}})
        )
    if name == "aider":
        env["ANTHROPIC_API_BASE"] = server.base("anthropic")
    if name == "opencode":
        own = {"baseURL": f"{server.base('anthropic')}/v1", "apiKey": "sk-ant-loopback"}
        models = {
            "claude-opus-5-5": {
                "name": "loopback",
                "tool_call": True,
                "limit": {"context": 200000, "output": 8000},
            }
        }
        env["OPENCODE_CONFIG_CONTENT"] = json.dumps(
            {"provider": {"anthropic": {"options": own, "models": models}}}
        )
    model = {"gemini-cli": "gemini-2.5-flash"}.get(name, block.get("model", ""))
    return {
        **block,
        "env": env,
        "argv": argv,
        "model": model,
        "wall_s": 120,
        "idle_s": 60,
    }


def tools(body: dict[str, Any]) -> list[str]:
    """The names of the tools that a request offers."""
    offered = [
        d
        for t in body.get("tools", [])
        for d in (
            t.get("functionDeclarations") or t.get("function_declarations") or [t]
        )
    ]
    return [one.get("name", one.get("type", "")) for one in offered]


def call(seen: Any, tree: str) -> Any:
    """The first answer to whoever may write a file: the call of its tool. None for anything else."""
    from support.vendors import Fault

    name = next((one for one in WRITERS if one in tools(seen.body)), "")
    path, text = os.path.join(tree, "hello.txt"), "hello\n"
    told = json.dumps(seen.body)
    if not name or any(
        mark in told
        for mark in ("tool_result", "functionResponse", "function_call_output")
    ):
        return None
    given = {
        "Write": {"file_path": path, "content": text},
        "write": {"filePath": path, "content": text},
    }.get(name)
    given = given or {"file_path": path, "content": text}
    if "shell" in name or name == "exec_command":
        given = {
            "cmd": f"echo hello > {path}",
            "command": ["sh", "-c", f"echo hello > {path}"],
        }
        given = (
            {"command": given["command"]} if name == "shell" else {"cmd": given["cmd"]}
        )
    make = {"anthropic": _anthropic, "gemini": _gemini, "openai": _openai}[seen.vendor]
    lines = "".join(
        (f"event: {e['type']}\n" if "type" in e else "") + f"data: {json.dumps(e)}\n\n"
        for e in make(name, given, seen.model)
    )
    return Fault(body=lines.encode(), kind="text/event-stream")


def _anthropic(name: str, given: dict[str, Any], model: str) -> list[dict[str, Any]]:
    usage = {
        "input_tokens": 100,
        "output_tokens": 1,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
    }
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": json.dumps(given)},
        },
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"output_tokens": 20},
        },
        {"type": "message_stop"},
    ]


def _gemini(name: str, given: dict[str, Any], model: str) -> list[dict[str, Any]]:
    content = {
        "role": "model",
        "parts": [{"functionCall": {"name": name, "args": given}}],
    }
    usage = {
        "promptTokenCount": 100,
        "candidatesTokenCount": 20,
        "totalTokenCount": 120,
    }
    return [
        {
            "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
            "usageMetadata": usage,
            "modelVersion": model,
        }
    ]


def _openai(name: str, given: dict[str, Any], model: str) -> list[dict[str, Any]]:
    item = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": name,
        "arguments": json.dumps(given),
        "status": "completed",
    }
    usage = {
        "input_tokens": 100,
        "output_tokens": 20,
        "total_tokens": 120,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    whole = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": model,
        "status": "completed",
        "output": [item],
        "usage": usage,
    }
    return [
        {
            "type": "response.created",
            "response": {**whole, "output": [], "status": "in_progress"},
            "sequence_number": 0,
        },
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "status": "in_progress"},
            "sequence_number": 1,
        },
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": item,
            "sequence_number": 2,
        },
        {"type": "response.completed", "response": whole, "sequence_number": 3},
    ]


def turn(name: str, folder: Path) -> dict[str, Any]:
    """One run of one program in the worktree of a scratch game."""
    import figures
    import msgspec

    from catherd.bus import config
    from catherd.bus.store import Bus
    from catherd.core.model import ModelError, Request, Said
    from catherd.git import worktree
    from catherd.models import cli_model
    from support import games
    from support.git_repos import sh
    from support.vendors import Vendors

    agent = config.agent(str(ROOT / "examples"), f"agents/{name}.yaml")
    agent = msgspec.structs.replace(agent, id="claude", model="")
    root = games.lay(folder / "game")
    figures.begin(root)
    tree = worktree.begin_branch(
        str(root), "claude", "T-001", sh(root, "rev-parse", "main")
    ).path
    with Vendors(
        lambda _: WHOLE if name == "aider" else "I wrote it.",
        lambda seen: call(seen, tree),
    ) as server:
        os.environ.update(server.environ())
        agent = msgspec.structs.replace(
            agent,
            command=pointed(name, agent.command, server, root / ".catherd/home/claude"),
        )
        told: dict[str, Any] = {
            "cli": name,
            "version": cli_model.probe_program(agent).rpartition(": ")[2],
        }
        try:
            reply = cli_model.Program(Bus(str(root)), agent, tree).complete(
                Request(
                    "claude",
                    "poc/T-001.write.1",
                    "command",
                    "",
                    (Said("user", "Write hello.txt with the line hello."),),
                )
            )
            told |= {
                "text": reply.text[-120:],
                "tokens": [reply.prompt_tokens, reply.completion_tokens],
                "usd": round(reply.usd, 4),
            }
        except ModelError as error:
            told["failed"] = str(error)
        told["asked"] = [f"{one.vendor} {one.path}" for one in server.seen]
    lines = [
        line
        for path in (root / "bus/events").iterdir()
        for line in path.read_text().splitlines()
        if '"ran"' in line
    ]
    ran = [json.loads(line) for line in lines]
    told |= {
        key: one[key]
        for one in ran
        for key in ("result", "detail", "seconds", "rc")
        if key in one
    }
    hello = Path(tree) / "hello.txt"
    return told | {"wrote": hello.read_text() if hello.exists() else ""}


if __name__ == "__main__":
    for chosen in sys.argv[1:] or NAMES:
        with tempfile.TemporaryDirectory(
            dir=os.getcwd(), prefix=".bench-"
        ) as scratch:  # codex refuses a HOME under /tmp
            print(json.dumps(turn(chosen, Path(scratch))), flush=True)
