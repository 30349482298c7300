"""A design document is checked: each seeded fault is found at its place, and a good document is left in peace."""

import shutil
from pathlib import Path

import pytest

from catherd import screens, trace
from catherd.checks import check
from catherd.errors import CatherdError
from faults import FAULTS, Fault

HERE = Path(__file__).parent
TOOLSHED = HERE / "documents" / "toolshed"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of kept results that already knows the good document."""
    folder = tmp_path_factory.mktemp("kept")
    root = fresh(folder / "good")
    assert check(str(root), cache=str(folder)) == []
    return str(folder)


def fresh(root: Path) -> Path:
    """The good document below `root`, with its generated files."""
    shutil.copytree(TOOLSHED, root)
    screens.generate(str(root))
    trace.generate(str(root))
    return root


def seed(root: Path, fault: Fault) -> None:
    """Make the edit."""
    path = root / fault.path
    if fault.new is None:
        path.unlink()
    elif not fault.old:
        text = (
            (root / fault.new.removeprefix("copy of ")).read_text() if fault.new.startswith("copy of ") else fault.new
        )
        path.write_text(text)
    else:
        text = path.read_text()
        assert fault.old in text
        text = text.replace(fault.old, fault.new, -1 if fault.every else 1)
        for old, new in fault.more:
            assert old in text
            text = text.replace(old, new, 1)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    if not fault.keep:
        try:
            screens.generate(str(root))
            trace.generate(str(root))
        except CatherdError:
            pass


def line_of(root: Path, path: str, at: str) -> int:
    """The line that holds `at`; the last such line, for what is put in twice is complained about at its second place."""
    if not at or at == "TOP":
        return int(bool(at))
    lines = (root / path).read_text(errors="replace").splitlines()
    return max(n for n, line in enumerate(lines, 1) if at in line)


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_found_at_its_file_and_line(name: str, tmp_path: Path, cache: str) -> None:
    fault = FAULTS[name]
    root = fresh(tmp_path / "w")
    seed(root, fault)
    findings = check(str(root), cache=cache)
    where = fault.where or fault.path
    wanted = [f for f in findings if f.code == fault.code and f.path == where]
    assert wanted, findings
    first = wanted[0]
    assert (first.line, first.severity) == (fault.line or line_of(root, where, fault.at), fault.severity), first
    assert first.text.startswith(fault.text), first
    assert {f.code for f in findings} <= {fault.code, *fault.also}, findings
