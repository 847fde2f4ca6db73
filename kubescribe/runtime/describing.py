"""
The table of settings in words: the text of `--help`, what `--check-config` prints, a page of Markdown.

Pure; none of it reads a setting.
"""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from kubescribe.runtime.settings import Setting, group_doc, table, value_of

WIDTH = 100
_COLUMN = 6


def help_text(settings: type[Any]) -> str:
    """Return every setting of a role by group: its option, what it does, default, reason, variable and key."""
    blocks: list[str] = []
    for name, rows in _groups(settings):
        title = f"{name}: " if name else ""
        blocks.append(_wrapped(f"{title}{group_doc(settings, rows[0].key)}", 0))
        blocks += [_option(row) for row in rows]
    return "\n".join(blocks)


def effective(settings: Any, sources: Mapping[str, str]) -> str:
    """
    Return the settings in effect as a YAML file that gives the same again, each with the place where it came from.

    Secrets are `***`; what is not set is a comment.
    """
    lines: list[str] = []
    for name, rows in _groups(type(settings)):
        indent = "  " if name else ""
        if name:
            lines.append(f"{name}:")
        for row in rows:
            value = row.show(value_of(settings, row.key))
            key = row.key.rpartition(".")[2]
            source = sources.get(row.key, "default")
            lines.append(f"{indent}{key}: {_scalar(value)}  # {source}" if value else f"{indent}# {key} is not set")
    return "\n".join(lines) + "\n"


def markdown(settings: type[Any]) -> str:
    """Return the tables of a role for docs/configuration.md, one a group."""
    parts: list[str] = []
    for name, rows in _groups(settings):
        title = f"**`{name}`** — " if name else ""
        parts.append(f"{title}{group_doc(settings, rows[0].key)}\n")
        parts.append("| key in the file | option, variable | default | what it is |")
        parts.append("|---|---|---|---|")
        parts += [_cells(row) for row in rows]
        parts.append("")
    return "\n".join(parts)


def _groups(settings: type[Any]) -> Iterator[tuple[str, list[Setting]]]:
    for name, rows in groupby(table(settings), key=lambda row: row.key.rpartition(".")[0]):
        yield name, list(rows)


def _option(row: Setting) -> str:
    kind = row.declared.kind
    shape = "" if kind.is_flag else f" {kind.shape}"
    names = f"{row.variable or 'no variable'}, {row.key} in the file"
    default = row.default_text or "not set"
    said = f"{row.declared.help} Default: {default} ({row.declared.why}). [{names}]"
    return f"  {row.option}{shape}\n{_wrapped(said, _COLUMN)}"


def _wrapped(text: str, indent: int) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * indent, break_on_hyphens=False
    )


def _scalar(text: str) -> str:
    # Plain YAML would read "10:30", "1e3" or "no" as something else; JSON's text is YAML's, and always text.
    is_plain = re.fullmatch(r"/[A-Za-z0-9_./-]*|[a-z]{4,}|true|[0-9]+([A-Za-z]+|%)?", text) is not None
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def _cells(row: Setting) -> str:
    kind = row.declared.kind
    names = [f"`{row.option}`", *([f"`{row.variable}`"] if row.variable else [])]
    default = f"`{row.default_text}`" if row.default_text else "not set"
    unit = f" Kept in {kind.unit}." if kind.unit else ""
    secret = " Secret: never shown." if row.declared.secret else ""
    what = f"{row.declared.help} Expected: {kind.expects}.{unit}{secret} Why this default: {row.declared.why}."
    cells: Sequence[str] = (f"`{row.key}`", "<br>".join(names), default, what)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
