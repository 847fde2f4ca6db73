"""
Access from a kubeconfig, through kubernetes_asyncio: contexts, certificates, tokens, credential plugins.

The plugin (`aws eks get-token`) runs again before its token expires, and after a 401. Its own refreshing loop is not
used: `refresh_token` polls, and knows nothing of a 401.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import ConfigException
from kubernetes_asyncio.config.kube_config import load_kube_config

from kubescribe.kube.access import Access
from kubescribe.kube.errors import KubeconfigInvalid
from kubescribe.kube.kubeconfigfile import read_entry

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
        cluster=read_entry(path, context).cluster,
    )


async def load(path: str, context: str | None) -> tuple[Configuration, datetime | None]:
    """Return what kubernetes_asyncio makes of the file, and when its token expires. Raises AccessError."""
    entry = read_entry(path, context)
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
        if entry.plugin:
            raise KubeconfigInvalid(
                f"kubeconfig {path}: its credential plugin {entry.plugin!r} is not installed or not on PATH"
            ) from error
        raise KubeconfigInvalid(f"kubeconfig {path}: it names {error.filename}, which does not exist") from error
    except (ConfigException, ValueError, KeyError, TypeError, AttributeError, AssertionError, OSError) as error:
        hint = f"; does {entry.plugin!r} work when run by hand?" if entry.plugin else ""
        raise KubeconfigInvalid(f"kubeconfig {path}: {_line(error)}{hint}") from error
    return configuration, getattr(loader, "exec_plugin_expiry", None)


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


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
