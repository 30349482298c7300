"""Who does what: the allotment of tasks by sealed bids.

Pure: the same bids give the same allotment.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import NamedTuple

# Agent → task → fit.
Fits = Mapping[str, Mapping[str, int]]
# How many tasks each agent has, in the order of the agents.
Loads = tuple[int, ...]

NEUTRAL = 1  # the fit of an agent that said nothing about a task
EXACT = 400_000  # states up to which the best allotment is searched for exactly


class _Share(NamedTuple):
    """An even share: each agent may have `low` tasks, and `extra` of the agents one
    more.
    """

    low: int
    extra: int


class _Found(NamedTuple):
    """A part of an allotment: its total fit, and the number of the agent of each task
    so far.
    """

    score: int
    agents: tuple[int, ...]

    def rank(self) -> tuple[int, tuple[int, ...]]:
        """Least is best: the highest fit, then the agents that stand first by name."""
        return -self.score, self.agents


def _fit(fits: Fits, agent: str, task: str) -> int:
    return fits.get(agent, {}).get(task, NEUTRAL)


def allot(tasks: Sequence[str], agents: Sequence[str], fits: Fits) -> dict[str, str]:
    """Task → agent, with the best total fit among all even loads.

    Nobody has more than one task more than another, so nobody is without work where there
    is enough. Ties go to the agent that stands first by name.

    >>> allot(["a", "b"], ["x", "y"], {"x": {"a": 5, "b": 5}, "y": {"a": 1, "b": 4}})
    {'a': 'x', 'b': 'y'}
    """
    tasks = sorted(tasks)
    agents = sorted(agents)
    if not agents:
        return {}

    share = _Share(*divmod(len(tasks), len(agents)))

    states = (share.low + 2) ** len(agents) * len(tasks)
    if states > EXACT:
        return _greedy(tasks, agents, fits, share.low + bool(share.extra))

    # For each way to load the agents, the best allotment of the tasks so far.
    best: dict[Loads, _Found] = {(0,) * len(agents): _Found(0, ())}
    for task in tasks:
        worth = [_fit(fits, agent, task) for agent in agents]
        best = _one_task_more(best, worth, share)

    found = min(best.values(), key=_Found.rank)
    chosen = [agents[number] for number in found.agents]
    return dict(zip(tasks, chosen, strict=True))


def _one_task_more(
    best: dict[Loads, _Found], worth: list[int], share: _Share
) -> dict[Loads, _Found]:
    """The best allotments with one task more.

    `worth`: the fit of each agent for that task.
    """
    after: dict[Loads, _Found] = {}
    for loads, found in best.items():
        for i in _with_room(loads, share):
            now = (*loads[:i], loads[i] + 1, *loads[i + 1 :])
            made = _Found(
                score=found.score + worth[i],
                agents=(*found.agents, i),
            )
            known = after.get(now, made)
            after[now] = min(known, made, key=_Found.rank)

    return after


def _with_room(loads: Loads, share: _Share) -> Iterator[int]:
    """The numbers of the agents that may have one more task."""
    low, extra = share
    full = sum(load > low for load in loads) >= extra
    for i, load in enumerate(loads):
        if load < low or (load == low and not full):
            yield i


def allot_apart(
    tasks: Sequence[str],
    agents: Sequence[str],
    fits: Fits,
    proves: Collection[str],
    wrote: Collection[str] = (),
) -> dict[str, str]:
    """`allot`, with the tasks in `proves` to one agent that gets no other task.

    These tasks write journeys, and their author does not prove its own code. Nor does an
    agent that `wrote` the journeys of an earlier milestone, which go on proving. Alone, an
    agent does both.

    >>> allot_apart(["a", "b", "j"], ["x", "y"], {"x": {"j": 1}, "y": {"j": 4}}, {"j"})
    {'a': 'x', 'b': 'x', 'j': 'y'}
    >>> allot_apart(["a", "b", "j"], ["x", "y"], {"x": {"j": 1}, "y": {"j": 4}}, {"j"}, ["x"])
    {'a': 'y', 'b': 'y', 'j': 'x'}
    """
    journeys = set(tasks) & set(proves)
    others = [task for task in tasks if task not in journeys]
    known = set(agents) & set(wrote)
    alone = len(agents) < 2
    nothing_to_part = not (journeys or known) or not others
    if alone or nothing_to_part:
        return allot(tasks, agents, fits)

    provers = sorted(known or agents)
    prover = _prover(provers, journeys, fits)
    rest = set(agents) - {prover}
    free = sorted(rest - known or rest)

    chosen = allot(others, free, fits)
    for task in journeys:
        chosen[task] = prover

    return dict(sorted(chosen.items()))


def _prover(agents: Sequence[str], journeys: Collection[str], fits: Fits) -> str:
    """The agent that is fittest for the journeys; the first of those that are level."""

    def worth(agent: str) -> int:
        return sum(_fit(fits, agent, task) for task in journeys)

    return max(agents, key=worth)


def _greedy(
    tasks: Sequence[str], agents: Sequence[str], fits: Fits, cap: int
) -> dict[str, str]:
    """The best remaining pair, again and again; no agent gets more than `cap` tasks.

    This is good enough where an exact search would take minutes.
    """
    pairs = [
        (-_fit(fits, agent, task), task, agent)
        for task, agent in product(tasks, agents)
    ]

    chosen: dict[str, str] = {}
    load = dict.fromkeys(agents, 0)
    for _, task, agent in sorted(pairs):
        if task not in chosen and load[agent] < cap:
            chosen[task] = agent
            load[agent] += 1

    return dict(sorted(chosen.items()))


def reasons(
    chosen: Mapping[str, str], fits: Fits, said: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """Task → why it goes to this agent, in a line.

    `said`: agent → task → its own reason.
    """
    made = {}
    for task, agent in chosen.items():
        reason = f"fit {_fit(fits, agent, task)}"
        others = fits.keys() - {agent}
        if others:
            fit, other = max((_fit(fits, other, task), other) for other in others)
            reason += f"; next {other} with {fit}"

        why = said.get(agent, {}).get(task, "")
        if why:
            reason += f": {why}"

        made[task] = reason

    return made


def swappable(
    chosen: Mapping[str, str], fits: Fits, fixed: Collection[str] = ()
) -> list[tuple[str, str]]:
    """Pairs of tasks of two agents that could be swapped without loss to either.

    Where there is none nobody need be asked. Tasks in `fixed` stay where they are.

    >>> swappable({"a": "x", "b": "y"}, {"x": {"a": 3, "b": 3}, "y": {"a": 2, "b": 2}})
    [('a', 'b')]
    """

    def takes(agent: str, new: str, old: str) -> bool:
        return _fit(fits, agent, new) >= _fit(fits, agent, old)

    free = sorted(set(chosen) - set(fixed))
    found = []
    for a, b in combinations(free, 2):
        one = chosen[a]
        other = chosen[b]
        if one == other:
            continue
        if takes(one, new=b, old=a) and takes(other, new=a, old=b):
            found.append((a, b))

    return found


def swapped(
    chosen: Mapping[str, str], wishes: Mapping[str, tuple[str, str]]
) -> dict[str, str]:
    """The allotment after the swaps that both sides wished for.

    `wishes`: agent → (what it gives, what it takes). One each, so no two swaps clash.

    >>> swapped({"a": "x", "b": "y"}, {"x": ("a", "b"), "y": ("b", "a")})
    {'a': 'y', 'b': 'x'}
    """
    made = dict(chosen)
    for agent, wish in sorted(wishes.items()):
        give, take = wish
        other = chosen.get(take, "")
        mine = chosen.get(give) == agent

        if mine and other != agent and wishes.get(other) == (take, give):
            made[give] = other

    return made
