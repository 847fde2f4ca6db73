"""Who reads usage, opened as the settings say: nobody, the kubelet of the agent's node, or metrics.k8s.io."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from agent.config import AgentConfig
from agent.kube.session import ApiSession
from agent.usage.scraping import Scraper
from agent.usage.sources import MetricsSource, Source, kubelet_source
from kubescribe.kube.access import Access
from kubescribe.wire.link import Usage


@asynccontextmanager
async def open_kubelet(config: AgentConfig, access: Access, *, version: str) -> AsyncIterator[Source | None]:
    """Yield the kubelet whom the scope node asks for usage, None where nobody or another is asked."""
    if config.scope != "node" or not config.usage.is_on(config.profile):
        yield None
        return
    url = config.usage.kubelet or f"https://{config.node}:10250"
    verifies = config.usage.kubelet_verify
    async with kubelet_source(access, config.node, url=url, verifies=verifies, version=version) as source:
        yield source


def scraper_of(
    config: AgentConfig,
    session: ApiSession,
    kubelet: Source | None,
    *,
    sees_all_pods: Callable[[], bool],
    send: Callable[[Sequence[Usage]], None],
) -> Scraper | None:
    """Return who reads usage and hands it to *send*, None in a profile that does not."""
    if not config.usage.is_on(config.profile):
        return None
    source = kubelet or MetricsSource(session, sees_all_pods)
    return Scraper(source, send, interval_seconds=config.usage.interval_seconds)
