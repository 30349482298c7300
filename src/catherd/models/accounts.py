"""What speaks for an agent in a live game, and how many dollars it may still spend.

An agent plays on its own model if its key is there, else on the first of `also:` that
has a key, else not at all. The last look for secrets before a prompt leaves is here,
whatever the prompt was made of.
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

# Dollars, where game.yaml says nothing.
CAPS = {"debate": 2.0, "plan": 5.0, "poc": 10.0, "game": 20.0}
# Vendors whose key is not in <VENDOR>_API_KEY.
_KEYS = {
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "ollama": (),
    "ollama_chat": (),
}
OWN = ("api_base", "price")  # options that belong to one model, not to its stand-in


def _usual_keys(model: str) -> tuple[str, ...]:
    """The variables that a vendor's key is usually in; empty where it wants none."""
    vendor = model.partition("/")[0]
    usual = f"{vendor.upper().replace('-', '_')}_API_KEY"
    return _KEYS.get(vendor, (usual,))


def key_of(model: str, environ: Mapping[str, str], named: str = "") -> str | None:
    """The key for `model`, None where there is none.

    It is in the variable `named` in the agent's YAML, or in the vendor's usual one. The
    key of a model that needs none is "".
    """
    names = (named,) if named else _usual_keys(model)
    if not names:
        return ""
    return next((environ[name] for name in names if environ.get(name)), None)


def keys_named(agent: Agent) -> list[str]:
    """The environment variables that would let this agent play, each once."""
    names = [agent.key] if agent.key else program_keys(agent)
    for model in [agent.model, *agent.also]:
        its_key_is_named = agent.key and model == agent.model
        if model and not its_key_is_named:
            names += _usual_keys(model)
    return list(dict.fromkeys(name for name in names if name))


def program_keys(agent: Agent) -> list[str]:
    """The environment variables with keys of the agent's program."""
    return [str(key) for key in agent.command.get("keys") or []]


def live_model(agent: Agent, environ: Mapping[str, str]) -> str:
    """The model that the agent plays on; empty when there is no key for any."""
    own = key_of(agent.model, environ, agent.key)
    # A server of one's own may want no key.
    if own is not None or agent.options.get("api_base"):
        return agent.model
    return next((m for m in agent.also if key_of(m, environ) is not None), "")


def program_of(agent: Agent, environ: Mapping[str, str]) -> str:
    """The program that speaks for an agent without a model.

    Empty when there is none, or no key for it. A program that names no key needs none.
    """
    keys = [agent.key] if agent.key else program_keys(agent)
    if keys and not any(environ.get(key) for key in keys):
        return ""
    argv = agent.command.get("argv") or [""]
    return str(argv[0])


def options_on(agent_options: Mapping[str, str], *, own: bool) -> dict[str, str]:
    """The options that hold on a model: on the agent's `own` all of them."""
    if own:
        return dict(agent_options)
    return {key: value for key, value in agent_options.items() if key not in OWN}


def model(root: str, agent: Agent, environ: Mapping[str, str] | None = None) -> Model:
    """What answers for the agent.

    Raises ModelError("auth") when it has no key, ("unpriced") when its model has no
    price.
    """
    env = os.environ if environ is None else environ
    chosen = live_model(agent, env)
    if not chosen:
        names = " or ".join(keys_named(agent))
        raise ModelError("auth", f"there is no key: set {names}")
    own = chosen == agent.model
    llm.live_price(chosen, agent.options if own else {})
    named = config.secret_names(root) | {agent.key}
    key = key_of(chosen, env, agent.key if own else "") or ""
    return Speaker(key, env, own=own, named=named)


class CapReached(ModelError):
    """A call that a cap does not allow: `cap` is its name, `refusal` the sums.

    The game pauses and asks you.
    """

    def __init__(self, refusal: Refusal) -> None:
        self.cap = refusal.cap
        self.refusal = refusal
        super().__init__(
            "budget",
            f"{refusal}: raise `{refusal.cap}:` under `caps:` in bus/game.yaml to go on",
        )


class Speaker:
    """A live model that is shown no secret and says none.

    `own` says that it is the agent's own model, so that all of its options hold.
    `named` are variables whose values are secret.
    """

    def __init__(
        self,
        key: str,
        environ: Mapping[str, str],
        *,
        own: bool,
        named: Collection[str] = (),
    ) -> None:
        self.live = llm.Live(key)
        self.environ = environ
        self.own = own
        self.named = named

    def complete(self, request: Request) -> Reply:
        """The reply, without a secret on the way out or back.

        Secrets in the prompt, and the values of your keys in what comes back, are
        replaced by a word that says what they were. Raises ModelError, with nothing of
        a key in it either: a vendor may quote the key that it does not like.
        """
        try:
            reply = self.live.complete(self._cleared(request))
        except ModelError as error:
            raise ModelError(
                error.kind,
                self._shown(error.what),
                retry_after_s=error.retry_after_s,
                requests=error.requests,
            ) from None
        return msgspec.structs.replace(
            reply,
            text=secrets.disowned(reply.text, self.environ, self.named),
            model=secrets.disowned(reply.model, self.environ, self.named),
            thinking=self._whole(reply.thinking),
        )

    def _cleared(self, request: Request) -> Request:
        """The request as it may leave."""
        messages = []
        for said in request.messages:
            content, thinking = self._shown(said.content), self._whole(said.thinking)
            messages.append(Said(said.role, content, thinking))

        return msgspec.structs.replace(
            request,
            system=self._shown(request.system),
            messages=tuple(messages),
            options=options_on(request.options, own=self.own),
        )

    def _whole(self, thinking: str) -> str:
        """The thinking as it is, for it is signed; nothing if it holds a secret."""
        if not thinking:
            return ""
        found = secrets.find_secrets(thinking, "", self.environ, self.named)
        return "" if found else thinking

    def _shown(self, text: str) -> str:
        return secrets.redact(text, environ=self.environ, named=self.named)[0]


