"""What inotify told, in the words of the kubelet's folders: which pods, containers and instances were made. Pure."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from agent.tail.inotify import Changed
from agent.tail.paths import parse_file_name

Container = tuple[str, str]
"""The names of a pod's folder and of a container's in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """
    What changed since `since`, nanoseconds.

    `pods` are the folders where anything did, `files` the restarts of the instances whose file that is written was
    made, `gone_files` those of them whose file was deleted again, not renamed, unless nothing was in it, for sure.
    `brief_pods` were made and deleted, whether or not they are there once more: a static pod keeps its uid, and so its
    folder's name. `replaced_pods` had been there before that.
    """

    since: int
    is_overflown: bool = False
    pods: set[str] = field(default_factory=set)
    new_pods: set[str] = field(default_factory=set)
    brief_pods: set[str] = field(default_factory=set)
    replaced_pods: set[str] = field(default_factory=set)
    new_containers: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    files: defaultdict[Container, set[int]] = field(default_factory=lambda: defaultdict(set))
    gone_files: defaultdict[Container, set[int]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def of(cls, changed: Changed, root: Path, since: int) -> "News":
        """Return what *changed* below *root*, the folder of all logs."""
        news = cls(since=since, is_overflown=changed.is_overflown)
        for folder, name in changed.names:
            is_made, is_folder = (folder, name) in changed.made, (folder, name) in changed.folders
            if folder == root:
                news.pods.add(name)
                if is_folder:
                    news.new_pods.add(name)
                    if (folder, name) in changed.unmade:
                        news.brief_pods.add(name)
                    if (folder, name) in changed.deleted:
                        news.replaced_pods.add(name)
            elif folder.parent == root:
                news.pods.add(folder.name)
                if is_folder:
                    news.new_containers[folder.name].add(name)
            else:
                news.pods.add(folder.parent.name)
                file = parse_file_name(name)
                if is_made and not is_folder and file is not None and not file.rotated:
                    container = (folder.parent.name, folder.name)
                    news.files[container].add(file.restart)
                    if (folder, name) in changed.unmade and (folder, name) not in changed.empty:
                        news.gone_files[container].add(file.restart)
        return news
