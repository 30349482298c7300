"""A live game: the same make, the same daemons, real LiteLLM, loopback vendors that answer by the rehearsal's content."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from catherd.bus import yaml_read
from catherd.bus.config import Agent
from catherd.bus.store import Bus
from catherd.core import ledger
from catherd.core.messages import Answer, Call, Game
from catherd.core.model import ModelError, Request, Said
from catherd.models import accounts
from support import games, live_debate
from support.vendors import Fault, Seen, Vendors

pytestmark = pytest.mark.vendors

KEYS = {"ANTHROPIC_API_KEY": "sk-ant-x", "OPENAI_API_KEY": "sk-x"}


def agent(**more: Any) -> Agent:
    also = ["gemini/gemini-3.8-flash", "anthropic/claude-opus-5-5"]
    return Agent(
        id="a",
        name="A",
        **{"model": "openai/gpt-6-sol", "key": "OPENAI_API_KEY", "also": also, **more},
    )


@pytest.mark.parametrize(
    ("environ", "more", "model"),
    [
        (KEYS, {}, "openai/gpt-6-sol"),
        (
            {"GOOGLE_API_KEY": "x", **KEYS, "OPENAI_API_KEY": ""},
            {},
            "gemini/gemini-3.8-flash",
        ),
        ({"ANTHROPIC_API_KEY": "x"}, {}, "anthropic/claude-opus-5-5"),
        ({}, {}, ""),
        ({}, {"options": {"api_base": "http://127.0.0.1:1"}}, "openai/gpt-6-sol"),
        (
            {"MISTRAL_API_KEY": "x"},
            {"model": "mistral/mistral-large-latest", "key": ""},
            "mistral/mistral-large-latest",
        ),
        (
            {},
            {"model": "ollama_chat/x", "key": "", "options": {"price": "free"}},
            "ollama_chat/x",
        ),
        ({"OPENAI_API_KEY": "x"}, {"key": "MY_OTHER_KEY", "also": []}, ""),
    ],
)
def test_an_agent_plays_on_the_first_model_that_has_a_key(
    environ: dict[str, str], more: dict[str, object], model: str
) -> None:
    assert accounts.live_model(agent(**more), environ) == model


def test_without_a_key_the_variables_that_would_do_are_named() -> None:
    with pytest.raises(ModelError) as error:
        accounts.model("", agent(), {})
    assert (
        str(error.value)
        == "auth: there is no key: set OPENAI_API_KEY or GEMINI_API_KEY or GOOGLE_API_KEY or ANTHROPIC_API_KEY"
    )


def test_a_model_without_a_price_is_told_before_the_first_call() -> None:
    with pytest.raises(ModelError) as error:
        accounts.model("", agent(model="openai/gpt-77"), KEYS)
    assert error.value.kind == "unpriced"


def test_a_key_that_comes_back_or_is_quoted_by_an_error_reaches_neither_the_bus_nor_a_screen(
    tmp_path: Path,
) -> None:
    """What only looks like a key stays in an answer: the nets before a commit send it back to its author."""
    key, other = "AIza" + "SyA1234567890abcdefghijklmnopqrstuvw", "open sesame, please"
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "m.yaml").write_text("name: M\nkey: MISTRAL_WORK_ACCOUNT\n")
    environ = {"GEMINI_API_KEY": key, "MISTRAL_WORK_ACCOUNT": other}
    error = b'{"error": {"code": "' + key.encode() + b'", "message": "no"}}'
    url = "postgres://you:" + "hunter2hunter2@localhost/db"
    with Vendors(
        lambda _: f"{key}, {other}, {url}",
        lambda seen: Fault(401, body=error) if seen.n == 2 else None,
    ) as server:
        one = agent(
            model="gemini/gemini-3.8-flash",
            key="",
            options={"api_base": server.base("gemini")},
        )
        ask = Request(
            "a",
            "t",
            one.model,
            "",
            (Said("user", f"It is {other}."),),
            options=one.options,
        )
        speaker = accounts.model(str(tmp_path), one, environ)
        mark = "[removed: the value of {}]".format
        said = speaker.complete(ask).text
        assert (
            said == f"{mark('GEMINI_API_KEY')}, {mark('MISTRAL_WORK_ACCOUNT')}, {url}"
        )
        assert (
            server.seen[0].messages[0].content
            == f"It is {mark('MISTRAL_WORK_ACCOUNT')}."
        )
        with pytest.raises(ModelError) as caught:
            speaker.complete(ask)
    assert (
        str(caught.value)
        == "auth: the key is missing, wrong or not allowed to do this (HTTP 401)"
    )


def test_no_secret_leaves_in_a_prompt_whoever_wrote_it() -> None:
    with Vendors(lambda _: "ok") as server:
        environ = {"OPENAI_API_KEY": "sk-the-very-key-itself"}
        one = agent(options={"api_base": server.base("openai")})
        words = (
            Said("user", "my key is sk-the-very-key-itself"),
            Said("assistant", "and AKIA" + "ABCDEFGHIJKLMNOP"),
        )
        accounts.model("", one, environ).complete(
            Request(
                "a",
                "t",
                one.model,
                "sk-the-very-key-itself",
                words,
                options=one.options,
            )
        )
        assert server.seen[0].key == "sk-the-very-key-itself"
        assert "sk-the-very-key-itself" not in str(server.seen[0].body)
        assert server.seen[0].system == "[removed: the value of OPENAI_API_KEY]"
        assert [m.content for m in server.seen[0].messages] == [
            "my key is [removed: the value of OPENAI_API_KEY]",
            "and [removed: AWS key]",
        ]


def test_the_options_of_a_model_are_not_those_of_its_stand_in() -> None:
    with Vendors(lambda _: "ok") as server:
        environ = {"ANTHROPIC_API_KEY": "k"}
        one = agent(
            options={
                "api_base": "http://127.0.0.1:9/nobody",
                "price": "1/1",
                "effort": "low",
            },
            key="NO_SUCH",
        )
        speaker = accounts.Speaker("k", environ, own=False)
        os.environ["ANTHROPIC_API_BASE"] = server.base("anthropic")
        try:
            speaker.complete(
                Request(
                    "a",
                    "t",
                    "anthropic/claude-opus-5-5",
                    "",
                    (Said("user", "x"),),
                    options=one.options,
                )
            )
        finally:
            del os.environ["ANTHROPIC_API_BASE"]
        assert "thinking" in server.seen[0].body


def test_the_caps_of_game_yaml_and_of_the_agent_bind(tmp_path: Path) -> None:
    (tmp_path / "bus" / ".tmp").mkdir(parents=True)
    bus = Bus(str(tmp_path))
    ask = Request(
        "a",
        "debate/round-1.pitch.1",
        "openai/gpt-6-sol",
        "s",
        (Said("user", "x"),),
        1500,
    )
    usd = accounts.reserve_call(bus, agent(), Game(id="g", roll=["a"]))(ask)
    assert usd > 0.07
    bus.post(
        "runs/a/debate.round-1.pitch.1.1.yaml",
        Call(turn=ask.turn, model="m", sha256="p", reserved_usd=1.95, phase="debate"),
    )
    with pytest.raises(ModelError) as error:
        accounts.reserve_call(bus, agent(), Game(id="g", roll=["a"]))(ask)
    said = f"budget: the cap 'debate' of $2.00 leaves $0.0500; the call may cost ${usd:.4f}: raise `debate:` under `caps:` in bus/game.yaml to go on"
    assert str(error.value) == said
    assert (
        accounts.reserve_call(
            bus, agent(), Game(id="g", roll=["a"], caps={"debate": 3.0})
        )(ask)
        == usd
    )
    with pytest.raises(ModelError) as error:
        accounts.reserve_call(
            bus,
            agent(limits={"usd": 1.96}),
            Game(id="g", roll=["a"], caps={"debate": 3.0}),
        )(ask)
    assert error.value.what.startswith("the cap 'agent' of $1.96")
    bus.post("runs/a/debate.round-1.pitch.1.1.answer.yaml", Answer(text="hi", usd=0.01))
    assert accounts.reserve_call(bus, agent(), Game(id="g", roll=["a"]))(ask) == usd
    assert [(e.kind, e.spent) for e in accounts.entries(bus)] == [("pitch", 0.01)]


def test_the_doctor_pays_for_its_calls_by_the_book_and_says_what_to_change(
    tmp_path: Path,
) -> None:
    """Each is reserved, journalled and in `make costs`; what fails has a fix, and the doctor then exits 1."""
    root = games.lay(tmp_path / "game")
    for each in (root / "agents").glob("*.yaml"):
        each.unlink()
    (root / "agents" / "sage.yaml").write_text(
        "name: Sage\nmodel: openai/gpt-6-sol\ndraw: {model: [openai/gpt-6-sol, anthropic/claude-opus-5-5, moonshot/kimi-k3]}\n"
    )
    (root / "agents" / "dill.yaml").write_text(
        "name: Dill\nmodel: mistral/mistral-large-latest\nkey: DILL_KEY\n"
    )
    with Vendors(
        lambda _: "ok",
        lambda seen: (
            Fault(401, "authentication_error") if seen.vendor == "anthropic" else None
        ),
    ) as server:
        done = games.make(
            root,
            "doctor",
            seconds=60,
            LIVE="1",
            MOONSHOT_API_KEY="",
            DILL_KEY="",
            **server.environ(),
        )
        costs, billed = games.catherd(root, "costs").stdout, server.tokens
    lines = [
        line
        for line in done.stdout.splitlines()
        if "sage" in line or "dill" in line or "fix: export" in line
    ]
    assert lines[0] == "--  dill: no key: set DILL_KEY"
    assert lines[1] == "    fix: export DILL_KEY=…"
    assert re.fullmatch(
        r"ok  sage: openai/gpt-6-sol answers in \d+\.\d s, \$2\.00/10\.00 per million tokens, this call \$0\.0000\d\d",
        lines[2],
    )
    told = "the key is missing, wrong or not allowed to do this (HTTP 401, authentication_error)"
    assert lines[3] == f"--  sage: anthropic/claude-opus-5-5: {told}"
    assert lines[4].startswith(
        "    fix: export ANTHROPIC_API_KEY= with a key that is valid, then make the goal again ("
    )
    assert len(lines) == 5
    assert done.returncode == 2, done.stderr  # make's, for the 1 of the doctor
    entries = accounts.entries(Bus(str(root)))
    assert [(e.agent, e.phase, e.answered, e.uncertain) for e in entries] == [
        ("sage", "doctor", True, False)
    ] * 2
    assert (
        sum(e.prompt_tokens for e in entries),
        sum(e.completion_tokens for e in entries),
    ) == billed
    assert f"{2:>6}{sum(e.spent for e in entries):>11.4f}" in costs
    assert 0 < max(e.reserved for e in entries) < 0.01


def test_debates_finish_with_a_fifth_of_all_answers_faulty() -> None:
    """HTTP errors, lost answers, empty, filtered, cut short, twice, prose: `bench/live.py` plays a hundred seeds of it."""
    faulty = 0
    for seed in range(3):
        debate, trouble = live_debate.play(seed, 0.2)
        faulty += trouble.faulty
        assert {
            form: sorted(said) for form, said in debate.said.items()
        } == dict.fromkeys(
            ["pitch", "objections", "answers", "final", "ballot"],
            sorted(live_debate.MODEL),
        )
        silent = {name for form, name in debate.abstained if form == "ballot"}
        assert {
            name for name, ballot in debate.said["ballot"].items() if ballot.abstain
        } == silent
        assert debate.count().winner
    assert faulty > 5


def test_a_debate_of_four_agents_on_three_vendors_is_played_live(game: Path) -> None:
    """Two of them stream. One call in eight fails in a way that is tried again; the books agree with the vendors' to the token."""
    faults = [
        Fault(503),
        Fault(429, "rate_limit_error", {"retry-after": "0.01"}),
        Fault(drop=True),
    ]

    def fault(seen: Seen) -> Fault | None:
        return faults[seen.n // 8 % 3] if seen.n % 8 == 0 else None

    for name in ("claude", "chatgpt"):
        file = game / "agents" / f"{name}.yaml"
        file.write_text(file.read_text() + 'options: {stream: "true"}\n')
    with Vendors(None, fault) as server:
        done = games.make(game, "debate", seconds=200, LIVE="1", **server.environ())
        games.make(game, "down")
        assert done.returncode == 0, done.stdout + done.stderr
        bought, vendors = server.tokens, {seen.vendor for seen, _, _ in server.billed}
        streamed = {(seen.vendor, seen.stream) for seen in server.seen}
    bus = Bus(str(game))
    entries = accounts.entries(bus)
    assert vendors == {"anthropic", "openai", "gemini"}
    assert streamed == {
        ("anthropic", True),
        ("anthropic", False),
        ("openai", True),
        ("gemini", False),
    }
    assert {e.agent for e in entries} == {"claude", "chatgpt", "gemini", "wildcard"}
    table = ledger.costs(entries)
    assert (table[0].prompt_tokens, table[0].completion_tokens) == bought
    assert 0 < table[0].usd <= 2.0
    assert (
        len(ledger.uncertain(entries))
        == sum(e.answered and e.uncertain for e in entries)
        > 0
    )
    receipt = yaml_read.read_yaml(str(game / "bus" / "gates" / "ballots.yaml")).data
    assert receipt.get("absent", []) == []
    models = {e.agent: e.model for e in entries if e.model}
    assert models["wildcard"].endswith("claude-sonnet-5-5")
    for path in (game / "bus").rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            assert all(
                key.encode() not in text
                for name, key in server.environ().items()
                if name.endswith("_KEY")
            ), path
