"""`make run` with a command: a prompt that takes arguments, ends like any other, and gives exit codes on."""

import re
from pathlib import Path

import pytest

import games
from catherd import sandbox
from catherd.messages import Receipt
from test_build_game import Terminal
from test_packs import NAMES, built
from workshop import Workshop, lay

needs_box = pytest.mark.skipif(sandbox.probe().name != "bwrap", reason=f"no bubblewrap box: {sandbox.probe().why_not}")


def proved(where: Path) -> Workshop:
    """A game whose PoC, the command, is proved."""
    shop = lay(where, built("halfpast", "poc"), only=[], name=next(n for n in NAMES if n == "halfpast"), owner={})
    main = shop.main()
    receipt = Receipt(gate="poc", closed="", commit=main, outcome="proved", data={"proved": main})
    shop.bus.post("gates/poc.yaml", receipt)
    return shop


@needs_box
def test_the_prompt_takes_what_the_app_says_and_ctrl_c_asks_like_ctrl_d(tmp_path: Path) -> None:
    game = Path(proved(tmp_path / "game").bus.root)
    terminal = Terminal(game)
    said = terminal.until(r"(?s)1\. `(start [a-z ]+)`.*\n> ")
    assert "4. Break a line of it: the report names file and line.\r\ntype the arguments, a line each;" in terminal.said
    terminal.type(said[1])
    terminal.until(r"\d\d:\d\d started writing the report")
    terminal.type("^C")
    terminal.until(r"did it work\?")
    terminal.type("")
    terminal.until("nothing was written down; make run asks again")
    terminal.end()
    assert re.search(r"start writing the report$", (game / ".catherd/run/data/halfpast.log").read_text())
    stopped = games.make(game, "run", "ARGS=stop")
    assert (stopped.returncode, "stopped writing the report" in stopped.stdout) == (0, True)
    again = games.make(game, "run", "ARGS=stop")
    assert again.returncode == 2
    assert re.search(r"\(exit 1\)\nmake: \*\*\* .*Error 1\n$", again.stderr)
