"""Notes over HTTP: what the example in docs/handbook/app.md describes."""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

STORE = Path(os.environ["APP_DATA"]) / "notes.json"
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Notes</title><link rel="icon" href="data:,"></head>
<body><h1>Notes</h1><form id="form"><label>Note <input id="text"></label><button id="save">Save</button></form><ul id="list"></ul>
<script>
const show = (notes) => { list.replaceChildren(...notes.map((n) => Object.assign(document.createElement("li"), {textContent: n.text}))) };
const load = async () => show(await (await fetch("/api/notes")).json());
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  await fetch("/api/notes", {method: "POST", body: JSON.stringify({text: text.value})});
  text.value = "";
  await load();
});
load();
</script></body></html>"""


def read() -> list[dict[str, Any]]:
    return json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else []


def write(notes: list[dict[str, Any]]) -> None:
    new = STORE.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(notes, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(STORE)


class Handler(BaseHTTPRequestHandler):
    def answer(self, status: int, body: Any, kind: str = "application/json") -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        if self.path == "/":
            self.answer(200, PAGE, "text/html; charset=utf-8")
        elif self.path == "/healthz":
            self.answer(200, {"ok": True})
        elif self.path == "/api/notes":
            self.answer(200, read())
        else:
            self.answer(404, {"error": "no such page"})

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))[
            "text"
        ].strip()
        if not text:
            self.answer(422, {"error": "text is required"})
            return
        notes = read()
        notes.append({"id": len(notes) + 1, "text": text})
        write(notes)
        self.answer(201, notes[-1])

    def log_message(self, *words: Any) -> None:
        sys.stderr.write(f"{words[1:]}\n")


def main() -> None:
    server = ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever()


main()
