"""Secrets: found before a prompt leaves and before a commit is made.

A finding never holds the secret. There are three nets:

- the very values of the keys in the environment, as they are, as base64 and
  percent-encoded: of variables that are called like a key, and of those that `named`
  says (those that agents/*.yaml calls a key);
- the shapes of the keys of model vendors;
- detect-secrets where it is installed (the extra `live`), without its guesses by
  entropy and by name: they call every hash and every test password a secret.
"""

import base64
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import msgspec

_NAMES = re.compile(
    r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)\d*\Z", re.IGNORECASE
)
_SHORTEST = 8  # characters: a shorter value would be found in ordinary words
_SHAPES = (
    ("Anthropic key", re.compile(r"sk-ant-[A-Za-z0-9_-]{20,}")),
    ("OpenRouter key", re.compile(r"sk-or-v1-[0-9a-f]{32,}")),
    ("OpenAI key", re.compile(r"sk-(?!ant-|or-)(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{32,}")),
    ("Google key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}")),
    ("xAI key", re.compile(r"\bxai-[A-Za-z0-9]{40,}")),
    ("Groq key", re.compile(r"\bgsk_[A-Za-z0-9]{40,}")),
    ("Hugging Face token", re.compile(r"\bhf_[A-Za-z0-9]{30,}")),
    ("GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})")),
    ("AWS key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    # A header by itself is no key: something that long must follow it.
    ("private key", re.compile(
        r"-----BEGIN (?:[A-Z ]+ )?PRIVATE KEY-----(?=(?:(?!-----)[\s\S]){0,300}?[A-Za-z0-9+/=]{40})"
        r"(?:(?:(?!-----)[\s\S]){0,16000}-----END (?:[A-Z ]+ )?PRIVATE KEY-----|(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]{16,})*)"
    )),
)  # fmt: skip
_GUESSES = {
    "Base64 High Entropy String",
    "Hex High Entropy String",
    "Secret Keyword",
    "Public IP (ipv4)",
    "Private Key",
    "Cloudant Credentials",
}
# In `user:password@` these hide nothing, and stand in every manual.
_FIRST_GUESSES = {"password", "secret"}
# No pattern of detect-secrets fits into less, but for those with a ://.
_RUN = re.compile(r"[A-Za-z0-9+/_=-]{16,}")
# A part of a path, an id, a hash.
_DULL = re.compile(
    r"[a-z]*|\d+|[0-9a-f]{1,16}|[0-9a-f]{40}|[0-9a-f]{64}|[A-Z]{1,2}|\d{8}T\d{6}"
)
_WORD = re.compile(r"[A-Za-z0-9+/_=-]")
_BIG = 4 * 1024 * 1024  # characters: a longer text is not asked detect-secrets about
_LONG = 20_000  # characters: nor is a longer line

# (start, end, kind) of a secret in a text
_Span = tuple[int, int, str]


class SecretFound(msgspec.Struct, frozen=True, order=True):
    """A secret that was found.

    `where`: the path, or what the caller says instead. `line`: counted from 1.
    """

    where: str
    line: int
    kind: str

    def __str__(self) -> str:
        return f"{self.where}:{self.line}: {self.kind}"


def find_secrets(
    text: str,
    where: str = "",
    environ: Mapping[str, str] | None = None,
    named: Collection[str] = (),
) -> list[SecretFound]:
    """The secrets in `text`, sorted.

    `environ`: where the keys stand that must not get out, os.environ by default.
    """
    spans = _spans(text, os.environ if environ is None else environ, named)
    return sorted({_finding(text, where, span) for span in spans})


def _finding(text: str, where: str, span: _Span) -> SecretFound:
    start, _, kind = span
    return SecretFound(where, text.count("\n", 0, start) + 1, kind)


def redact(
    text: str,
    where: str = "",
    environ: Mapping[str, str] | None = None,
    named: Collection[str] = (),
    mark: Callable[[str], str] = "[removed: {}]".format,
) -> tuple[str, list[SecretFound]]:
    """`text` with each secret replaced by what `mark` makes of its kind.

    And what was found, sorted.
    """
    spans = _spans(text, os.environ if environ is None else environ, named)
    parts: list[str] = []
    at = 0
    for start, end, kind in spans:
        parts += [text[at:start], mark(kind)]
        at = end
    findings = {_finding(text, where, span) for span in spans}
    return "".join([*parts, text[at:]]), sorted(findings)


def disowned(text: str, environ: Mapping[str, str], named: Collection[str] = ()) -> str:
    """A text that came back, without the values of your keys and otherwise as it is.

    What only looks like a key stays for the nets before a commit: they send it back to
    its author instead of changing a file in silence.
    """
    for start, end, kind in reversed(_joined(_values(text, environ, named))):
        text = f"{text[:start]}[removed: {kind}]{text[end:]}"
    return text


