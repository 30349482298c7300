"""`make run` with a command: a prompt that takes arguments, ends like any other, and gives exit codes on."""

import os
import re
from pathlib import Path

import pytest

from catherd.app.evidence import Evidence
from catherd.box import sandbox
from catherd.bus import config, yaml_write
from catherd.core.errors import NeedsYou
from catherd.core.messages import Receipt
from catherd.game import status
from catherd.gates import delivery
from catherd.herd import readiness
from support import games
from support.build_herd import Workshop, lay
from support.git_repos import sh
from support.packs import NAMES, built
from support.pty_session import Terminal

pytestmark = pytest.mark.herd

needs_box = pytest.mark.skipif(
    sandbox.probe_tier().name != "bwrap",
    reason=f"no bubblewrap box: {sandbox.probe_tier().why_not}",
)


def proved(where: Path) -> Workshop:
    """A game whose PoC, the command, is proved."""
    shop = lay(
        where,
        built("halfpast", "poc"),
        only=[],
        name=next(n for n in NAMES if n == "halfpast"),
        owner={},
    )
    kept = Path(shop.bus.root, "docs/milestones/poc/evidence.yaml")
    kept.parent.mkdir(parents=True)
    evidence = Evidence(
        app="halfpast", kind="cli", verdict="green", commit=shop.main(), tier="bwrap"
    )
    kept.write_text(yaml_write.dumps(evidence))
    sh(shop.bus.root, "add", "docs")
    sh(shop.bus.root, "commit", "-qm", "Prove poc")
    main = shop.main()
    receipt = Receipt(
        gate="poc", closed="", commit=main, outcome="proved", data={"proved": main}
    )
    shop.bus.post("gates/poc.yaml", receipt)
    return shop


@needs_box
def test_the_prompt_takes_what_the_app_says_and_ctrl_c_asks_like_ctrl_d(
    tmp_path: Path,
) -> None:
    game = Path(proved(tmp_path / "game").bus.root)
    terminal = Terminal(game)
    said = terminal.until(r"(?s)1\. `(start [a-z ]+)`.*\n> ")
    assert (
        "4. Break a line of it: the report names file and line.\r\ntype the arguments, a line each;"
        in terminal.said
    )
    terminal.type(said[1])
    terminal.until(r"\d\d:\d\d started writing the report\r\n> ")
    os.write(terminal.master, b"x")  # while readline draws it, comes the ^C
    terminal.until(r"\n> x")
    terminal.type("^C")
    terminal.until(r"did it work\?")
    terminal.type("perhaps")
    terminal.until(r"(?s)did it work\?.*did it work\?")
    terminal.type("")
    terminal.until("nothing was written down; make run asks again")
    terminal.end()
    assert re.search(
        r"start writing the report$",
        (game / ".catherd/run/data/halfpast.log").read_text(),
    )
    stopped = games.make(game, "run", "ARGS=stop")
    assert (stopped.returncode, "stopped writing the report" in stopped.stdout) == (
        0,
        True,
    )
    again = games.make(game, "run", "ARGS=stop")
    assert again.returncode == 2
    assert re.search(r"\(exit 1\)\nmake: \*\*\* .*Error 1\n$", again.stderr)


@needs_box
def test_what_was_typed_wrong_is_said_and_what_another_game_stored_is_set_aside(
    tmp_path: Path,
) -> None:
    game = Path(proved(tmp_path / "game").bus.root)
    open_ended = games.catherd(game, "run", ARGS="start 'writing")
    assert open_ended.returncode == 1
    assert open_ended.stderr == (
        "catherd: ARGS: is not complete: No closing quotation\n  fix: make run ARGS='add \"two words\"'\n"
    )
    beyond = games.catherd(game, "run", PORT="99999")
    assert beyond.returncode == 1
    assert beyond.stderr == (
        "catherd: catherd run: Invalid value for '--port': 99999 is not in the range 0<=x<=65535\n"
        "  fix: .venv/bin/catherd run --help\n"
    )
    run = game / ".catherd/run"
    (run / "data/halfpast.log").write_text("2026-01-01 09:00 another app's\n")
    (run / "game").write_text("g-earlier\n")
    assert games.catherd(game, "run", ARGS="stop").returncode == 1
    assert (
        run / "g-earlier/halfpast.log"
    ).read_text() == "2026-01-01 09:00 another app's\n"
    assert not (run / "data/halfpast.log").exists()


@needs_box
def test_a_no_stands_in_the_note_and_a_yes_takes_it_back(tmp_path: Path) -> None:
    shop = proved(tmp_path / "game")
    bus, said = shop.bus, delivery.say_verdict
    phase, commit = delivery.latest(bus)
    assert said(bus, phase, commit, worked=False, words="it is <late>").startswith(
        "poc is open again; "
    )
    head = sh(bus.root, "show", "main:docs/milestones/poc.md").splitlines()[0]
    assert re.fullmatch(
        r"# poc: not accepted \(you, [\d-]{10}: it is \\<late\\>\)", head
    )
    for before in ("debate", "plan"):
        for gate in config.phases(bus.root)[before].gates:
            bus.post(f"gates/{gate}.yaml", Receipt(gate=gate, closed=""))
    assert "  you said no: it is <late>" in status.status_lines(bus.root)
    assert delivery.latest(bus) == ("poc", shop.main())
    with pytest.raises(NeedsYou) as needs:
        readiness.mendable(bus, shop.phase, shop.game, "M-poc-no-1", "it is late")
    assert str(needs.value) == (
        "docs/milestones/poc.md: a rehearsal cannot mend what you said: “it is late”\n"
        "  fix: make run, and say y: that takes your no back (mend main yourself first, if you like); "
        "make debate LIVE=1 has agents that can"
    )
    back = said(bus, phase, shop.main(), worked=True, words="")
    assert (
        back
        == "your no is taken back; make poc proves it again, then your yes delivers it"
    )
    assert delivery.refusals(bus, "poc") == []
    Path(bus.here("poc/said-1.yaml")).unlink()
    said(bus, phase, shop.main(), worked=False, words="still late")
    assert delivery.refusals(bus, "poc") == [("M-poc-no-3", "still late")]
