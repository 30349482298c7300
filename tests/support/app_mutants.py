"""Mutants of the two small apps and of the packs' own, as their PoC is: the text that is replaced, by what, and what the gate's reason must say.

A mutant of a web app or a pack names the one journey that is played against it.
"""

WEB_MUTANTS = {
    "dead button": ("J-003", 'form.addEventListener("submit", async', 'form.addEventListener("never", async', r"J-003 .* step 1 `browser: see text \w+`: not there within 5 s"),
    "in-memory store": (
        "J-001", "def read()", "M = []\ndef write(n): M[:] = n\ndef read(): return list(M)\ndef old_read()",
        r"J-001 .* step 3 `GET /api/notes`: no element holds .*: \[\]",
    ),
    "stores nothing": ("J-001", "        write(notes)\n", "", r"J-001 .* step 3 `GET /api/notes`: no element holds .*: \[\]"),
    "wrong status": ("J-001", "self.answer(201", "self.answer(200", r"J-001 .* step 1 `POST .*: status 200, not 201"),
    "accepts the empty": ("J-002", "if not text:", "if False:", r"J-002 .* step 2 `POST .*: status 201, not 422"),
    "ignores input": ("J-001", '"text": text}', '"text": "hello"}', r'J-001 .* step 1 .*: /text is "hello", not "'),
    "hard-coded answer": (
        "J-001", "self.answer(200, read())", 'self.answer(200, [{"id": 1, "text": "milk"}])',
        r'J-001 .* step 3 .*: no element holds .*: \[\{"id": 1, "text": "milk"\}\]',
    ),
    "crash on restart": (
        "J-001", "    server = ", "    STORE.exists() and sys.exit(3)\n    server = ",
        r"J-001 .* step 2 `restart: kill`: it ended with 3 before it was ready",
    ),
    "leaves a process": (
        "J-002", "    server = ", "    os.fork() or (os.setsid(), signal.pause())\n    server = ",
        r"J-002 .*: it left 1 running when it ended: python3 server\.py",
    ),
    "writes outside": (
        "J-001", "        notes = read()\n", '        Path("copy.json").write_text(text)\n        notes = read()\n',
        r"J-001 .*: no answer: .*it would have written outside \{data\}: OSError: \[Errno 30\] Read-only file system: 'copy\.json'",
    ),
    "stores outside": (
        "J-001", 'Path(os.environ["APP_DATA"])', "Path(__file__).parent",
        r"J-001 .*; it would have written outside \{data\}: OSError: .*notes\.new",
    ),
    "stores among the caches": (
        "J-001", 'Path(os.environ["APP_DATA"])', '(Path("__pycache__").mkdir(exist_ok=True), Path("__pycache__"))[1]', r"J-001 .*: it does not start: .*; it would have written outside \{data\}: ",
    ),
    "stores as a cache": ("J-001", '"notes.json"', '"../work/app/notes.pyc"', r"J-001 .*; it would have written outside \{data\}: "),
    "stores in .git": (
        "J-001", 'Path(os.environ["APP_DATA"])', '(Path(".git").mkdir(exist_ok=True), Path(".git"))[1]', r"J-001 .*: it does not start: .*; it would have written outside \{data\}: ",
    ),
    "stores in the temporary directory": (
        "J-001", 'Path(os.environ["APP_DATA"])', 'Path("/tmp")', r"J-001 .* step 3 `GET /api/notes`: no element holds .*: \[\]",
    ),
    "hangs on stop": (
        "J-002", "lambda *_: sys.exit(0)", "signal.SIG_IGN", r"J-002 .*: it did not end within 0\.5 s of SIGTERM",
    ),
    "port ignored": (
        "J-002", 'int(os.environ["PORT"])', "8000",
        r"J-002 .*: it does not start: GET /healthz on port \d+: no answer within 2 s; it listens on 8000",
    ),
    "crash on start": ("J-002", "import json\n", "import flask\nimport json\n", r"J-002 .*: it does not start: it ended with 1 before"),
    "dies of the first request": ("J-002", "def do_POST(self) -> None:\n", "def do_POST(self) -> None:\n        os._exit(9)\n", r"J-002 .*: no answer: .*; the app has ended with 9"),
    "eats memory": (
        "J-002", "def do_POST(self) -> None:\n", "def do_POST(self) -> None:\n        x = [bytearray(9 << 20) for _ in iter(int, 1)]\n",
        r"J-002 .*: no answer: .*; the app has ended with 137 \(memory\)",
    ),
    "script error": ("J-003", "load();\n</script>", "load(); nothing.at_all();\n</script>", r"J-003 .*no_console_errors.*nothing is not defined"),
}  # fmt: skip
CLI_MUTANTS = {
    "stores nothing": (
        'STORE.write_text("\\n".join(things) + "\\n", encoding="utf-8")', "pass",
        r"J-001 .* step 2 `python3 todo\.py list`: stdout does not match .*: \"\"",
    ),
    "ignores input": ("things.append(words[1])", 'things.append("milk")', r"J-001 .* step 2 .*: stdout does not match .*: \"1\. milk"),
    "wrong exit": ("    return 2", "    return 0", r"J-002 .* step 2 `python3 todo\.py frobnicate`: exit 0, not 2: \"usage: "),
    "silent": (
        '    print("usage: todo.py add THING | list", file=sys.stderr)', "    pass",
        r"J-002 .* step 2 `python3 todo\.py frobnicate`: stderr does not hold \"usage\": \"\"",
    ),
    "leaves a process": (
        'print(f"Added', 'import subprocess; subprocess.Popen(["sleep", "60"], start_new_session=True); print(f"Added',
        r"J-001 .*: it left 1 running when it ended: sleep 60",
    ),
    "writes outside": ('print(f"Added', "open('log', 'w').close(); print(f\"Added", r"J-001 .*; it would have written outside \{data\}: OSError: .*: 'log'"),
}  # fmt: skip
_SERVER, _STORE, _ROUTES, _PAGE = (
    "server.py",
    "shelf/store.py",
    "shelf/routes.py",
    "static/shelf.js",
)
_DATA, _LOST = (
    'Path(os.environ.get("APP_DATA", "data"))',
    r"J-001 .* step 3 `GET /api/things`: no element holds .*: \[\]",
)
_REFUSED = r"J-001 .*; it would have written outside \{data\}: "
SHELF_MUTANTS = {
    "dead button": ("J-006", _PAGE, 'byId("put").addEventListener("submit"', 'byId("put").addEventListener("never"', r"J-006 .*: not there within 5 s"),
    "dead lend button": ("J-006", _PAGE, 'form.addEventListener("submit"', 'form.addEventListener("never"', r"J-006 .*: not there within 5 s"),
    "script error": ("J-006", _PAGE, 'byId("put").add', 'nothing.at();\nbyId("put").add', r"J-006 .*: not there within 5 s"),
    "in-memory store": ("J-001", _STORE, "sqlite3.connect(file,", 'sqlite3.connect(":memory:",', _LOST),
    "stores nothing": (
        "J-001", _STORE, "            return self._thing(added.lastrowid)\n",
        "            t = self._thing(added.lastrowid); self.db.rollback(); return t\n", _LOST,
    ),
    "wrong status": ("J-001", _ROUTES, "return 201, shelf.add", "return 200, shelf.add", r"J-001 .* step 1 `POST .*: status 200, not 201"),
    "ignores input": (
        "J-001", _STORE, 'words(name, "the name of the thing")', '(words(name, "the name of the thing") and "Drill")',
        r'J-001 .* step 1 .*: /name is "Drill", not "',
    ),
    "hard-coded answer": (
        "J-001", _STORE, "            return [dict(row) for", '            return [{"id": 1, "name": "Drill"}] or [dict(row) for',
        r"J-001 .* step 3 .*: no element holds ",
    ),
    "crash on restart": (
        "J-001", _SERVER, "    folder.mkdir(parents", '    (folder / "shelf.db").exists() and sys.exit(3)\n    folder.mkdir(parents',
        r"J-001 .* step 2 `restart: kill`: it ended with 3 before it was ready",
    ),
    "leaves a process": (
        "J-004", _SERVER, "    signal.signal(", "    os.fork() or (os.setsid(), signal.pause())\n    signal.signal(",
        r"J-004 .*: it left 1 running when it ended: python3 server\.py",
    ),
    "writes outside": ("J-001", _STORE, "        row = (words", '        open("copy.txt", "w").write("x")\n        row = (words', _REFUSED),
    "stores in the temporary directory": ("J-001", _SERVER, _DATA, 'Path("/tmp/store")', _LOST),
    "stores among the caches": ("J-001", _SERVER, _DATA, 'Path("__pycache__")', _REFUSED),
    "stores as a cache": ("J-001", _SERVER, _DATA, 'Path("shelf.pyc")', _REFUSED),
    "stores in .git": ("J-001", _SERVER, _DATA, 'Path(".git")', _REFUSED),
    "hangs on stop": ("J-004", _SERVER, "lambda *_: sys.exit(0)", "signal.SIG_IGN", r"J-004 .*: it did not end within 0\.5 s of SIGTERM"),
    "port ignored": (
        "J-004", _SERVER, 'int(os.environ.get("PORT", "8000"))', "8000",
        r"J-004 .*: it does not start: GET /healthz on port \d+: no answer within 2 s; it listens on 8000",
    ),
    "accepts the empty": ("J-004", _STORE, "    if not tidy:", "    if False:", r"J-004 .* step 1 `POST "),
    "lends twice": ("J-005", _STORE, 'if thing["holder"]:', "if False:", r"J-005 .* step 3 `POST "),
}  # fmt: skip
_LOG = "timelog/logfile.py"
HALFPAST_MUTANTS = {
    "stores nothing": ("J-001", _LOG, 'file.write(f"{event}\\n".encode())', "pass", r"J-001 .* step 2 `file halfpast\.log`: "),
    "ignores input": (
        "J-001", "timelog/start.py", 'what = " ".join(" ".join(options.what).split())', 'what = "tea"',
        r'J-001 .* step 1 .*: stdout does not hold "09:00 started ',
    ),
    "wrong exit": ("J-003", "timelog/stop.py", 'raise Complaint("nothing is running")', "return", r"J-003 .* step 3 .*: exit 0, not 1"),
    "stops nothing": ("J-002", "timelog/stop.py", "append(log, events, Event(at))", "pass", r"J-002 .* step 3 .*: stdout "),
    "wrong sum": ("J-004", "timelog/report.py", "rows = totals(parts)", "rows = totals(parts[:1])", r"J-004 .* step 5 .*: stdout does not match "),
    "leaves a process": (
        "J-001", _LOG, "    before = path.read", '    __import__("subprocess").Popen(["sleep", "60"])\n    before = path.read',
        r"J-001 .*: it left 1 running when it ended: sleep 60",
    ),
    "writes outside": ("J-001", _LOG, "    before = path.read", '    open("log", "w").close()\n    before = path.read', _REFUSED),
}  # fmt: skip
PACK_MUTANTS = {"lending-shelf": SHELF_MUTANTS, "halfpast": HALFPAST_MUTANTS}
