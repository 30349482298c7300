"""Measures how code is written: `python tests/support/measure.py FOLDER [--all]` prints the tables that `make house` shows.

Nodes a line: the median, over functions of 8 lines or more, of the syntax nodes in a function's body by the lines of that
body, its docstring left out. It tells whether code is dense.

Complexity is McCabe's: 1, and 1 for each `if`, loop, `except`, `assert`, case, comprehension and condition of one, inline
`if`, and further operand of `and` or `or`.
"""

import ast
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

Definition = ast.FunctionDef | ast.AsyncFunctionDef
BRANCHES = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.IfExp,
    ast.Assert,
    ast.match_case,
)
FOLDED = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.IfExp)
WHOLE = 8  # lines from which a function counts for the density


class Function(NamedTuple):
    """One function as measured. `nodes` is 0 where its body has fewer than `WHOLE` lines."""

    module: str
    name: str
    lines: int
    complexity: int
    parameters: int
    nodes: float


class House(NamedTuple):
    """What was measured: each module's lines, every function, and how many folded expressions there are."""

    lines: dict[str, int]
    functions: list[Function]
    folded: int

    @property
    def density(self) -> float:
        return statistics.median(one.nodes for one in self.functions if one.nodes)

    @property
    def branched(self) -> float:
        """The share of functions with a complexity above 10, in percent."""
        many = [one for one in self.functions if one.complexity > 10]
        return 100 * len(many) / len(self.functions)

    def densities(self) -> dict[str, float]:
        """Module → the median of its functions' nodes a line."""
        found = defaultdict(list)
        for one in self.functions:
            if one.nodes:
                found[one.module].append(one.nodes)
        return {module: statistics.median(each) for module, each in found.items()}


def measure(folder: Path) -> House:
    """Measure every module below `folder`, the rehearsal's packs left out."""
    lines: dict[str, int] = {}
    functions: list[Function] = []
    folded = 0
    for path in sorted(folder.rglob("*.py")):
        if "packs" in path.relative_to(folder).parts:
            continue
        module = str(path.relative_to(folder))
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        lines[module] = len(text.splitlines())
        folded += sum(isinstance(node, FOLDED) for node in ast.walk(tree))
        functions += [function(module, one) for one in definitions(tree)]
    return House(lines, functions, folded)


def definitions(tree: ast.Module) -> Iterator[Definition]:
    return (node for node in ast.walk(tree) if isinstance(node, Definition))


def function(module: str, made: Definition) -> Function:
    return Function(
        module,
        made.name,
        (made.end_lineno or 0) - made.lineno + 1,
        complexity(made),
        parameters(made),
        nodes_a_line(made),
    )


def complexity(made: Definition) -> int:
    found = 1
    for node in ast.walk(made):
        if isinstance(node, BRANCHES):
            found += 1
        elif isinstance(node, ast.comprehension):
            found += 1 + len(node.ifs)
        elif isinstance(node, ast.BoolOp):
            found += len(node.values) - 1
    return found


def parameters(made: Definition) -> int:
    """How many a caller must know: `self` and `cls` left out."""
    named = [*made.args.posonlyargs, *made.args.args, *made.args.kwonlyargs]
    return len([one for one in named if one.arg not in {"self", "cls"}])


def nodes_a_line(made: Definition) -> float:
    body = made.body[1:] if ast.get_docstring(made) else made.body
    if not body:
        return 0
    lines = (body[-1].end_lineno or 0) - body[0].lineno + 1
    nodes = sum(1 for statement in body for _ in ast.walk(statement))
    return nodes / lines if lines >= WHOLE else 0


def table(folder: Path, house: House) -> str:
    """The figures, one a line."""
    entries = [one for one in folder.iterdir() if one.name != "__pycache__"]
    total = sum(house.lines.values())
    lengths = [one.lines for one in house.functions]
    average = statistics.mean(one.complexity for one in house.functions)
    dense = max(house.densities().items(), key=lambda item: item[1])
    rows = (
        ("modules, lines", f"{len(house.lines)}, {total}"),
        ("entries in the package's root", len(entries)),
        ("longest module", max(house.lines.values())),
        ("functions, median and longest", _lengths(lengths)),
        ("complexity, mean", f"{average:.1f}"),
        ("complexity above 10", f"{house.branched:.1f} %"),
        ("complexity, highest", max(one.complexity for one in house.functions)),
        ("nodes a line, median", f"{house.density:.1f}"),
        ("nodes a line, densest module", f"{dense[1]:.1f} ({dense[0]})"),
        ("folded expressions per 1,000 lines", f"{1000 * house.folded / total:.0f}"),
        ("functions with more than 6 parameters", len(wide(house))),
    )
    return "\n".join(f"{name:<40} {value}" for name, value in rows)


def _lengths(lengths: Sequence[int]) -> str:
    return f"{len(lengths)}, {statistics.median(lengths):.0f}, {max(lengths)} lines"


def wide(house: House) -> list[Function]:
    return [one for one in house.functions if one.parameters > 6]


def main() -> None:
    folder = Path(sys.argv[1])
    house = measure(folder)
    sys.stdout.write(table(folder, house) + "\n")
    if "--all" in sys.argv:
        for one in sorted(house.functions, key=lambda each: -each.complexity):
            if one.complexity > 10:
                sys.stdout.write(f"{one.complexity:4} {one.module} {one.name}\n")
        for module, dense in sorted(house.densities().items(), key=lambda i: -i[1]):
            sys.stdout.write(f"{dense:5.1f} {module}\n")


if __name__ == "__main__":
    main()
