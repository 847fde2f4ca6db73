"""A Dockerfile as stages of instructions. The part of the language that ours uses; anything else is an error."""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

KNOWN = {"ARG", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "LABEL", "RUN", "USER", "WORKDIR"}


@dataclass
class Stage:
    """`FROM base AS name`, and what follows."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def each(self, word: str) -> list[str]:
        return [rest for instruction, rest in self.instructions if instruction == word]

    @property
    def entrypoint(self) -> list[str]:
        (text,) = self.each("ENTRYPOINT")
        return json.loads(text)


def parse(path: Path) -> list[Stage]:
    """Return the stages; ARGs before the first FROM are put into its base, as in Docker."""
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for word, rest in _instructions(path.read_text(encoding="utf-8")):
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(substituted(base, arguments), name or str(len(stages))))
        elif word not in KNOWN:
            raise ValueError(f"{word}: not known here")
        elif stages:
            stages[-1].instructions.append((word, rest))
        else:
            arguments |= pairs(rest)
    return stages


def pairs(text: str) -> dict[str, str]:
    """Return the `name=value`s of an ARG, ENV or LABEL."""
    return dict(part.split("=", 1) for part in shlex.split(text))


def substituted(text: str, variables: dict[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: variables.get(match[1], ""), text)


def _instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", "", "\n".join(lines))
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


def context_files(root: Path) -> list[str]:
    """Return what .dockerignore lets into the build: `*`, then the names that are let in again."""
    first, *others = [line for line in (root / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    if first != "*":
        raise ValueError("everything is to be left out first")
    return [line[1:] for line in others if line.startswith("!")]
