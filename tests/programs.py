"""Programs of Debian's packages that tests need: where they are missing a test skips, in CI it fails."""

import os
import shutil

import pytest

PACKAGES = {"prometheus": "prometheus", "promtool": "prometheus", "chromium-headless-shell": "chromium-headless-shell"}
"""By program; scripts/test-programs installs them."""

INSTEAD = {"chromium-headless-shell": "chromium"}
"""What does as well, and is what people have; it takes three times as long to install."""


def program(name: str) -> str:
    """Return the path of a program; without it skip, or fail where CI is true: there nobody would see the skip."""
    if found := shutil.which(INSTEAD.get(name, name)) or shutil.which(name):
        return found
    missing = f"there is no {INSTEAD.get(name, name)} (Debian: apt-get install {PACKAGES[name]})"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)
