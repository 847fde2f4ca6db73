"""The page docs/configuration.md, made from the table of settings: `make docs` writes it, a test compares it."""

import argparse
from pathlib import Path

from kubescribe.cli.roles import ROLES
from kubescribe.runtime.describing import markdown

_HEAD = """\
# Configuration

Made by `make docs` from the table of settings that the programs themselves read; do not edit.

Settings come from a YAML file (`--config FILE` or `KUBESCRIBE_CONFIG`), from `KUBESCRIBE_*` variables and from options;
the later wins. All bad settings are reported together, one line each, and the exit code is 2. `--check-config` prints
the settings in effect and where each came from; `--help` says what stands here.

- Durations have a unit: `500ms`, `30s`, `15m`, `1h30m`, `14d`. Sizes may have one: `64KiB`, `512MiB`, `4096`.
- An address is `HOST:PORT`; without a host (`:8080`) it is every interface. Port 0 is any free one.
- In the file a list is a YAML list, elsewhere its items are separated by commas; an option may also be repeated.
- An empty variable, and `null` in the file, count as not given.
- The variables that Kubernetes sets for a Service named `kubescribe` or `kubescribe-…` (`KUBESCRIBE_SERVICE_HOST`,
  `KUBESCRIBE_PORT_8080_TCP_ADDR`, …) are ignored.

```yaml
# kubescribe up --config this-file.yaml
http:
  listen: 127.0.0.1:8080
watch:
  kinds: [argoproj.io/v1alpha1/Workflow]
spool:
  maxBytes: 1GiB
```
"""


def page() -> str:
    """Return the whole page."""
    parts = [_HEAD]
    for role in ROLES.values():
        parts.append(f"## kubescribe {role.name}\n\n{role.summary[0].upper()}{role.summary[1:]}.\n")
        parts.append(markdown(role.settings))
    return "\n".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write docs/configuration.md.")
    parser.add_argument("path", type=Path)
    parser.parse_args().path.write_text(page(), encoding="utf-8")
