r"""Hidden characters: those that a person does not see and a machine may obey.

This is the one definition for prompts, terminals, diffs, YAML, trailers and file names.
A character is hidden when it is

- a control of C0, DEL or C1, except the newline and the tab;
- default-ignorable in Unicode (`Default_Ignorable_Code_Point` in
  DerivedCoreProperties.txt): bidi controls, zero-width characters, the soft hyphen,
  fillers, variation selectors, tags;
- a line or paragraph separator, an interlinear annotation, or half of a surrogate pair.

Three of them are part of what is read, and stay in the places where they are: the
zero-width joiner between two emoji, U+FE0F behind a character that it turns into an
emoji, and the two joiners between two letters of an Arabic or Indic script.
"""

import re

_EMOJI = (
    "\xa9\xae\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u25fe"
    "\u2600-\u27bf\u2934\u2935\u2b05-\u2b55\u3030\u303d\u3297\u3299"
    "\U0001f000-\U0001faff"
)
_JOINING_SCRIPTS = "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\u0900-\u0dff"
_ALWAYS = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # ignorable …
    "\u200b\u200e\u200f"  # zero-width space, marks of direction
    "\u2028-\u202e"  # separators of lines and paragraphs, bidi
    "\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0"
    "\ufff0-\ufffb"  # the last three are interlinear annotations
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # shorthand and musical controls
    "\U000e0000-\U000e0fff"  # tags, more variation selectors
    "\ud800-\udfff"
)
# Each of these holds right behind a character that stays.
_EMOJI_JOINER = f"(?:(?<=[{_EMOJI}]\u200d)|(?<=[{_EMOJI}]\ufe0f\u200d))(?=[{_EMOJI}])"
_LETTER_JOINER = f"(?<=[{_JOINING_SCRIPTS}][\u200c\u200d])(?=[{_JOINING_SCRIPTS}])"
_EMOJI_SELECTOR = f"(?<=[{_EMOJI}]\ufe0f)|(?<=[0-9#*]\ufe0f)(?=\u20e3)"
_STAYS = f"{_EMOJI_JOINER}|{_LETTER_JOINER}|{_EMOJI_SELECTOR}"

PATTERN = re.compile(f"[{_ALWAYS}\u200c\u200d\ufe0f](?!{_STAYS})")
_NOT_IN_NAMES = re.compile(f"[\n\t\u200c\u200d]|{PATTERN.pattern}")


def removed(text: str) -> str:
    r"""`text` without its hidden characters.

    >>> ascii(removed("a\u200bb\u202e \u2764\ufe0f"))
    "'ab \\u2764\\ufe0f'"
    """
    return PATTERN.sub("", text)


def escaped(text: str) -> str:
    r"""`text` with each hidden character written as \xNN, \uNNNN or \UNNNNNNNN.

    >>> print(escaped("a\x1b[31m\u202e"))
    a\x1b[31m\u202e
    """
    return PATTERN.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def in_name(name: str) -> bool:
    """Whether a file name holds what no name may hold: a hidden character, a newline,
    a tab, or a joiner wherever it stands.
    """
    return _NOT_IN_NAMES.search(name) is not None


def seen_name(name: str) -> str:
    """A file name as a file system may see it that ignores hidden characters, in lower case."""
    return _NOT_IN_NAMES.sub("", name).casefold()
