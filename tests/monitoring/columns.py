"""Tables against the columns that their queries give: Grafana passes over a name that is none, in silence. Pure."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.monitoring.promql import Labels

_IN_LINK = re.compile(r"\$\{__data\.fields\.(\w+)")


def faults_of_table(panel: Mapping[str, Any], labels: Labels) -> Iterator[str]:
    """Tell what a table renames, orders, sorts by, colours or links that it does not have."""
    refs = [target["refId"] for target in panel["targets"]]
    columns = {*labels, "Time", *(["Value"] if len(refs) == 1 else [f"Value #{ref}" for ref in refs])}
    shown = set(columns)
    for step in panel.get("transformations", []):
        options = step["options"]
        if step["id"] == "organize":
            renamed = options.get("renameByName", {})
            named = {*renamed, *options.get("indexByName", {}), *options.get("excludeByName", {})}
            yield from (f"there is no column {name}" for name in sorted(named - columns))
            shown = {renamed.get(name, name) for name in columns}
        if step["id"] == "sortBy":
            by = {field["field"] for field in options["sort"]}
            yield from (f"it is sorted by {name}, which is no column" for name in sorted(by - shown))
    config = panel.get("fieldConfig", {})
    matchers = [override["matcher"] for override in config.get("overrides", [])]
    own = {matcher["options"] for matcher in matchers if matcher["id"] == "byName"}
    yield from (f"an override is for {name}, which is no column" for name in sorted(own - shown))
    linked = set(_IN_LINK.findall(json.dumps(config)))
    yield from (f"a link asks for {name}, which is no column" for name in sorted(linked - shown - columns))
