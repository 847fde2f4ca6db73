"""Which applications the pretend cluster runs: names, sizes, owners, and how many replicas each gets."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

NAMESPACES = (
    "default",
    "kube-node-lease",
    "kube-public",
    "kube-system",
    "batch",
    "data",
    "ingress-nginx",
    "monitoring",
    "payments",
    "shop",
)

_REGISTRY = "310987654321.dkr.ecr.ap-northeast-2.amazonaws.com"
_PODS_PER_EXTRA_APP = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A Deployment and what belongs to it."""

    namespace: str
    name: str
    tag: str = "1.4.0"
    team: str = "platform"
    manager: str = "kubectl-client-side-apply"
    cpu_millis: int = 100
    memory_mebibytes: int = 256
    """The limit it needs: below three quarters of it, it is OOM-killed."""
    has_config: bool = False
    has_autoscaler: bool = False
    has_ingress: bool = False
    is_scalable: bool = True
    is_on_fargate: bool = False
    replicas: int = 1

    @property
    def image(self) -> str:
        """Repository of the image, without a tag."""
        return f"{_REGISTRY}/{self.namespace}/{self.name}"

    @property
    def config_name(self) -> str:
        """Name of its ConfigMap."""
        return f"{self.name}-config"


_ARGO = "argocd-controller"
_HELM = "helm"

APPS = (
    App(namespace="shop", name="checkout", team="commerce", manager=_ARGO, has_config=True, has_autoscaler=True),
    App(namespace="shop", name="orders", team="commerce", manager=_ARGO, has_config=True, memory_mebibytes=512),
    App(namespace="shop", name="cart", team="commerce", manager=_ARGO, has_config=True),
    App(namespace="shop", name="search", team="discovery", has_autoscaler=True, memory_mebibytes=1024, cpu_millis=250),
    App(namespace="shop", name="frontend", team="web", manager=_ARGO, has_ingress=True, has_config=True),
    App(
        namespace="payments", name="payments-api", team="payments", manager=_HELM, has_config=True, has_autoscaler=True
    ),
    App(namespace="payments", name="ledger", team="payments", manager=_HELM, memory_mebibytes=512),
    App(namespace="payments", name="fraud", team="risk", has_config=True, memory_mebibytes=768),
    App(namespace="data", name="ingest", team="data", has_config=True),
    App(namespace="data", name="recommendations", team="discovery", memory_mebibytes=1024, cpu_millis=500),
    App(namespace="monitoring", name="grafana", tag="12.4.1", manager=_HELM, is_scalable=False),
    App(namespace="monitoring", name="kube-state-metrics", tag="2.18.0", manager=_HELM, is_scalable=False),
    App(namespace="ingress-nginx", name="ingress-nginx-controller", tag="1.14.0", manager=_HELM, is_scalable=False),
    App(namespace="kube-system", name="coredns", tag="1.13.1", manager="eks", is_scalable=False, replicas=2),
)

FARGATE_APP = App(
    namespace="payments", name="webhooks", team="payments", manager=_HELM, is_scalable=False, is_on_fargate=True
)
"""The application of a Fargate profile; each of its replicas is a node."""

_FIRST = ("rates", "mailer", "geo", "invoice", "media", "profile", "quota", "vouchers", "stock", "audit", "routes")
_SECOND = ("api", "worker", "gateway", "sync", "indexer", "export")


def _extra_apps() -> Iterator[App]:
    """Yield further applications without end, for clusters of thousands of pods."""
    number = 0
    while True:
        first, second = _FIRST[number % len(_FIRST)], _SECOND[number // len(_FIRST) % len(_SECOND)]
        generation = number // (len(_FIRST) * len(_SECOND))
        name = f"{first}-{second}" if generation == 0 else f"{first}-{second}-{generation + 1}"
        namespace = ("shop", "payments", "data")[number % 3]
        yield App(namespace=namespace, name=name, team=first, has_config=number % 4 == 0)
        number += 1


def apps_for(pods: int) -> tuple[App, ...]:
    """Return the applications, replicas set so that they come to *pods* in all (but each has at least one)."""
    apps = list(APPS)
    extra = _extra_apps()
    while pods > _PODS_PER_EXTRA_APP * len(apps):
        apps.append(next(extra))
    scalable = [index for index, app in enumerate(apps) if app.is_scalable]
    wanted = max(len(scalable), pods - sum(app.replicas for app in apps if not app.is_scalable))
    share, rest = divmod(wanted, len(scalable))
    for place, index in enumerate(scalable):
        apps[index] = replace(apps[index], replicas=share + (1 if place < rest else 0))
    return tuple(apps)
