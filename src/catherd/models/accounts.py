"""Who speaks for an agent in a live game: on which model, with which key, and how many dollars it may still spend.

An agent plays on its own model if its key is there, else on the first of `also:` that has one, else not at all. The last
look for secrets before a prompt leaves is here, whatever the prompt was made of.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Mapping

import msgspec

from catherd.bus import config
from catherd.bus.config import Agent
from catherd.bus.store import Bus
from catherd.core.ledger import Entry, Refusal, ledger_entry, looping, may_spend
from catherd.core.messages import Answer, Call, Game
from catherd.core.model import Model, ModelError, Reply, Request, Said
from catherd.git import secrets
from catherd.models import llm

CAPS = {
    "debate": 2.0,
    "plan": 5.0,
    "poc": 10.0,
    "game": 20.0,
}  # dollars, where game.yaml says nothing
_KEYS = {
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "ollama": (),
    "ollama_chat": (),
}
OWN = ("api_base", "price")  # options that belong to one model, not to its stand-in


def key_of(model: str, environ: Mapping[str, str], named: str = "") -> str | None:
    """The key for `model`: of the variable `named` in the agent's YAML, or of the vendor's usual one. None: there is none."""
    vendor = model.partition("/")[0]
    names = (
        (named,)
        if named
        else _KEYS.get(vendor, (f"{vendor.upper().replace('-', '_')}_API_KEY",))
    )
    return next(
        (environ[n] for n in names if environ.get(n)), "" if names == () else None
    )


def keys_named(agent: Agent) -> list[str]:
    """The environment variables that would let this agent play."""
    names = (
        [agent.key] if agent.key else list(map(str, agent.command.get("keys") or []))
    )
    for model in filter(None, [agent.model, *agent.also]):
        vendor = model.partition("/")[0]
        names += (
            []
            if agent.key and model == agent.model
            else _KEYS.get(vendor, (f"{vendor.upper().replace('-', '_')}_API_KEY",))
        )
    return list(dict.fromkeys(n for n in names if n))


def live_model(agent: Agent, environ: Mapping[str, str]) -> str:
    """The model that the agent plays on; empty when there is no key for any."""
    own = key_of(agent.model, environ, agent.key)
    if own is not None or agent.options.get(
        "api_base"
    ):  # a server of one's own may want no key
        return agent.model
    return next((m for m in agent.also if key_of(m, environ) is not None), "")


def program_of(agent: Agent, environ: Mapping[str, str]) -> str:
    """The program that speaks for an agent without a model; empty when there is none, or no key for it. One that names no key needs none."""
    keys = [agent.key] if agent.key else agent.command.get("keys") or []
    argv = agent.command.get("argv") or [""]
    return (
        str(argv[0]) if not keys or any(environ.get(str(key)) for key in keys) else ""
    )


def model(root: str, agent: Agent, environ: Mapping[str, str] | None = None) -> Model:
    """What answers for the agent. Raises ModelError("auth") when it has no key, ("unpriced") when its model has no price."""
    env = os.environ if environ is None else environ
    chosen = live_model(agent, env)
    if not chosen:
        raise ModelError(
            "auth", f"there is no key: set {' or '.join(keys_named(agent))}"
        )
    own = chosen == agent.model
    llm.live_price(chosen, agent.options if own else {})
    named = config.secret_names(root) | {agent.key}
    return Speaker(
        key_of(chosen, env, agent.key if own else "") or "", env, own=own, named=named
    )


class CapReached(ModelError):
    """A call that a cap does not allow: `cap` is its name, `refusal` the sums. The game pauses and asks you."""

    def __init__(self, refusal: Refusal) -> None:
        self.cap, self.refusal = refusal.cap, refusal
        super().__init__(
            "budget",
            f"{refusal}: raise `{refusal.cap}:` under `caps:` in bus/game.yaml to go on",
        )


class Speaker:
    """A live model that is shown no secret and says none. `own`: it is the agent's own model, so that all of its options hold."""

    def __init__(
        self,
        key: str,
        environ: Mapping[str, str],
        *,
        own: bool,
        named: Collection[str] = (),
    ) -> None:
        self.live, self.environ, self.own, self.named = (
            llm.Live(key),
            environ,
            own,
            named,
        )

    def complete(self, request: Request) -> Reply:
        """The reply; secrets in the prompt, and the values of your keys in what comes back, are replaced by what they were.

        Raises ModelError, with nothing of a key in it either: a vendor may quote the key that it does not like.
        """
        said = tuple(
            Said(m.role, self._shown(m.content), self._whole(m.thinking))
            for m in request.messages
        )
        options = (
            request.options
            if self.own
            else {k: v for k, v in request.options.items() if k not in OWN}
        )
        system = self._shown(request.system)
        try:
            reply = self.live.complete(
                msgspec.structs.replace(
                    request, system=system, messages=said, options=options
                )
            )
        except ModelError as error:
            what, again, requests = (
                self._shown(error.what),
                error.retry_after_s,
                error.requests,
            )
            raise ModelError(
                error.kind, what, retry_after_s=again, requests=requests
            ) from None
        text = secrets.disowned(reply.text, self.environ, self.named)
        model = secrets.disowned(reply.model, self.environ, self.named)
        return msgspec.structs.replace(
            reply, text=text, model=model, thinking=self._whole(reply.thinking)
        )

    def _whole(self, thinking: str) -> str:
        """It is signed, so it stays as it is; with a secret in it, it goes as a whole."""
        return (
            ""
            if thinking and secrets.find_secrets(thinking, "", self.environ, self.named)
            else thinking
        )

    def _shown(self, text: str) -> str:
        return secrets.redact(text, environ=self.environ, named=self.named)[0]