def without_secrets(
    files: Mapping[str, bytes], named: Collection[str] = ()
) -> tuple[dict[str, bytes], list[SecretFound]]:
    """Files as they may be committed, by path, and what was taken out of them.

    A file that is no text passes as it is. A secret becomes one word
    (`removed-Anthropic-key`): that breaks no YAML, JSON, XML or Markdown around it.
    """
    made = dict(files)
    findings: list[SecretFound] = []
    for path, content in files.items():
        try:
            text = content.decode()
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            cleaned, found = redact(text, path, None, named, _word)
            made[path] = cleaned.encode() if found else content
            findings += found
    return made, findings


def _word(kind: str) -> str:
    return "removed-" + re.sub(r"\W+", "-", kind).strip("-")


def find_in_files(
    paths: Iterable[str],
    root: str,
    environ: Mapping[str, str] | None = None,
    named: Collection[str] = (),
) -> list[SecretFound]:
    """The secrets in files (paths relative to `root`), sorted.

    Of a symlink the text that it consists of is looked at.
    """
    found: list[SecretFound] = []
    for path in paths:
        try:
            text = _text_of(os.path.join(root, path))
        except OSError:
            found.append(SecretFound(path, 1, "unreadable file"))
            continue
        found += find_secrets(text, path, environ, named)
    return sorted(found)


def _text_of(path: str) -> str:
    """The text of a link or a file; empty for what is neither."""
    if os.path.islink(path):
        return os.readlink(path)
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        return file.read().decode("utf-8", "replace")


def _spans(
    text: str, environ: Mapping[str, str], named: Collection[str] = ()
) -> list[_Span]:
    """(start, end, kind) of every secret, in order, none overlapping."""
    return _joined([*_values(text, environ, named), *_shapes(text), *_detected(text)])


def _joined(found: Iterable[_Span]) -> list[_Span]:
    """The spans in order; those that overlap are one.

    The earliest, and of two the longest, gives the kind.
    """
    out: list[_Span] = []
    for start, end, kind in sorted(found, key=lambda span: (span[0], -span[1])):
        if not out or start >= out[-1][1]:
            out.append((start, end, kind))
        elif end > out[-1][1]:
            out[-1] = (out[-1][0], end, out[-1][2])
    return out


def _values(
    text: str, environ: Mapping[str, str], named: Collection[str]
) -> Iterator[_Span]:
    """Where the values of keys of the environment stand in `text`."""
    for name, stated in environ.items():
        value = stated.strip()
        if not _is_key(name, value, named):
            continue
        encoded = base64.b64encode(value.encode()).decode().rstrip("=")
        for shape in {value, quote(value, safe=""), encoded}:
            for at in _everywhere(text, shape):
                yield at, at + len(shape), f"the value of {name}"


def _is_key(name: str, value: str, named: Collection[str]) -> bool:
    """Whether a variable holds a key; one that holds a path to a file does not."""
    if len(value) < _SHORTEST:
        return False
    called_so = name in named or _NAMES.search(name) is not None
    return called_so and not os.path.exists(value)


def _everywhere(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + len(part))


def _shapes(text: str) -> Iterator[_Span]:
    for kind, pattern in _SHAPES:
        for match in pattern.finditer(text):
            yield match.start(), match.end(), kind


def _detected(text: str) -> Iterator[_Span]:
    """What detect-secrets finds, line by line; nothing where it is not installed."""
    if len(text) > _BIG:
        return
    at = 0
    for line in text.split("\n"):
        if len(line) < _LONG and _worth(line):
            for start, end, kind in _detected_in(line):
                yield at + start, at + end, kind
        at += len(line) + 1


def _detected_in(line: str) -> Iterator[_Span]:
    for kind, plugin in _plugins():
        for secret in plugin.analyze_string(line):
            if not isinstance(secret, str) or not secret:
                continue
            if secret.lower() in _FIRST_GUESSES:
                continue
            for start, end in _words(line, secret):
                yield start, end, kind


def _worth(line: str) -> bool:
    """Whether to ask detect-secrets, which takes 0.1 s to import.

    The bus is full of ids, paths and hashes, which are no secrets.
    """
    if "://" in line:
        return True
    return any(_is_odd(run) for run in _RUN.findall(line))


def _is_odd(run: str) -> bool:
    """Whether a run of characters has a part that is no word, id or hash."""
    parts = re.split("[-/_+=]", run)
    return not all(_DULL.fullmatch(part) for part in parts)


def _words(line: str, part: str) -> Iterator[tuple[int, int]]:
    """Where `part` stands, with the whole word around it.

    Some plugins give only a group of what they matched.
    """
    for at in _everywhere(line, part):
        start, end = at, at + len(part)
        while start and _WORD.match(line[start - 1]):
            start -= 1
        while end < len(line) and _WORD.match(line[end]):
            end += 1
        yield start, end


@lru_cache(maxsize=1)
def _plugins() -> Sequence[tuple[str, Any]]:
    try:
        from detect_secrets.core.plugins.util import (
            get_mapping_from_secret_type_to_class,
        )
    except ImportError:
        return ()
    return [
        (kind, made())
        for kind, made in get_mapping_from_secret_type_to_class().items()
        if kind not in _GUESSES
    ]
