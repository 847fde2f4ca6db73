"""Where the kubelet mounts what a pod is; the light part, which settings may import."""

from pathlib import Path

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def own_namespace(account: Path = SERVICE_ACCOUNT) -> str:
    """Return the namespace that this pod runs in, `default` outside of a cluster."""
    try:
        return (account / "namespace").read_text("utf-8").strip() or "default"
    except (OSError, UnicodeDecodeError):
        return "default"
