"""The query of a list or a watch (`metav1.ListOptions`), parsed and validated as the API server does it."""

from collections.abc import Mapping
from dataclasses import dataclass

from simulator.statuses import bad_request, bad_version, invalid_options

NOT_OLDER_THAN, EXACT = "NotOlderThan", "Exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """One request's options."""

    watch: bool
    version: int | None
    """resourceVersion; None when unset."""
    match: str
    limit: int
    """0 for none."""
    token: str
    """The continue token."""
    labels: str
    fields: str
    timeout_seconds: int | None
    bookmarks: bool
    initial_events: bool | None


def list_options(query: Mapping[str, str]) -> ListOptions:
    """Parse a query; ApiError in the server's words when it cannot be followed."""
    version = query.get("resourceVersion", "")
    if version and not version.isdecimal():
        raise bad_version(version)
    options = ListOptions(
        watch=_truth(query, "watch") is True,
        version=int(version) if version else None,
        match=query.get("resourceVersionMatch", ""),
        limit=_number(query, "limit") or 0,
        token=query.get("continue", ""),
        labels=query.get("labelSelector", ""),
        fields=query.get("fieldSelector", ""),
        timeout_seconds=_number(query, "timeoutSeconds"),
        bookmarks=_truth(query, "allowWatchBookmarks") is True,
        initial_events=_truth(query, "sendInitialEvents"),
    )
    if options.watch:
        _check_watch(options)
    else:
        _check_list(options)
    return options


def _check_watch(options: ListOptions) -> None:
    """As `validateWatchOptions` of apimachinery."""
    if options.initial_events is not None and options.match != NOT_OLDER_THAN:
        raise invalid_options(
            "resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        )
    if options.match and options.initial_events is None:
        raise invalid_options(
            "resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        )


def _check_list(options: ListOptions) -> None:
    """As `ValidateListOptions` of apimachinery."""
    if options.initial_events is not None:
        raise invalid_options("sendInitialEvents", "sendInitialEvents is forbidden for list")
    if options.token and options.version:
        raise bad_request("specifying resource version is not allowed when using continue")
    if not options.match:
        return
    if options.version is None:
        raise invalid_options(
            "resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"
        )
    if options.token:
        raise invalid_options("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
    if options.match == EXACT and options.version == 0:
        raise invalid_options(
            "resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        )


def _truth(query: Mapping[str, str], name: str) -> bool | None:
    """Go's conversion: anything but "false" and "0" is true."""
    return None if name not in query else query[name].lower() not in {"false", "0"}


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not text.removeprefix("-").isdecimal():
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return max(int(text), 0)
