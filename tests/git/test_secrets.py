"""Secrets are found before a prompt and before a commit, and nothing else is taken for one."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from catherd.bus import config, yaml_read, yaml_write
from catherd.git import secrets
from catherd.git.secrets import SecretFound
from support.git_repos import put, sh

KEY = "Zq7/unguessable+value=="
ENV = {
    "MY_VENDOR_API_KEY": KEY,
    "HOME": "/home/you",
    "EDITOR_KEY": "short",
    "PATH": "/usr/bin:/bin",
}
A = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{A}{A}\n{A}\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (KEY, "the value of MY_VENDOR_API_KEY"),
        (base64.b64encode(KEY.encode()).decode(), "the value of MY_VENDOR_API_KEY"),
        (quote(KEY, safe=""), "the value of MY_VENDOR_API_KEY"),
        (f"sk-ant-api03-{A}", "Anthropic key"),
        (f"sk-proj-{A}", "OpenAI key"),
        (f"sk-or-v1-{'0f' * 32}", "OpenRouter key"),
        (f"AIza{A}abc", "Google key"),
        (f"gsk_{A}{A}", "Groq key"),
        (f"xai-{A}{A}", "xAI key"),
        (f"hf_{A}", "Hugging Face token"),
        (f"ghp_{A}abcd", "GitHub token"),
        ("AKIA" + "ABCDEFGHIJKLMNOP", "AWS key"),
        (PEM, "private key"),
        (PEM.replace("\n", "\\n"), "private key"),
        (
            PEM.replace(
                "\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0F\n\n", 1
            ),
            "private key",
        ),
        (PEM.partition("\n-----END")[0] + '"', "private key"),
        ("xoxb-" + "123456789012-1234567890123-" + A[:24], "Slack Token"),
        ("glpat-" + A[:20], "GitLab Token"),
        (
            "https://you:" + "hunter2hunter2" + "@db.example.org/x",
            "Basic Auth Credentials",
        ),
    ],
)
def test_each_kind_of_secret_is_found_named_and_taken_out(text: str, kind: str) -> None:
    whole = f"first line\nbefore {text} after\n"
    assert secrets.find_secrets(whole, "chat/1.yaml", ENV) == [
        SecretFound("chat/1.yaml", 2, kind)
    ]
    cleaned, found = secrets.redact(whole, "chat/1.yaml", ENV)
    assert found == [SecretFound("chat/1.yaml", 2, kind)]
    assert str(found[0]) == f"chat/1.yaml:2: {kind}"
    assert f"[removed: {kind}]" in cleaned
    assert A not in cleaned
    assert cleaned.startswith("first line\nbefore ")
    assert cleaned.endswith(" after\n")
    assert secrets.find_secrets(cleaned, "", ENV) == []


def test_what_is_no_secret_passes_unchanged() -> None:
    text = "\n".join(
        [
            "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "commit 8843d7f92416211de9ebb963ff4ce28125932878",
            'password = "hunter2"  # a test',
            "short and /home/you and http://127.0.0.1:8080/path",
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
            "-----BEGIN RSA PRIVATE KEY-----\\nMIIE\\n-----END RSA PRIVATE KEY----- is how such a file begins",
            "https://me:secret@host/x and http://you:password@127.0.0.1:9/ stand in manuals",
            "sk-learn and sk-ant are words; AIza is none",
            "猫" * 100,
        ]
    )
    assert secrets.redact(text, "x", ENV) == (text, [])


def test_a_key_is_known_by_what_the_yaml_calls_it_whatever_its_name_looks_like(
    tmp_path: Path,
) -> None:
    put(
        tmp_path,
        {"agents/m.yaml": "name: M\nmodel: mistral/x\nkey: MISTRAL_WORK_ACCOUNT\n"},
    )
    put(
        tmp_path,
        {"agents/c.yaml": "name: C\ncommand: {argv: [c], keys: [THE_LOGIN]}\n"},
    )
    named = config.secret_names(str(tmp_path))
    assert named == {"MISTRAL_WORK_ACCOUNT", "THE_LOGIN"}
    environ = {"MISTRAL_WORK_ACCOUNT": KEY, "THE_LOGIN": "open-sesame-1"}
    assert secrets.find_secrets(f"{KEY} open-sesame-1", "", environ) == []
    assert [
        one.kind
        for one in secrets.find_secrets(f"{KEY} open-sesame-1", "", environ, named)
    ] == [
        "the value of MISTRAL_WORK_ACCOUNT",
        "the value of THE_LOGIN",
    ]


def test_what_came_back_loses_the_values_of_your_keys_and_nothing_else() -> None:
    text = (
        f"{KEY} sk-ant-{A}\nDB = 'postgres://you:"
        f"hunter2hunter2@localhost/db'\n{base64.b64encode(KEY.encode()).decode()}"
    )
    mark = "[removed: the value of MY_VENDOR_API_KEY]"
    assert secrets.disowned(text, ENV) == text.replace(KEY, mark).replace(
        base64.b64encode(KEY.encode()).decode().rstrip("="), mark
    )


PRIVATE = f"-----BEGIN PRIVATE KEY-----\n{A}{A}\n{A}\n-----END PRIVATE KEY-----\n"


def test_files_are_cleaned_so_that_they_still_read_and_what_is_no_text_passes() -> None:
    data = {
        "word": f"sk-ant-{A}",
        "lines": f"log\n{PRIVATE}end\n",
        "quoted": f'"sk-ant-{A}", \t',
        "n": ["AKIA" + "ABCDEFGHIJKLMNOP", 7],
    }
    picture = b"\x89PNG\r\n\x1a\n\x00 sk-ant-" + A.encode()
    files = {
        "a.yaml": yaml_write.dumps(data).encode(),
        "a.json": json.dumps(data).encode(),
        "a.svg": f'<svg><text x="sk-ant-{A}">sk-ant-{A}</text></svg>'.encode(),
        "a.png": picture,
        "nul.bin": b"\0 sk-ant-" + A.encode(),
        "latin.md": "é\r\nabout -----BEGIN PRIVATE KEY----- and what follows it\n".encode(
            "latin-1"
        ),
        "crlf.md": f"a\r\nsk-ant-{A}\r\n".encode(),
    }
    made, found = secrets.without_secrets(files)
    clean = {
        "word": "removed-Anthropic-key",
        "lines": "log\nremoved-private-key\nend\n",
        "quoted": '"removed-Anthropic-key", \t',
        "n": ["removed-AWS-key", 7],
    }
    assert yaml_read.loads(made["a.yaml"].decode(), "a.yaml").data == clean
    assert json.loads(made["a.json"]) == clean
    assert (
        made["a.svg"]
        == b'<svg><text x="removed-Anthropic-key">removed-Anthropic-key</text></svg>'
    )
    assert made["crlf.md"] == b"a\r\nremoved-Anthropic-key\r\n"
    for name in ("a.png", "nul.bin", "latin.md"):
        assert made[name] is files[name]
    assert {one.where for one in found} == {"a.yaml", "a.json", "a.svg", "crlf.md"}
    assert [str(one) for one in found if one.where == "crlf.md"] == [
        "crlf.md:2: Anthropic key"
    ]


def test_the_words_of_its_header_alone_are_no_private_key() -> None:
    text = "It begins with -----BEGIN PRIVATE KEY-----\nand the rest of the page is about something else entirely\n"
    assert secrets.redact(text, "", {}) == (text, [])


def test_two_nets_on_one_secret_make_one_finding_and_leave_nothing_of_it() -> None:
    key = f"sk-ant-{A}"
    cleaned, found = secrets.redact(f"{key} {key}", "", {"ANTHROPIC_API_KEY": key})
    assert (
        cleaned
        == "[removed: the value of ANTHROPIC_API_KEY] [removed: the value of ANTHROPIC_API_KEY]"
    )
    assert found == [SecretFound("", 1, "the value of ANTHROPIC_API_KEY")]


def test_the_same_token_twice_on_a_line_is_taken_out_twice() -> None:
    token = "glpat-" + A[:20]
    assert (
        secrets.redact(f"{token}, {token}", "", {})[0]
        == "[removed: GitLab Token], [removed: GitLab Token]"
    )


def test_files_are_looked_at_with_their_links_and_whatever_bytes_they_hold(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.py").write_text(f"x = 1\nkey = '{KEY}'\n")
    (tmp_path / "b.bin").write_bytes(b"\xff\x00\n\n" + KEY.encode() + b"\x00")
    (tmp_path / "c").symlink_to(f"/nowhere/{KEY}")
    (tmp_path / "fine.md").write_text("fine\n")
    assert secrets.find_in_files(
        ["a.py", "b.bin", "c", "fine.md", "gone"], str(tmp_path), ENV
    ) == [
        SecretFound("a.py", 2, "the value of MY_VENDOR_API_KEY"),
        SecretFound("b.bin", 3, "the value of MY_VENDOR_API_KEY"),
        SecretFound("c", 1, "the value of MY_VENDOR_API_KEY"),
    ]


def test_a_long_prompt_is_looked_through_in_a_moment() -> None:
    text = ("lorem ipsum dolor sit amet, consectetur " * 3 + "\n") * 8000
    assert secrets.find_secrets(text + KEY, "", ENV) == [
        SecretFound("", 8001, "the value of MY_VENDOR_API_KEY")
    ]


def test_without_detect_secrets_the_other_nets_hold() -> None:
    """The base set of packages does not bring it; a rehearsal needs none."""
    code = (
        "import sys; sys.modules['detect_secrets'] = None\n"
        "from catherd.git import secrets\n"
        f"print([f.kind for f in secrets.find_secrets('sk-ant-{A} and {KEY}', '', {ENV!r})])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": "src"},
        cwd=Path(__file__).parents[2],
    )
    assert (out.stdout, out.stderr) == (
        "['Anthropic key', 'the value of MY_VENDOR_API_KEY']\n",
        "",
    )


def test_this_repository_holds_none_so_that_a_game_in_a_clone_of_it_can_be_published() -> (
    None
):
    root = Path(__file__).parents[2]
    tracked = [
        path for path in sh(root, "ls-files", "-z", "tests", "docs").split("\0") if path
    ]
    assert len(tracked) > 100
    assert secrets.find_in_files(tracked, str(root), {}) == []
