"""
What a kubeconfig's files say, as far as it can be told in a line what is wrong with them. No credentials, no network.

kubernetes_asyncio reads the same files again; what it says of a mistake in them is for programmers, so they are checked
here first.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubescribe.kube.errors import ContextMissing, KubeconfigInvalid, KubeconfigMissing

_Tree = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one context names: its cluster, as people call it, and the command of its credential plugin, or ""."""

    cluster: str
    plugin: str


def read_entry(path: str, context: str | None) -> Entry:
    """Return what *context*, None for the current one, names in the files of *path*. Raises AccessError."""
    files = [Path(part).expanduser() for part in path.split(os.pathsep) if part]
    trees = [_read(file) for file in files if file.exists()]
    if not trees:
        raise KubeconfigMissing(
            f"kubeconfig {path} does not exist: name one with --kubeconfig or KUBECONFIG, or try --simulate"
        )
    # As kubectl: the first file that says it wins.
    name = context or next((tree["current-context"] for tree in trees if tree.get("current-context")), None)
    if not name:
        raise ContextMissing(f"kubeconfig {path} has no current context: run `kubectl config use-context NAME`")
    contexts = _section(path, trees, "contexts")
    if name not in contexts:
        known = ", ".join(sorted(contexts)[:8]) or "none"
        raise ContextMissing(f"kubeconfig {path} does not define the context {name!r}; it has: {known}")
    chosen = _mapping(contexts[name].get("context"))
    cluster, user = str(chosen.get("cluster", "")), chosen.get("user")
    _check_server(path, _mapping(_named(path, trees, name, "cluster", cluster).get("cluster")).get("server"))
    # A context without a user is one for a server that asks for no credentials.
    credentials = _mapping(_named(path, trees, name, "user", str(user)).get("user")) if user else {}
    # EKS names clusters by their ARN; the last part is the name that people use.
    return Entry(cluster=cluster.rpartition("/")[2], plugin=str(_mapping(credentials.get("exec")).get("command", "")))


def _read(file: Path) -> _Tree:
    try:
        tree = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise KubeconfigInvalid(f"kubeconfig {file} is not YAML: {reason}") from error
    except OSError as error:
        raise KubeconfigInvalid(f"kubeconfig {file} cannot be read: {error.strerror}") from error
    if not isinstance(tree, dict):
        raise KubeconfigInvalid(f"kubeconfig {file} is not a kubeconfig: it holds no mapping")
    return tree


def _section(path: str, trees: Sequence[_Tree], section: str) -> dict[str, _Tree]:
    """Return the entries of *section* by name, the first of a name winning. Raises KubeconfigInvalid."""
    found: dict[str, _Tree] = {}
    for tree in trees:
        entries = tree.get(section) or []
        if not isinstance(entries, list):
            raise KubeconfigInvalid(f"kubeconfig {path} is not a kubeconfig: its {section} are no list")
        for entry in entries:
            if isinstance(entry, dict):
                found.setdefault(str(entry.get("name")), entry)
    return found


def _named(path: str, trees: Sequence[_Tree], context: str, what: str, name: str) -> _Tree:
    entry = _section(path, trees, f"{what}s").get(name)
    if entry is None:
        raise KubeconfigInvalid(
            f"kubeconfig {path}: the context {context!r} names the {what} {name!r}, which it does not define"
        )
    return entry


def _check_server(path: str, server: object) -> None:
    if not isinstance(server, str) or not server.startswith(("https://", "http://")):
        raise KubeconfigInvalid(
            f"kubeconfig {path}: the server of its cluster is {str(server)[:128]!r}; expected https://HOST:PORT"
        )


def _mapping(value: object) -> _Tree:
    return value if isinstance(value, dict) else {}
