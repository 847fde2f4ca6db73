"""The resources that one cluster serves: the built-in ones, and custom groups that can be switched on and off."""

from collections.abc import Iterable

from simulator.kinds import BUILT_IN, CUSTOM, REVIEWS
from simulator.resource import Resource


class ResourceTable:
    """The resources of one cluster; custom groups can be switched on and off while it runs."""

    def __init__(self, custom_groups: Iterable[str] = ()) -> None:
        self._by_name: dict[str, Resource] = {}
        for resource in (*BUILT_IN, *CUSTOM, *REVIEWS):
            self._by_name[resource.plural] = self._by_name[resource.name] = resource
        self._custom_groups = set(custom_groups)

    def find(self, name: str | Resource) -> Resource:
        """Return the resource called *name* (`pods`, `deployments`, `deployments.apps`); KeyError if there is none."""
        return name if isinstance(name, Resource) else self._by_name[name]

    def served(self) -> list[Resource]:
        """Return what the API serves now."""
        custom = (resource for resource in CUSTOM if resource.group in self._custom_groups)
        return [*BUILT_IN, *REVIEWS, *custom]

    def switch(self, group: str, *, on: bool) -> None:
        """Serve a custom group, or stop serving it."""
        (self._custom_groups.add if on else self._custom_groups.discard)(group)
