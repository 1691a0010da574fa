"""Reads Rust source: a scanner that knows what may hide an identifier or look like one.

Comments (also nested), strings (plain, byte, C, raw with any number of #), characters against lifetimes, raw identifiers, and
numbers with their suffixes, after the Rust Reference's chapter on tokens. Identifiers inside of format strings are not counted.
"""

from __future__ import annotations

import re
from typing import Iterator, List, Set, Tuple

KEYWORDS = frozenset(
    "as async await break const continue crate dyn else enum extern false fn for if impl in let loop match mod move mut pub ref "
    "return self Self static struct super trait true type unsafe use where while _ "
    "abstract become box do final gen macro override priv try typeof unsized virtual yield".split()
)

RAW_STRING = re.compile(r'(?:b|c)?r(#*)"')
PLAIN_STRING = re.compile(r'(?:b|c)?"')
STRING_REST = re.compile(r'(?:[^"\\]|\\.)*"', re.DOTALL)
CHARACTER = re.compile(r"b?'(?:[^'\\\n\r\t]|\\(?:u\{[0-9a-fA-F_]{1,8}\}|x[0-9a-fA-F]{2}|.))'")
LIFETIME = re.compile(r"'(?:r#)?[^\W\d]\w*")
RAW_IDENTIFIER = re.compile(r"r#([^\W\d]\w*)")
IDENTIFIER = re.compile(r"[^\W\d]\w*")
NUMBER = re.compile(r"0[xob][0-9a-fA-F_]+\w*|[0-9][0-9_]*(?:\.(?!\.|[^\W\d])[0-9_]*)?(?:[eE][+-]?[0-9_]+)?\w*")
COMMENT_EDGE = re.compile(r"/\*|\*/")


def read(text: str) -> Tuple[Set[int], Iterator[str]]:
    """Line numbers with code on them (not blank or comment alone), and every identifier as often as it occurs.

    Raises SyntaxError for a comment or string that does not end.
    """
    code: List[Tuple[int, int]] = []
    identifiers: List[str] = []
    at, end = 0, len(text)
    # A first line with #! is for the shell, unless it begins an attribute.
    if text.startswith("#!") and not re.match(r"#!\s*\[", text):
        at = text.find("\n") if "\n" in text else end
    while at < end:
        character = text[at]
        if character.isspace():
            at += 1
            continue
        if text.startswith("//", at):
            at = _after(text, "\n", at, end)
            continue
        if text.startswith("/*", at):
            at = _after_comment(text, at)
            continue
        start, at, name = at, *_token(text, at)
        code.append((start, at))
        if name and name not in KEYWORDS:
            identifiers.append(name)
    return _lines_of(text, code), iter(identifiers)


def _token(text: str, at: int) -> Tuple[int, str]:
    """Where the token that starts here ends, and its name if it is an identifier."""
    raw = RAW_STRING.match(text, at)
    if raw:
        close = '"' + raw.group(1)
        found = text.find(close, raw.end())
        if found < 0:
            raise _unended(text, at, "raw string")
        return found + len(close), ""
    plain = PLAIN_STRING.match(text, at)
    if plain:
        rest = STRING_REST.match(text, plain.end())
        if rest is None:
            raise _unended(text, at, "string")
        return rest.end(), ""
    # A character before a lifetime: 'a' is one, 'a is the other.
    for pattern in (CHARACTER, LIFETIME, NUMBER):
        found_here = pattern.match(text, at)
        if found_here:
            return found_here.end(), ""
    raw_name = RAW_IDENTIFIER.match(text, at)
    if raw_name:
        # r#type is an identifier although `type` is none, and is counted with its mark.
        return raw_name.end(), raw_name.group(0)
    name = IDENTIFIER.match(text, at)
    if name:
        return name.end(), name.group(0)
    return at + 1, ""


def _after_comment(text: str, start: int) -> int:
    """The position after a block comment; those inside it must end first."""
    depth = 0
    for edge in COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    raise _unended(text, start, "comment")


def _after(text: str, what: str, at: int, end: int) -> int:
    found = text.find(what, at)
    return end if found < 0 else found


def _lines_of(text: str, spans: List[Tuple[int, int]]) -> Set[int]:
    """The lines that the spans touch. A string over many lines is code on each of them."""
    lines: Set[int] = set()
    line, at = 1, 0
    for start, end in spans:
        line += text.count("\n", at, start)
        last = line + text.count("\n", start, end)
        lines.update(range(line, last + 1))
        line, at = last, end
    return lines


def _unended(text: str, at: int, what: str) -> SyntaxError:
    return SyntaxError(f"the {what} that begins in line {text.count(chr(10), 0, at) + 1} does not end")
