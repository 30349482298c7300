"""`make picture`: play a rehearsal in a scratch directory and make game.png of it, the chat beside the app that came of it.

What is said is taken from the game as it was printed; lines are left out, none is changed. The app is what `make run` serves. Its
entries are typed here, in its own page; then their dates are set back, as if the house had used it for some weeks. About two
minutes, offline. It needs what `make poc` needs: bubblewrap and Chromium. `make picture KEEP=/tmp/game` keeps the game, and plays
on it the next time.
"""

import base64
import contextlib
import html
import os
import re
import shutil
import signal
import sqlite3
import string
import struct
import subprocess
import sys
import tempfile
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from support import games  # noqa: E402 - it is found once the path is set

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
WIDE = 392  # CSS pixels of the app in the picture …
SEEN = 620  # … and of the window in which it is taken
# What is shown of the game. Of a message that has a second pattern, no more than that.
SHOWN = [
    (r"── round 1 ", ""),
    (r"ChatGPT +│ Halfpast\.", ""),
    (r"Claude +│ Lending Shelf\.", ""),
    (r"── round 2 ", ""),
    (r"ChatGPT +» Lending Shelf is two tables", ""),
    (r"Claude +» @ChatGPT: chatgpt: Nobody presses", r".*?his name beside it\."),
    (r"Wildcard +» lending shelf: a drill", ""),
    (r"── ballots ", ""),
    (r"ChatGPT +│ hazel", ""),
    (r"Claude +│ yarrow", ""),
    (r"Gemini +│ hazel", ""),
    (r"Wildcard +│ hazel", ""),
    (r"decided: ", ""),
    (r"── poc-build ", ""),
    (r"\w+ +│ opens PR-\d+: T-005", ""),
    (
        r"\w+ +│ asks for changes in PR-\d+. `title.innerHTML",
        r".*?phone in the house\.",
    ),
    (r"\w+ +✓ PR-\d+ merged: T-005", ""),
    (r"  ✗ J-003 ", ""),
    (r"\w+ +✓ PR-\d+ merged: M-poc-1", ""),
    (r"  ✓ J-003 ", ""),
    (r"poc is proved: ", ""),
]
LINE = re.compile(r"(\w+) +([│»✓]) (.*)|  ([✓✗]) (.*)|(── )?(.*?)(?: ─+)?")
THINGS = [  # name, owner, who has it, for how many days
    ("Cordless drill", "Marta", "Jonas", 4),
    ("Tent for four", "Marta", "", 0),
    ("Waffle iron", "Deniz", "Ruth", 0),
    ("Stepladder", "Ben", "", 0),
    ("Sewing machine", "Ruth", "Ana", 23),
    ("Tile cutter", "Ben", "", 0),
]


PIXELS = """async (png) => {
  const picture = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
  const canvas = new OffscreenCanvas(picture.width, picture.height), pen = canvas.getContext("2d");
  pen.drawImage(picture, 0, 0);
  const data = pen.getImageData(0, 0, picture.width, picture.height).data;
  let text = "";
  for (let at = 0; at < data.length; at += 30000) text += btoa(String.fromCharCode(...data.subarray(at, at + 30000)));
  return [picture.width, picture.height, text];
}"""


class Message(NamedTuple):
    """One message as a person saw it: who (or nobody), the sign behind the name, and the words on one line."""

    who: str
    sign: str
    words: str


def messages(session: str) -> list[str]:
    """The messages of a game, each on one line: what the terminal's width broke is joined."""
    found: list[str] = []
    for line in session.splitlines():
        if line.startswith(" " * 11) and found:
            found[-1] += f" {line.strip()}"
        else:
            found.append(line)
    return found


def shown(session: str) -> list[Message]:
    """The messages of SHOWN, in the order in which they were said. Raises LookupError for one that was not said."""
    said, picked = messages(session), {}
    for pattern, part in SHOWN:
        at = next((n for n, line in enumerate(said) if re.match(pattern, line)), None)
        found = None if at is None else LINE.fullmatch(said[at])
        if at is None or found is None:
            raise LookupError(f"nobody said: {pattern}")
        who, sign = found[1] or "", found[2] or found[4] or (found[6] or "").strip()
        words = found[3] or found[5] or found[7]
        cut = re.match(part, words)
        if cut is None:
            raise LookupError(f"said otherwise: {pattern}: {words}")
        left = " …" if part and len(cut[0]) < len(words) else ""
        picked[at] = Message(who, sign, cut[0] + left if part else words)
    return [picked[at] for at in sorted(picked)]


def row(one: Message) -> str:
    """A message as a line of the page."""
    words = html.escape(one.words)
    if one.sign == "──":
        return f'<div class="rule">{words}</div>'
    if not one.who and not one.sign:
        return f'<div class="big">{words}</div>'
    look = "bad" if one.sign == "✗" else "good" if one.sign == "✓" else ""
    who = f'<span class="who {one.who}">{one.who}</span>' if one.who else ""
    return f'<div class="{look}">{who}<span class="sign">{one.sign}</span><span>{words}</span></div>'


def played(game: Path) -> str:
    """What the three goals printed, played now, or where the game was kept before."""
    told = game.parent / f"{game.name}.session.txt"
    if not told.exists():
        games.lay(game)
        session = ""
        for goal in ("debate", "plan", "poc"):
            done = games.make(game, goal, seconds=900)
            if done.returncode:
                raise SystemExit(f"make {goal}:\n{done.stdout[-2000:]}{done.stderr}")
            session += done.stdout
        games.make(game, "down")
        told.write_text(session, encoding="utf-8")
    return told.read_text(encoding="utf-8")


