"""The kubeconfig of the pretend cluster, and its token."""

import os
import secrets
from pathlib import Path

NAME = "pretend"


def kubeconfig(url: str, token: str) -> str:
    """Return a kubeconfig as YAML."""
    return f"""\
apiVersion: v1
kind: Config
clusters:
- name: {NAME}
  cluster:
    server: {url}
users:
- name: {NAME}
  user:
    token: {token}
contexts:
- name: {NAME}
  context:
    cluster: {NAME}
    user: {NAME}
current-context: {NAME}
"""


def write_atomically(path: Path, text: str) -> None:
    """Write a file that nobody else may read; a reader sees the old one or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def kept_token(data: Path | None) -> str:
    """Return the token kept under *data*, so that a kubeconfig outlives a restart; made at the first start."""
    if data is None:
        return secrets.token_urlsafe(24)
    path = data / "token"
    if path.is_file():
        return path.read_text().strip()
    token = secrets.token_urlsafe(24)
    write_atomically(path, token + "\n")
    return token
