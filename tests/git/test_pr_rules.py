"""The policy of pull requests and the diff that reviewers read: judged on trees alone."""

from pathlib import Path

from catherd.git import objects, pr_rules, run
from support.git_repos import put, sh

START = {"worktrees/README.md": "agents work here\n", "app/main.py": "print(1)\n"}


RULES = pr_rules.Rules(("app/", "docs/index.md"), files=20, largest=1000, total=5000)
BAD = {
    "bus/prs/PR-0001/pr.yaml": "denied error: bus/ is not part of a pull request",
    "app/.env.local": "denied error: it may hold secrets",
    "worktrees/gemini/x": "denied error: worktrees/ is not part of a pull request",
    ".github/workflows/x.yml": "denied error: git's own files are not part of a pull request",
    "app/.gitmodules": "denied error: git's own files are not part of a pull request",
    "Makefile": "outside error: only app/, docs/index.md may be changed",
    "docs/index.md.bak": "outside error: only app/, docs/index.md may be changed",
    "app/.gitattributes": "attributes person: it changes how git shows and merges files: a person must approve",
    "app/con.txt": "name error: `con.txt` is no file name on Windows",
    "app/a\\b": "name error: `a\\b` is no file name on Windows",
    "app/-rf": "name error: `-rf` is no name: it begins with - or a blank, or ends with a dot or a blank",
    "app/x.": "name error: `x.` is no name: it begins with - or a blank, or ends with a dot or a blank",
    "app/new\\nline": "name error: the name has a control or invisible character",
    "app/\\u202egpj.exe": "name error: the name has a control or invisible character",
    "app/MAIN.py": "case error: it differs from app/main.py only in case",
}


def test_the_policy_finds_each_broken_rule_in_the_trees_alone(root: str) -> None:
    raw = {p.replace("\\n", "\n").replace("\\u202e", "\u202e"): b"x" for p in BAD}
    oids = objects.blobs(root, [b"x", b"y" * 1001, b"\0bin", b"/etc/passwd"])
    entries = dict.fromkeys(raw, ("100644", oids[0]))
    entries |= {
        "app/big": ("100644", oids[1]),
        "app/pic.png": ("100644", oids[2]),
        "app/link": ("120000", oids[3]),
    }
    entries |= {
        "app/sub": ("160000", "1" * 40),
        "app/fine.py": ("100644", oids[0]),
        "docs/index.md": ("100755", oids[0]),
    }
    tree = objects.build_tree(root, "main", entries)
    found = {
        (f.path, f"{f.code} {f.severity}: {f.text}")
        for f in pr_rules.policy(root, "main", tree, RULES)
    }
    assert found == {
        *BAD.items(),
        ("app/big", "size error: 1001 bytes; at most 1000 in one file"),
        ("app/pic.png", "binary note: binary, 4 bytes: reviewers see only its size"),
        ("app/link", "link error: a symbolic link; commit the file itself"),
        ("app/sub", "submodule error: a nested repository; commit its files"),
        (".", "count error: 21 files are changed; at most 20 in one PR"),
    }


def test_a_forbidden_path_made_with_mktree_is_found_before_a_merge(root: str) -> None:
    oid = objects.blobs(root, [b"x"])[0]
    inner = sh(root, "mktree", stdin=f"100644 blob {oid}\thooks\n")
    tree = sh(root, "mktree", stdin=f"040000 tree {inner}\t.GIT\n")
    head = objects.commit_tree(root, tree, [run.rev(root, "main")], "m")
    merged = objects.merge_tree(root, "main", head).tree
    assert [
        f.text
        for f in pr_rules.policy(root, "main", merged, RULES)
        if f.path == ".GIT/hooks"
    ] == ["git's own files are not part of a pull request"]


def test_a_deletion_outside_the_allowed_paths_is_found_too(root: str) -> None:
    tree = objects.build_tree(root, "main", {}, ["README.md", "app/main.py"])
    found = [str(f) for f in pr_rules.policy(root, "main", tree, RULES)]
    assert found == [
        "README.md: outside error: only app/, docs/index.md may be changed"
    ]


def test_reviewers_see_the_lines_whatever_the_attributes_say(root: str) -> None:
    files = {
        ".gitattributes": b"* -diff\n*.txt binary\n",
        "app/a.txt": b"evil\x1b[2K line\n",
        "app/pic": b"\0" * 9,
    }
    sha = objects.child(root, run.rev(root, "main"), files, "m")
    put(Path(root), {".gitattributes": "* -diff\n"})
    text = pr_rules.diff(root, "main", sha)
    assert "+evil\\x1b[2K line" in text
    assert text.startswith("binary file app/pic: 0 -> 9 bytes\n")
    assert "Binary files" not in text
    assert "app/a.txt" not in pr_rules.diff(root, "main", sha, ["app/pic"])
