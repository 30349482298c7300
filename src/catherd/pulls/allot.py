"""Who does what: the allotment of tasks by sealed bids. Pure, deterministic: the same bids give the same allotment."""

from collections.abc import Collection, Mapping, Sequence

NEUTRAL = 1  # the fit of whoever said nothing about a task
EXACT = 400_000  # states up to which the best allotment is searched for exactly


def allot(
    tasks: Sequence[str], agents: Sequence[str], fits: Mapping[str, Mapping[str, int]]
) -> dict[str, str]:
    """Task → agent with the best total fit among all even loads: nobody has more than one task more than another, so no one
    is without work where there is enough. Ties go to the agent that stands first by name.

    >>> allot(["a", "b"], ["x", "y"], {"x": {"a": 5, "b": 5}, "y": {"a": 1, "b": 4}})
    {'a': 'x', 'b': 'y'}
    """
    tasks, agents = sorted(tasks), sorted(agents)
    if not agents:
        return {}
    low, extra = divmod(len(tasks), len(agents))
    if (low + 2) ** len(agents) * len(tasks) > EXACT:
        return _greedy(tasks, agents, fits, low + bool(extra))
    best: dict[tuple[int, ...], tuple[int, tuple[int, ...]]] = {
        (0,) * len(agents): (0, ())
    }
    for task in tasks:
        after: dict[tuple[int, ...], tuple[int, tuple[int, ...]]] = {}
        for load, (score, path) in best.items():
            for i, name in enumerate(agents):
                more = load[i] + 1
                if more > low + 1 or (
                    more > low and sum(n > low for n in load) >= extra
                ):
                    continue
                now = (*load[:i], more, *load[i + 1 :])
                worth = (score + fits.get(name, {}).get(task, NEUTRAL), (*path, i))
                if now not in after or (-worth[0], worth[1]) < (
                    -after[now][0],
                    after[now][1],
                ):
                    after[now] = worth
        best = after
    _, path = min(best.values(), key=lambda found: (-found[0], found[1]))
    return {task: agents[i] for task, i in zip(tasks, path, strict=True)}


def allot_apart(
    tasks: Sequence[str],
    agents: Sequence[str],
    fits: Mapping[str, Mapping[str, int]],
    proves: Collection[str],
    wrote: Collection[str] = (),
) -> dict[str, str]:
    """`allot`, with the tasks in `proves` (they write journeys) to one agent that gets no other: who proves does not prove its
    own code, nor does who `wrote` the journeys of an earlier milestone, which go on proving. Alone, an agent does both.

    >>> allot_apart(["a", "b", "j"], ["x", "y"], {"x": {"j": 1}, "y": {"j": 4}}, {"j"})
    {'a': 'x', 'b': 'x', 'j': 'y'}
    >>> allot_apart(["a", "b", "j"], ["x", "y"], {"x": {"j": 1}, "y": {"j": 4}}, {"j"}, ["x"])
    {'a': 'y', 'b': 'y', 'j': 'x'}
    """
    agents = sorted(agents)
    journeys, others = (
        [t for t in tasks if t in proves],
        [t for t in tasks if t not in proves],
    )
    known = [a for a in agents if a in wrote]
    if not (journeys or known) or not others or len(agents) < 2:
        return allot(tasks, agents, fits)
    prover = max(
        known or agents,
        key=lambda a: sum(fits.get(a, {}).get(t, NEUTRAL) for t in journeys),
    )
    rest = [a for a in agents if a != prover]
    free = [a for a in rest if a not in wrote] or rest
    chosen = allot(others, free, fits) | dict.fromkeys(journeys, prover)
    return dict(sorted(chosen.items()))


def _greedy(
    tasks: Sequence[str],
    agents: Sequence[str],
    fits: Mapping[str, Mapping[str, int]],
    cap: int,
) -> dict[str, str]:
    """The best remaining pair, again and again, within an even load; good enough where an exact search would take minutes."""
    pairs = sorted(
        ((-fits.get(a, {}).get(t, NEUTRAL), t, a) for t in tasks for a in agents),
    )
    chosen: dict[str, str] = {}
    load = dict.fromkeys(agents, 0)
    for _, task, agent in pairs:
        if task not in chosen and load[agent] < cap:
            chosen[task] = agent
            load[agent] += 1
    return dict(sorted(chosen.items()))


def reasons(
    chosen: Mapping[str, str],
    fits: Mapping[str, Mapping[str, int]],
    said: Mapping[str, Mapping[str, str]],
) -> dict[str, str]:
    """Task → why this agent, in a line."""
    made = {}
    for task, agent in chosen.items():
        fit = fits.get(agent, {}).get(task)
        others = sorted(
            ((f.get(task, NEUTRAL), a) for a, f in fits.items() if a != agent),
            reverse=True,
        )
        best = f"; next {others[0][1]} with {others[0][0]}" if others else ""
        why = said.get(agent, {}).get(task, "")
        made[task] = f"fit {NEUTRAL if fit is None else fit}{best}" + (
            f": {why}" if why else ""
        )
    return made


def swappable(
    chosen: Mapping[str, str],
    fits: Mapping[str, Mapping[str, int]],
    fixed: Collection[str] = (),
) -> list[tuple[str, str]]:
    """Pairs of tasks of two agents that could be swapped without loss to either; where there is none nobody need be asked.

    >>> swappable({"a": "x", "b": "y"}, {"x": {"a": 3, "b": 3}, "y": {"a": 2, "b": 2}})
    [('a', 'b')]
    """

    def fit(agent: str, task: str) -> int:
        return fits.get(agent, {}).get(task, NEUTRAL)

    free = sorted(set(chosen) - set(fixed))
    return [
        (a, b)
        for n, a in enumerate(free)
        for b in free[n + 1 :]
        if chosen[a] != chosen[b]
        and fit(chosen[a], b) >= fit(chosen[a], a)
        and fit(chosen[b], a) >= fit(chosen[b], b)
    ]


def swapped(
    chosen: Mapping[str, str], wishes: Mapping[str, tuple[str, str]]
) -> dict[str, str]:
    """The allotment after the swaps that both sides wished for: (what I give, what I take), mirrored. One each, so none clash.

    >>> swapped({"a": "x", "b": "y"}, {"x": ("a", "b"), "y": ("b", "a")})
    {'a': 'y', 'b': 'x'}
    """
    made = dict(chosen)
    for agent, (give, take) in sorted(wishes.items()):
        other = chosen.get(take, "")
        if chosen.get(give) == agent != other and wishes.get(other) == (take, give):
            made[give] = other
    return made
