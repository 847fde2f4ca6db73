"""
Access from a kubeconfig, through kubernetes_asyncio: contexts, certificates, tokens, credential plugins.

The plugin (`aws eks get-token`) runs again before its token expires, and after a 401. Its own refreshing loop is not
used: `refresh_token` polls, and knows nothing of a 401.
"""

import asyncio
import logging
import os
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import ConfigException
from kubernetes_asyncio.config.kube_config import load_kube_config

from agent.errors import ContextMissing, KubeconfigInvalid, KubeconfigMissing
from agent.kube.access import Access

PLUGIN_SECONDS = 60.0
"""A plugin may ask a cloud for a token and may have to retry; one that asks a person never ends."""

_SKEW = timedelta(minutes=1)
"""EKS tokens live 15 minutes; a minute is enough for clocks that differ and for a slow plugin."""


class KubeconfigCredentials:
    """What a kubeconfig's user section gives: a token, or a plugin that makes tokens. One refresh at a time."""

    def __init__(
        self, path: str, context: str | None, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._path = path
        self._context = context
        self._now = now
        self._lock = asyncio.Lock()
        self._headers: Mapping[str, str] | None = None
        self._expires_at: datetime | None = None

    def adopt(self, token: str | None, expires_at: datetime | None) -> None:
        """Take *token*, `Bearer …` or `Basic …`, as it was loaded."""
        self._headers = {"Authorization": token} if token else {}
        self._expires_at = expires_at

    async def headers(self) -> Mapping[str, str]:
        """Return the headers, loaded anew when the token is about to expire. Raises AccessError."""
        async with self._lock:
            if self._headers is None or (self._expires_at and self._now() >= self._expires_at - _SKEW):
                configuration, expires_at = await load(self._path, self._context)
                self.adopt(configuration.api_key.get("BearerToken"), expires_at)
            return self._headers or {}

    async def renew(self) -> None:
        """Forget the token: the file is read and the plugin run for the next request."""
        async with self._lock:
            self._headers = None


async def kubeconfig_access(path: str, *, context: str | None = None) -> Access:
    """Return the access that the kubeconfig at *path* describes. Raises AccessError."""
    configuration, expires_at = await load(path, context)
    credentials = KubeconfigCredentials(path, context)
    credentials.adopt(configuration.api_key.get("BearerToken"), expires_at)
    url = str(configuration.host)
    return Access(
        base_url=url,
        credentials=credentials,
        tls=_tls(configuration, path) if url.startswith("https") else None,
        server_name=configuration.tls_server_name or "",
        proxy=configuration.proxy or "",
        cluster=_cluster_name(path, context),
    )


async def load(path: str, context: str | None) -> tuple[Configuration, datetime | None]:
    """Return what kubernetes_asyncio makes of the file, and when its token expires. Raises AccessError."""
    _check(path, context)
    # The library logs a plugin's failure and raises it too; once is enough.
    logging.getLogger("kubernetes_asyncio.config.kube_config").setLevel(logging.CRITICAL)
    configuration = Configuration()
    try:
        async with asyncio.timeout(PLUGIN_SECONDS):
            loader = await load_kube_config(
                config_file=path, context=context, client_configuration=configuration, persist_config=False
            )
    except TimeoutError:
        raise KubeconfigInvalid(
            f"kubeconfig {path}: its credential plugin gave no token within {PLUGIN_SECONDS:.0f} s; run it by hand"
        ) from None
    except FileNotFoundError as error:
        raise KubeconfigInvalid(
            f"kubeconfig {path}: its credential plugin {error.filename!r} is not installed or not on PATH"
        ) from error
    except (ConfigException, ValueError, KeyError, TypeError, AttributeError, AssertionError, OSError) as error:
        raise KubeconfigInvalid(f"kubeconfig {path}: {_line(error)}") from error
    return configuration, getattr(loader, "exec_plugin_expiry", None)


def _check(path: str, context: str | None) -> None:
    """Raise the error that says most plainly what is wrong with the file; what the library says is for programmers."""
    files = [Path(part).expanduser() for part in path.split(os.pathsep) if part]
    found = [file for file in files if file.exists()]
    if not found:
        raise KubeconfigMissing(
            f"kubeconfig {path} does not exist: name one with --kubeconfig or KUBECONFIG, or try --simulate"
        )
    contexts: dict[str, Any] = {}
    current = context
    for file in found:
        tree = _read(file)
        current = current or tree.get("current-context")
        entries = tree.get("contexts")
        contexts.update({str(item.get("name")): item for item in entries or () if isinstance(item, dict)})
    if not current:
        raise ContextMissing(f"kubeconfig {path} has no current context: run `kubectl config use-context NAME`")
    if current not in contexts:
        known = ", ".join(sorted(contexts)[:8]) or "none"
        raise ContextMissing(f"kubeconfig {path} does not define the context {current!r}; it has: {known}")


def _read(file: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise KubeconfigInvalid(f"kubeconfig {file} is not YAML: {_line(error)}") from error
    except OSError as error:
        raise KubeconfigInvalid(f"kubeconfig {file} cannot be read: {error.strerror}") from error
    if not isinstance(tree, dict):
        raise KubeconfigInvalid(f"kubeconfig {file} is not a kubeconfig: it holds no mapping")
    return tree


def _tls(configuration: Configuration, path: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    except (OSError, ssl.SSLError) as error:
        raise KubeconfigInvalid(f"kubeconfig {path}: its certificates cannot be used: {_line(error)}") from error
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _cluster_name(path: str, context: str | None) -> str:
    for part in path.split(os.pathsep):
        file = Path(part).expanduser()
        if not part or not file.exists():
            continue
        tree = _read(file)
        wanted = context or tree.get("current-context")
        for item in tree.get("contexts") or ():
            if isinstance(item, dict) and item.get("name") == wanted:
                # EKS names clusters by their ARN; the last part is the name that people use.
                return str((item.get("context") or {}).get("cluster", "")).rpartition("/")[2]
    return ""


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
