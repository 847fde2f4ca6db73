"""Whether a container ever ran is told by its id."""

import json

import pytest

from agent.pods.ending import containers_that_ran


def body(**statuses: list[dict[str, str]]) -> bytes:
    return json.dumps({"metadata": {"name": "web-0"}, "status": statuses}).encode()


def test_containers_of_all_kinds_that_have_an_id_ran() -> None:
    told = body(
        initContainerStatuses=[{"name": "init", "containerID": "containerd://ab"}],
        containerStatuses=[{"name": "app", "containerID": "containerd://cd"}, {"name": "waits", "containerID": ""}],
        ephemeralContainerStatuses=[{"name": "debug", "containerID": "containerd://ef"}, {"name": "never"}],
    )

    assert containers_that_ran(told) == ("init", "app", "debug")


@pytest.mark.parametrize(
    "told", [body(), b'{"status":null}', b"{}", b"", b"[1]", b'{"status":{"containerStatuses":7}}']
)
def test_a_pod_that_was_evicted_before_its_start_or_is_not_known_ran_nothing(told: bytes) -> None:
    assert containers_that_ran(told) == ()
