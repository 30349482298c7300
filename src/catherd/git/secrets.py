"""Secrets: found before a prompt leaves and before a commit is made. A finding never holds the secret.

Three nets: the very values of the keys in the environment (as they are, as base64, percent-encoded): variables that are
called like one, and those that `named` says (what agents/*.yaml calls a key); the shapes of the keys of model vendors; and detect-secrets where it is installed (the extra `live`) without its guesses by entropy and by name: they
call every hash and every test password a secret.
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
    ("private key", re.compile(  # the words of its header alone are none: see whether something that long follows
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
_FIRST_GUESSES = {
    "password",
    "secret",
}  # in `user:password@`: hides nothing, and stands in every manual
_RUN = re.compile(
    r"[A-Za-z0-9+/_=-]{16,}"
)  # no pattern of detect-secrets fits into less, but for what has a ://
_DULL = re.compile(
    r"[a-z]*|\d+|[0-9a-f]{1,16}|[0-9a-f]{40}|[0-9a-f]{64}|[A-Z]{1,2}|\d{8}T\d{6}"
)  # part of a path, an id, a hash
_WORD = re.compile(r"[A-Za-z0-9+/_=-]")
_BIG = 4 * 1024 * 1024


class SecretFound(msgspec.Struct, frozen=True, order=True):
    """A secret: `where` it stands (a path, or as the caller says), its line from 1, and what kind it is."""

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
    """The secrets in `text`. `environ` (os.environ) is where the keys stand that must not get out."""
    spans = _spans(text, os.environ if environ is None else environ, named)
    return sorted(
        {
            SecretFound(where, text.count("\n", 0, start) + 1, kind)
            for start, _, kind in spans
        }
    )


def redact(
    text: str,
    where: str = "",
    environ: Mapping[str, str] | None = None,
    named: Collection[str] = (),
    mark: Callable[[str], str] = "[removed: {}]".format,
) -> tuple[str, list[SecretFound]]:
    """`text` with each secret replaced by what `mark` makes of its kind, and what was found."""
    out: list[str] = []
    at = 0
    findings: list[SecretFound] = []
    for start, end, kind in _spans(
        text, os.environ if environ is None else environ, named
    ):
        findings.append(SecretFound(where, text.count("\n", 0, start) + 1, kind))
        out += [text[at:start], mark(kind)]
        at = end
    return "".join([*out, text[at:]]), sorted(set(findings))


def disowned(text: str, environ: Mapping[str, str], named: Collection[str] = ()) -> str:
    """`text` without the values of your keys, and otherwise as it is: for what came back. What only looks like a key is
    left for the nets before a commit, which send it back to its author instead of changing a file in silence.
    """
    for start, end, kind in reversed(_joined(_values(text, environ, named))):
        text = f"{text[:start]}[removed: {kind}]{text[end:]}"
    return text


def without_secrets(
    files: Mapping[str, bytes], named: Collection[str] = ()
) -> tuple[dict[str, bytes], list[SecretFound]]:
    """Files as they may be committed, by path, and what was taken out of them. What is no text passes as it is.

    A secret becomes one word (`removed-Anthropic-key`): that breaks no YAML, JSON, XML or Markdown which held a key there.
    """
    made, findings = dict(files), []
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
    """The secrets in files (paths relative to `root`); symlinks are looked at as the text that they are."""
    found: list[SecretFound] = []
    for path in paths:
        full = os.path.join(root, path)
        try:
            if os.path.islink(full):
                text = os.readlink(full)
            elif os.path.isfile(full):
                with open(full, "rb") as file:
                    text = file.read().decode("utf-8", "replace")
            else:
                continue
        except OSError:
            found.append(SecretFound(path, 1, "unreadable file"))
            continue
        found += find_secrets(text, path, environ, named)
    return sorted(found)


def _spans(
    text: str, environ: Mapping[str, str], named: Collection[str] = ()
) -> list[tuple[int, int, str]]:
    """(start, end, kind) of every secret, in order, none overlapping."""
    return _joined([*_values(text, environ, named), *_shapes(text), *_detected(text)])


def _joined(found: Iterable[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """In order, what overlaps as one: the earliest and then the longest gives the name."""
    out: list[tuple[int, int, str]] = []
    for start, end, kind in sorted(found, key=lambda s: (s[0], -s[1])):
        if out and start < out[-1][1]:
            if end > out[-1][1]:  # overlaps: one longer secret
                out[-1] = (out[-1][0], end, out[-1][2])
            continue
        out.append((start, end, kind))
    return out


def _values(
    text: str, environ: Mapping[str, str], named: Collection[str]
) -> Iterator[tuple[int, int, str]]:
    for name, stated in environ.items():
        value = stated.strip()
        if (
            len(value) < _SHORTEST
            or not (name in named or _NAMES.search(name))
            or os.path.exists(value)
        ):
            continue
        shapes = {
            value,
            quote(value, safe=""),
            base64.b64encode(value.encode()).decode().rstrip("="),
        }
        for shape in shapes:
            yield from (
                (at, at + len(shape), f"the value of {name}")
                for at in _everywhere(text, shape)
            )


def _everywhere(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + len(part))


def _shapes(text: str) -> Iterator[tuple[int, int, str]]:
    for kind, pattern in _SHAPES:
        for m in pattern.finditer(text):
            yield m.start(), m.end(), kind


def _detected(text: str) -> Iterator[tuple[int, int, str]]:
    """What detect-secrets finds, line by line; nothing where it is not installed."""
    at = 0
    for line in text.split("\n") if len(text) <= _BIG else ():
        if len(line) < 20_000 and _worth(line):
            for kind, plugin in _plugins():
                for secret in plugin.analyze_string(line):
                    if (
                        isinstance(secret, str)
                        and secret
                        and secret.lower() not in _FIRST_GUESSES
                    ):
                        yield from (
                            (at + n, at + end, kind) for n, end in _words(line, secret)
                        )
        at += len(line) + 1


def _worth(line: str) -> bool:
    """Whether to ask detect-secrets, which takes 0.1 s to import: the ids, paths and hashes of which the bus is full are no secrets."""
    if "://" in line:
        return True
    return any(
        not _DULL.fullmatch(part)
        for run in _RUN.findall(line)
        for part in re.split("[-/_+=]", run)
    )


def _words(line: str, part: str) -> Iterator[tuple[int, int]]:
    """Where `part` stands, with the whole word around it: some plugins give only a group of what they matched."""
    for n in _everywhere(line, part):
        start, end = n, n + len(part)
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