@contextlib.contextmanager
def running(game: Path) -> Iterator[str]:
    """The address of the app, as `make run` gives it, until the block ends."""
    run = subprocess.Popen(
        [".venv/bin/catherd", "run"],
        cwd=game,
        env=games.env(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield next(
            found[1]
            for line in run.stdout or ()
            if (found := re.match(r"running at (\S+);", line))
        )
    finally:
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=60)


@contextlib.contextmanager
def page(wide: int, tall: int, scale: float) -> Iterator[Any]:
    """A page of the system's Chromium, headless."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        raise SystemExit(f"no browser: install one of {', '.join(CHROMIUM)}")
    with sync_playwright() as play:
        chromium = play.chromium.launch(
            executable_path=path, args=["--no-sandbox"] if os.getuid() == 0 else []
        )
        yield chromium.new_page(
            viewport={"width": wide, "height": tall},
            device_scale_factor=scale,
            color_scheme="light",
        )
        chromium.close()


def app_picture(game: Path, tall: int) -> tuple[str, bytes]:
    """The address and the picture of the app in use; `tall` in CSS pixels of the picture."""
    with running(game) as url, page(SEEN, 800, 1) as one:
        one.goto(url)
        for name, owner, holder, _ in THINGS:
            if one.get_by_role("heading", name=name).count():
                continue
            one.get_by_label("Thing", exact=True).fill(name)
            one.get_by_label("Owner", exact=True).fill(owner)
            one.get_by_role("button", name="Put on the shelf").click()
            one.get_by_role("heading", name=name).wait_for()
            if holder:
                one.get_by_label(f"Borrower of {name}").fill(holder)
                one.get_by_role("button", name=f"Lend {name}").click()
                one.get_by_role("button", name=f"Take back {name}").wait_for()
    set_back(game)
    with running(game) as url, page(SEEN, tall * SEEN // WIDE, 2 * WIDE / SEEN) as one:
        one.goto(url)
        one.get_by_role("heading", name=THINGS[-1][0]).wait_for()
        return url, one.screenshot()


def set_back(game: Path) -> None:
    """Let what is lent be lent for as many days as THINGS says."""
    (store,) = (game / ".catherd" / "run" / "data").glob("*.db")
    with contextlib.closing(sqlite3.connect(store)) as base, base:
        for name, _, _, days in THINGS:
            base.execute(
                "UPDATE loan SET lent_at = strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now', ?) "
                "WHERE thing_id IN (SELECT id FROM thing WHERE name = ?)",
                (f"-{days} days", name),
            )


def draw(lines: str, url: str, picture: bytes, to: Path | None) -> int:
    """Draw the page, to a file if one is named; how tall the app's place in it is, in CSS pixels."""
    template = string.Template((HERE / "page.html").read_text(encoding="utf-8"))
    data = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    with page(880, 400, 2) as one:
        one.set_content(
            template.substitute(lines=lines, url=html.escape(url), picture=data)
        )
        if to is not None:
            shot = one.locator("#game").screenshot(omit_background=True)
            to.write_bytes(
                small(*one.evaluate(PIXELS, base64.b64encode(shot).decode()))
            )
        tall: int = one.evaluate("Math.ceil(document.querySelector('#app').getBoundingClientRect().bottom - "
                                 "document.querySelector('#url').getBoundingClientRect().bottom) - 1")  # fmt: skip
        return tall


def small(wide: int, tall: int, pixels: str) -> bytes:
    """A PNG of RGBA pixels (base64) in 256 colours: the most frequent ones, and for any other the nearest of them."""
    flat = array("I", base64.b64decode(pixels))
    often = [colour for colour, _ in Counter(flat).most_common()]
    palette = [colour.to_bytes(4, sys.byteorder) for colour in often[:256]]
    index = {colour: n for n, colour in enumerate(often[:256])}
    for colour in often[256:]:
        parts = colour.to_bytes(4, sys.byteorder)
        index[colour] = min(
            range(256),
            key=lambda n: sum(
                (a - b) ** 2 for a, b in zip(parts, palette[n], strict=True)
            ),
        )
    rows = b"".join(
        b"\0" + bytes(map(index.__getitem__, flat[y * wide : (y + 1) * wide]))
        for y in range(tall)
    )
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", wide, tall, 8, 3, 0, 0, 0),
        b"PLTE": b"".join(colour[:3] for colour in palette),
        b"tRNS": bytes(colour[3] for colour in palette),
        b"IDAT": zlib.compress(rows, 9),
        b"IEND": b"",
    }
    framed = (
        struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c))
        for k, c in chunks.items()
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def main() -> None:
    """Play, draw, say what was made."""
    with tempfile.TemporaryDirectory() as scratch:
        game = Path(os.environ.get("KEEP") or f"{scratch}/game")
        lines = "\n".join(map(row, shown(played(game))))
        tall = draw(lines, "", b"", None)
        url, picture = app_picture(game, tall)
        draw(lines, url, picture, HERE / "game.png")
    sys.stdout.write(
        f"docs/picture/game.png, {(HERE / 'game.png').stat().st_size // 1000} kB\n"
    )


if __name__ == "__main__":
    main()
