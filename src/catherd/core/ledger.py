"""Money: what was spent, what may be spent, and who spent it. Pure; built from the journal, so that both always agree.

Reserve the worst case, call, settle. An entry without an answer, or with one that says that it may have been billed, counts
at its reserve. No decision here looks at anything but the entries, so it holds after a `kill -9` as it did before.
"""

from collections.abc import Iterable, Mapping

import msgspec

MAY_BE_BILLED = (
    "it may have been billed"  # in the error of an answer: counts at its reserve
)
LOOP = 3  # the same prompt with the same answer, this often


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One model call. Dollars and tokens; `kind` is the kind of turn (pitch, ballot, build …); `usd` what it cost if `answered`.

    `uncertain`: answered by an error, after which it may have been billed. `prompt` and `answer` are hashes for the notice of loops.
    """

    agent: str
    phase: str
    turn: str = ""
    kind: str = ""
    reserved: float = 0.0
    answered: bool = False
    uncertain: bool = False
    usd: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    requests: int = 0
    model: str = ""
    prompt: str = ""
    answer: str = ""

    @property
    def spent(self) -> float:
        """Dollars that count: the cost, or the reserve while nobody can know better; never less than what is known."""
        return (
            self.usd
            if self.answered and not self.uncertain
            else max(self.usd, self.reserved)
        )


class Refusal(msgspec.Struct, frozen=True):
    """A call that would exceed a cap: which one (a phase's name, agent or game), dollars of the cap, spent, and wanted."""

    cap: str
    limit: float
    spent: float
    wanted: float

    def __str__(self) -> str:
        return f"the cap '{self.cap}' of ${self.limit:.2f} leaves ${max(0.0, self.limit - self.spent):.4f}; the call may cost ${self.wanted:.4f}"


class Row(msgspec.Struct, frozen=True):
    """One line of `make costs`. `of` is what the line sums over: game, agent, phase or kind; `alone` see costs()."""

    of: str
    name: str
    calls: int
    usd: float
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    uncertain: int
    uncertain_usd: float
    alone: float | None = None

    @property
    def cached_share(self) -> float:
        """Of the prompt's tokens, the part that a vendor's cache had, 0 to 1."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else 0.0


def ledger_entry(
    *,
    agent: str,
    turn: str,
    phase: str,
    reserved: float,
    error: str = "",
    answered: bool,
    **usage: object,
) -> Entry:
    """An entry from a journalled call and its answer, if there is one; `usage` are further fields of Entry."""
    said = turn.rpartition(".")[0].rpartition(".")[2] if "." in turn else ""
    kind = said.partition("-")[0]  # review-<head>, revise-2
    found = {"kind": kind, **usage}
    return msgspec.convert(
        {
            **found,
            "agent": agent,
            "turn": turn,
            "phase": phase,
            "reserved": reserved,
            "answered": answered,
            "uncertain": answered and MAY_BE_BILLED in error,
        },
        Entry,
    )


def may_spend(
    entries: Iterable[Entry],
    caps: Mapping[str, float],
    agent: str,
    phase: str,
    worst: float,
) -> Refusal | None:
    """None if `worst` dollars more stay within every cap, else the first cap that would be exceeded.

    `caps` are dollars: `agent` for each agent, `game` for everything, any other key for the phase of that name; a cap that is
    missing does not bind. A call that costs nothing is always allowed. Not a number, or less than nothing, never is.
    """
    if worst == 0:
        return None
    sums = {"agent": 0.0, phase: 0.0, "game": 0.0}
    for one in entries:
        sums["game"] += one.spent
        if one.agent == agent:
            sums["agent"] += one.spent

        if one.phase == phase and phase not in {"agent", "game"}:
            sums[phase] += one.spent

    for cap in dict.fromkeys((phase, "agent", "game")):
        limit = caps.get(cap)
        if limit is not None and not (worst > 0 and sums[cap] + worst <= limit):
            return Refusal(cap, limit, sums[cap], worst)

    return None


def most(
    caps: Mapping[str, float], phases: Iterable[str], entries: Iterable[Entry] = ()
) -> float:
    """Dollars that these phases cost at most from here on. `caps` as in may_spend(), `game` among them; a phase without one has that."""
    entries = list(entries)
    total = sum(e.spent for e in entries)
    left = sum(
        max(
            0.0,
            caps.get(p, caps["game"]) - sum(e.spent for e in entries if e.phase == p),
        )
        for p in phases
    )
    return min(left, max(0.0, caps["game"] - total))


def uncertain(entries: Iterable[Entry]) -> list[Entry]:
    """The calls that may have been billed: made, and no one knows what became of them."""
    return [e for e in entries if not e.answered or e.uncertain]


def costs(
    entries: Iterable[Entry], prices: Mapping[str, tuple[float, float]] | None = None
) -> list[Row]:
    """The rows of `make costs`: the game, then by agent, phase and kind of turn, each group by dollars, dearest first.

    The dollars of every group add up to the game's. `prices` (agent → dollars per token in, out) give each agent's `alone`:
    what it would have paid had it made every call of the game by itself, without a cache.
    """
    entries = list(entries)
    come = sum(e.prompt_tokens for e in entries)
    go = sum(e.completion_tokens for e in entries)
    rows = [_row("game", "", entries, None)]
    for of in ("agent", "phase", "kind"):
        groups: dict[str, list[Entry]] = {}
        for e in entries:
            groups.setdefault(str(getattr(e, of)), []).append(e)

        made = []
        for name, group in groups.items():
            rate = (prices or {}).get(name) if of == "agent" else None
            made.append(
                _row(
                    of,
                    name,
                    group,
                    None if rate is None else come * rate[0] + go * rate[1],
                )
            )

        rows += sorted(made, key=lambda r: (-r.usd, r.name))

    return rows


def _row(of: str, name: str, entries: list[Entry], alone: float | None) -> Row:
    unsure = uncertain(entries)
    return Row(
        of,
        name,
        len(entries),
        sum(e.spent for e in entries),
        sum(e.prompt_tokens for e in entries),
        sum(e.cached_tokens for e in entries),
        sum(e.completion_tokens for e in entries),
        len(unsure),
        sum(e.spent for e in unsure),
        alone,
    )


def looping(entries: Iterable[Entry]) -> list[tuple[str, str, int]]:
    """(agent, turn, times) of every prompt that brought the same answer LOOP times or more: money going in circles."""
    seen: dict[tuple[str, str, str], list[str]] = {}
    for e in entries:
        if e.answered and e.prompt and e.answer:
            seen.setdefault((e.agent, e.prompt, e.answer), []).append(e.turn)

    return [
        (agent, turns[-1], len(turns))
        for (agent, _, _), turns in seen.items()
        if len(turns) >= LOOP
    ]
