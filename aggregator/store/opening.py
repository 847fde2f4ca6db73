"""Choose the store behind a URL; the only file that knows which ones there are."""

from collections.abc import Callable
from pathlib import Path

from aggregator.errors import StoreUnusable
from aggregator.store.base import Journal
from aggregator.store.memory import MemoryJournal
from aggregator.store.sqlite.journal import SqliteJournal


def open_journal(url: str, *, cluster_uid: str = "") -> Journal:
    """
    Return the journal that *url* names, not yet open: `sqlite:///PATH`, a bare path, or `memory:`.

    With *cluster_uid*, `open` refuses the journal of another cluster. Raises StoreUnusable for an unknown scheme.
    """
    scheme, colon, rest = url.partition(":")
    if not colon or "/" in scheme:
        return _sqlite(url, cluster_uid)
    choose = _SCHEMES.get(scheme)
    if choose is None:
        known = ", ".join(f"{name}:" for name in _SCHEMES)
        raise StoreUnusable(f"no store is known for {url[:256]!r}; expected a path or one of {known}")
    return choose(rest, cluster_uid)


def folder_of(url: str) -> Path | None:
    """Return the folder of the journal that *url* names, None for one that is on no disk of ours."""
    scheme, colon, rest = url.partition(":")
    if not colon or "/" in scheme:
        return Path(url).absolute().parent
    return Path(rest.removeprefix("//")).absolute().parent if scheme == "sqlite" else None


def _sqlite(path: str, cluster_uid: str) -> Journal:
    if path.startswith("//"):
        path = path.removeprefix("//")
        if not path.startswith("/"):
            raise StoreUnusable(f"sqlite://{path[:256]} names a host; expected sqlite:///PATH")
    if not path:
        raise StoreUnusable("the store names no file; expected sqlite:///PATH")
    return SqliteJournal(Path(path), cluster_uid=cluster_uid)


def _memory(_rest: str, _cluster_uid: str) -> Journal:
    return MemoryJournal()


_SCHEMES: dict[str, Callable[[str, str], Journal]] = {"sqlite": _sqlite, "memory": _memory}
