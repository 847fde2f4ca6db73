"""The one rig that all tests share which leave it as they found it."""

from collections.abc import Iterator

import pytest

from tests.e2e.processes import Rig, rigged


@pytest.fixture(scope="package")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rigged(tmp_path_factory.mktemp("rig"), "--pods", "10", "--nodes", "2") as it:
        yield it