def reserve_call(
    bus: Bus, agent: Agent, game: Game, settled: dict[str, Entry] | None = None
) -> Callable[[Request], float]:
    """A function that gives the worst case of a call in dollars, if the caps allow it.

    It raises as allow() does. `settled` is what entries() keeps between looks.
    """
    known: dict[str, Entry] = {} if settled is None else settled

    def worst(request: Request) -> float:
        usd = llm.worst_case_usd(
            request.model,
            llm.estimate(request),
            request.max_tokens,
            options_on(request.options, own=request.model == agent.model),
        )
        allow(bus, agent, game, paying_phase(request), usd, known)
        return usd

    return worst


def paying_phase(request: Request) -> str:
    """The phase whose cap pays for a call."""
    return request.phase or request.turn.partition("/")[0]


def allow(
    bus: Bus,
    agent: Agent,
    game: Game,
    phase: str,
    usd: float,
    settled: dict[str, Entry],
) -> None:
    """Check that `usd` more stay within every cap; report money going in circles.

    Raises CapReached; ModelError("rate_limited") while only what others have in the air
    stands in the way. `settled` is what entries() keeps between looks.
    """
    spent = entries(bus, settled)
    caps = {**CAPS, **game.caps}
    if "usd" in agent.limits:
        caps["agent"] = agent.limits["usd"]
    refusal = may_spend(spent, caps, agent.id, phase, usd)
    if refusal is None:
        _report_circles(bus, agent, spent)
        return
    flying = _in_the_air(bus, agent.id)
    landed = [e for e in spent if e.answered or (e.agent, e.turn) not in flying]
    if flying and may_spend(landed, caps, agent.id, phase, usd) is None:
        raise ModelError(
            "rate_limited",
            "the money is reserved for calls in the air",
            retry_after_s=2.0,
        )

    raise CapReached(refusal)


def _report_circles(bus: Bus, agent: Agent, spent: list[Entry]) -> None:
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
    """(agent, turn) of the calls that the other living agents are waiting for.

    Each waits for its newest call, if that has no answer.
    """
    found = set()
    for agent in bus.names("runs"):
        if agent == me or not bus.alive(agent):
            continue
        call = _unanswered(bus, agent)
        if call is not None:
            found.add((agent, call.turn))
    return found


def _unanswered(bus: Bus, agent: str) -> Call | None:
    """The newest call of an agent, if it has no answer."""
    names = bus.names(f"runs/{agent}")

    def written(name: str) -> int:
        return os.stat(bus.here(f"runs/{agent}/{name}")).st_mtime_ns

    newest = max(_calls(names), key=written, default="")
    if not newest or _answer_to(newest) in names:
        return None
    return bus.get(f"runs/{agent}/{newest}", Call)


def _calls(names: Collection[str]) -> list[str]:
    """Those of a journal's files that are calls."""
    return [n for n in names if n.endswith(".yaml") and not n.endswith(".answer.yaml")]


def _answer_to(call: str) -> str:
    """The file of the answer to the call in this file."""
    return call.removesuffix(".yaml") + ".answer.yaml"


def entries(bus: Bus, settled: dict[str, Entry] | None = None) -> list[Entry]:
    """Every call of the game as the journal has it.

    `settled` keeps the entries that can change no more between looks.
    """
    known = {} if settled is None else settled
    found = []
    for agent in bus.names("runs"):
        for file in sorted(_calls(set(bus.names(f"runs/{agent}")))):
            path = f"runs/{agent}/{file}"
            one = known.get(path) or _entry(bus, agent, path)
            if one is None:
                continue
            if one.answered:
                known[path] = one
            found.append(one)

    return found


def _entry(bus: Bus, agent: str, path: str) -> Entry | None:
    call = bus.get(path, Call)
    answer = bus.get(_answer_to(path), Answer)
    if call is None:
        return None
    if answer is None:
        return ledger_entry(
            agent=agent,
            turn=call.turn,
            phase=call.phase,
            reserved=call.reserved_usd,
            answered=False,
            prompt=call.sha256,
        )
    said = hashlib.sha256(answer.text.encode()).hexdigest() if answer.text else ""
    return ledger_entry(
        agent=agent,
        turn=call.turn,
        phase=call.phase,
        reserved=call.reserved_usd,
        error=answer.error,
        answered=True,
        prompt=call.sha256,
        answer=said,
        usd=answer.usd,
        prompt_tokens=answer.prompt_tokens,
        cached_tokens=answer.cached_tokens,
        completion_tokens=answer.completion_tokens,
        requests=answer.requests,
        model=answer.model,
    )
