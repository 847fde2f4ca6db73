"""One resource of the API as a value: its names, and what may be done with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

COMMON_FIELDS: Mapping[str, str] = {"metadata.name": "metadata.name", "metadata.namespace": "metadata.namespace"}
"""Field label → path inside the stored object."""

EVERY_VERB = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One stored resource, in the version that it is stored in."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=lambda: COMMON_FIELDS)
    has_status: bool = False
    """Whether the status is written through its own subresource."""
    has_generation: bool = True
    """Whether metadata.generation counts the changes of the spec."""
    cached: bool = True
    """False for Events: no watch cache, so no bookmarks and lists from the store."""
    trigger: str = ""
    """The field by whose value the watch cache dispatches and lists (the cacher's index); empty for none."""
    needs_version: bool = False
    """Whether an update must name the version that it replaces (AllowUnconditionalUpdate is false)."""
    creates_on_update: bool = False
    """Whether a PUT of an object that is not there creates it (AllowCreateOnUpdate)."""
    returns_deleted: bool = True
    """Whether a DELETE answers with the object, or with a Status."""
    verbs: tuple[str, ...] = EVERY_VERB
    bookmark: str = "{}"
    """The zero value that the kind's Go type prints besides its metadata, as a JSON object."""
    bookmark_annotations: str = ""
    """Annotations that the zero value carries (a DaemonSet's template generation)."""

    @property
    def api_version(self) -> str:
        """The apiVersion of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """The resource as people write it: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def __hash__(self) -> int:
        return hash((self.group, self.plural))