def reserve_call(
    bus: Bus, agent: Agent, game: Game, settled: dict[str, Entry] | None = None
) -> Callable[[Request], float]:
    """The worst case of a call in dollars, if every cap allows it. Raises CapReached; ModelError("rate_limited") while only
    what others have in the air stands in the way. `settled` is what entries() keeps between looks.
    """
    known: dict[str, Entry] = {} if settled is None else settled

    def worst(request: Request) -> float:
        own = request.model == agent.model
        options = (
            request.options
            if own
            else {k: v for k, v in request.options.items() if k not in OWN}
        )
        usd = llm.worst_case_usd(
            request.model, llm.estimate(request), request.max_tokens, options
        )
        allow(
            bus,
            agent,
            game,
            request.phase or request.turn.partition("/")[0],
            usd,
            known,
        )
        return usd

    return worst


def allow(
    bus: Bus,
    agent: Agent,
    game: Game,
    phase: str,
    usd: float,
    settled: dict[str, Entry],
) -> None:
    """Nothing, if `usd` more stay within every cap; raises as reserve() does. Says it when the agent goes in circles."""
    spent = entries(bus, settled)
    caps = {
        **CAPS,
        **game.caps,
        **({"agent": agent.limits["usd"]} if "usd" in agent.limits else {}),
    }
    refusal = may_spend(spent, caps, agent.id, phase, usd)
    if refusal is not None:
        flying = _in_the_air(bus, agent.id)
        landed = [e for e in spent if e.answered or (e.agent, e.turn) not in flying]
        if flying and may_spend(landed, caps, agent.id, phase, usd) is None:
            raise ModelError(
                "rate_limited",
                "the money is reserved for calls in the air",
                retry_after_s=2.0,
            )
        raise CapReached(refusal)
    for who, turn, times in looping(spent):
        if who == agent.id:
            bus.trouble(
                f"loop-{who}",
                f"bus/runs/{who}/{turn.replace('/', '.')}.1.yaml",
                f"{agent.name} gave the same answer to the same prompt {times} times: money going in circles?",
                f"make costs shows what it cost; touch bus/PAUSE stops it; rm bus/problems/loop-{who}.yaml",
                f"{turn} {times}",
            )


def _in_the_air(bus: Bus, me: str) -> set[tuple[str, str]]:
    """(agent, turn) of the calls that the other living agents are waiting for: for each the newest, if it has no answer."""
    found = set()
    for agent in bus.names("runs"):
        if agent == me or not bus.alive(agent):
            continue
        names = bus.names(f"runs/{agent}")
        calls = [
            n for n in names if n.endswith(".yaml") and not n.endswith(".answer.yaml")
        ]
        newest = max(
            calls,
            key=lambda n: os.stat(bus.here(f"runs/{agent}/{n}")).st_mtime_ns,
            default="",
        )
        if newest and newest.removesuffix(".yaml") + ".answer.yaml" not in names:
            call = bus.get(f"runs/{agent}/{newest}", Call)
            found |= {(agent, call.turn)} if call is not None else set()
    return found


def entries(bus: Bus, settled: dict[str, Entry] | None = None) -> list[Entry]:
    """Every call of the game as the journal has it. `settled` keeps what can change no more between looks."""
    known = {} if settled is None else settled
    found = []
    for agent in bus.names("runs"):
        names = set(bus.names(f"runs/{agent}"))
        for file in sorted(
            n for n in names if n.endswith(".yaml") and not n.endswith(".answer.yaml")
        ):
            path = f"runs/{agent}/{file}"
            one = known.get(path) or _entry(bus, agent, path)
            if one is None:
                continue
            if one.answered:
                known[path] = one
            found.append(one)
    return found


def _entry(bus: Bus, agent: str, path: str) -> Entry | None:
    call, answer = (
        bus.get(path, Call),
        bus.get(path.removesuffix(".yaml") + ".answer.yaml", Answer),
    )
    if call is None:
        return None
    usage = {
        f: getattr(answer, f)
        for f in (
            "usd",
            "prompt_tokens",
            "cached_tokens",
            "completion_tokens",
            "requests",
            "model",
        )
        if answer is not None
    }
    said = (
        hashlib.sha256(answer.text.encode()).hexdigest()
        if answer is not None and answer.text
        else ""
    )
    return ledger_entry(
        agent=agent,
        turn=call.turn,
        phase=call.phase,
        reserved=call.reserved_usd,
        error=answer.error if answer else "",
        answered=answer is not None,
        prompt=call.sha256,
        answer=said,
        **usage,
    )
