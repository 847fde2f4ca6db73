"""
Where the API server is, and how we prove who we are. Not the requests themselves.

Two ways: in a cluster, from the files and variables that every pod has; elsewhere from a kubeconfig. Only the second
needs kubernetes_asyncio, which is large, so it is imported by `kubeconfig` alone and that only when it is used.
"""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kubescribe.kube.account import SERVICE_ACCOUNT
from kubescribe.kube.errors import AccessError


class Credentials(Protocol):
    """What proves who we are."""

    async def headers(self) -> Mapping[str, str]:
        """Return the headers of the next request, refreshed when they are about to expire. Raises AccessError."""
        ...

    async def renew(self) -> None:
        """Forget what the server has just answered with 401. Raises AccessError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """
    An API server and the way to it.

    `tls` is None for plain HTTP. `server_name` is what the certificate must be for when it is not the host of the
    URL. `cluster` is the name that the configuration gives the cluster, "" when it gives none.
    """

    base_url: str
    credentials: Credentials
    tls: ssl.SSLContext | None = None
    server_name: str = ""
    proxy: str = ""
    cluster: str = ""


class ProjectedToken:
    """
    The token of a pod's service account, read anew for each connection.

    The kubelet replaces a projected token at 80 % of its life; whoever keeps it in memory is a stranger an hour later.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def headers(self) -> Mapping[str, str]:
        """Return the headers with the token as it is in the file now. Raises AccessError."""
        return {"Authorization": f"Bearer {self._read()}"}

    async def renew(self) -> None:
        """Do nothing: the file is read each time."""

    def _read(self) -> str:
        # A few hundred bytes in a tmpfs: a thread would cost more than the read.
        try:
            return self._path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise AccessError(
                f"the service account token {self._path} cannot be read ({_reason(error)}): "
                "is automountServiceAccountToken off?"
            ) from error


class NoCredentials:
    """For a server that asks for none, or for a client certificate."""

    async def headers(self) -> Mapping[str, str]:
        """Return no headers."""
        return {}

    async def renew(self) -> None:
        """Do nothing."""


def is_in_cluster(environ: Mapping[str, str] = os.environ, account: Path = SERVICE_ACCOUNT) -> bool:
    """Tell whether this process runs in a pod with a service account."""
    return bool(environ.get("KUBERNETES_SERVICE_HOST")) and (account / "token").exists()


def in_cluster_access(environ: Mapping[str, str] = os.environ, account: Path = SERVICE_ACCOUNT) -> Access:
    """Return the access that a pod has. Raises AccessError when this is no pod, or one without its service account."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise AccessError("not in a cluster: KUBERNETES_SERVICE_HOST is not set; name a kubeconfig with --kubeconfig")
    authority = account / "ca.crt"
    try:
        tls = ssl.create_default_context(cafile=str(authority))
    except (OSError, ssl.SSLError) as error:
        raise AccessError(
            f"the cluster's certificate authority {authority} cannot be read ({_reason(error)}): "
            "is automountServiceAccountToken off?"
        ) from error
    place = f"[{host}]" if ":" in host else host
    return Access(base_url=f"https://{place}:{port}", credentials=ProjectedToken(account / "token"), tls=tls)


async def find_access(
    kubeconfig: str | None = None, *, context: str | None = None, environ: Mapping[str, str] = os.environ
) -> Access:
    """
    Return the access: *kubeconfig* if one is named, else the pod's own, else the kubeconfig of $KUBECONFIG or ~/.kube.

    Raises AccessError, one line that says what is wrong and what to do.
    """
    if kubeconfig is None and is_in_cluster(environ):
        return in_cluster_access(environ)
    # Here, since a pod needs neither; the second imports 900 modules, so a mistake in the file is told before.
    from kubescribe.kube.kubeconfigfile import read_entry  # noqa: PLC0415

    path = kubeconfig or environ.get("KUBECONFIG") or "~/.kube/config"
    read_entry(path, context)
    from kubescribe.kube.kubeconfig import kubeconfig_access  # noqa: PLC0415

    return await kubeconfig_access(path, context=context)


def unverified() -> ssl.SSLContext:
    """Return a context that takes any certificate: for kubelets that sign their own, where somebody said so."""
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    return tls


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error))[:128]
