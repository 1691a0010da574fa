"""Reads Python source with the standard library's own tokenizer: which lines hold code, and the identifiers in order."""

from __future__ import annotations

import io
import keyword
import tokenize
from typing import Iterator, List, Set, Tuple

# From Python 3.12 on an f-string comes in pieces; before, it was one string. Names inside are left out in both cases, so that
# the same file has the same count everywhere.
STRING_STARTS = {getattr(tokenize, name, -1) for name in ("FSTRING_START", "TSTRING_START")}
STRING_ENDS = {getattr(tokenize, name, -1) for name in ("FSTRING_END", "TSTRING_END")}
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def read(text: str) -> Tuple[Set[int], Iterator[str]]:
    """Line numbers with code on them (not blank, comment or docstring alone), and every identifier as often as it occurs.

    Raises SyntaxError for what has no tokens of Python.
    """
    code_lines: Set[int] = set()
    identifiers: List[str] = []
    statement_has_only_a_string = True
    string_lines: Set[int] = set()
    inside = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            lines = range(token.start[0], token.end[0] + 1)
            if token.type == tokenize.NEWLINE:
                # A statement that is one string is documentation, wherever it stands.
                if not statement_has_only_a_string:
                    code_lines |= string_lines
                statement_has_only_a_string, string_lines = True, set()
            elif token.type in LAYOUT:
                continue
            elif token.type == tokenize.STRING:
                string_lines.update(lines)
            else:
                statement_has_only_a_string = False
                code_lines.update(lines)
                inside += (token.type in STRING_STARTS) - (token.type in STRING_ENDS)
                if token.type == tokenize.NAME and not inside and not keyword.iskeyword(token.string):
                    identifiers.append(token.string)
    except (tokenize.TokenError, IndentationError) as error:
        raise SyntaxError(str(error)) from error
    if not statement_has_only_a_string:
        code_lines |= string_lines
    return code_lines, iter(identifiers)
