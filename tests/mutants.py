"""Mutants of the two small apps: the text that is replaced, by what, and what the gate's reason must say.

A web mutant names the one journey that is played against it.
"""

WEB_MUTANTS = {
    "dead button": ("J-003", 'form.addEventListener("submit", async', 'form.addEventListener("never", async', r"J-003 .* step 1 `browser: see text \w+`: not there within 5 s"),
    "in-memory store": (
        "J-001", "def read()", "M = []\ndef write(n): M[:] = n\ndef read(): return list(M)\ndef old_read()",
        r"J-001 .* step 3 `GET /api/notes`: no element holds .*: \[\]",
    ),
    "stores nothing": ("J-001", "        write(notes)\n", "", r"J-001 .* step 3 `GET /api/notes`: no element holds .*: \[\]"),
    "wrong status": ("J-001", "self.answer(201", "self.answer(200", r"J-001 .* step 1 `POST .*: status 200, not 201"),
    "accepts the empty": ("J-002", "if not text:", "if False:", r"J-002 .* step 1 `POST .*: status 201, not 422"),
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
    "wrong exit": ("    return 2", "    return 0", r"J-002 .* step 1 `python3 todo\.py frobnicate`: exit 0, not 2: \"usage: "),
    "silent": (
        '    print("usage: todo.py add THING | list", file=sys.stderr)', "    pass",
        r"J-002 .* step 1 `python3 todo\.py frobnicate`: stderr does not hold \"usage\": \"\"",
    ),
    "writes outside": ('print(f"Added', "open('log', 'w').close(); print(f\"Added", r"J-001 .*; it would have written outside \{data\}: OSError: .*: 'log'"),
}  # fmt: skip
