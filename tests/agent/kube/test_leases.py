"""The Lease over HTTP, against the pretend cluster."""

import pytest
import pytest_asyncio

from agent.errors import LeaseTaken, NoAnswer, ServerSaid
from agent.kube.leases import LeaseClient, LeaseSpec

SPEC = LeaseSpec(holder="me", duration_seconds=10, transitions=3)
AT = 1_767_225_600_123_456_789


@pytest_asyncio.fixture
async def session(pretend):
    return await pretend.session()


@pytest.fixture
def leases(session):
    return LeaseClient(session, namespace="default", name="agents", now_ns=lambda: AT)


async def test_what_is_written_is_read_again(leases, session):
    assert await leases.read(5.0) is None

    created = await leases.write(SPEC, None, 5.0)

    read = await leases.read(5.0)
    assert read == created
    assert (read.spec.holder, read.spec.duration_seconds, read.spec.transitions) == ("me", 10, 3)
    assert read.spec.acquired_at == "2026-01-01T00:00:00.123456Z"
    assert dict(session.requests) == {"get leases": 2, "create leases": 1}


async def test_a_write_that_replaces_is_refused_when_somebody_else_wrote(leases, session):
    created = await leases.write(SPEC, None, 5.0)
    await leases.write(LeaseSpec(holder="other", duration_seconds=10), created, 5.0)

    with pytest.raises(LeaseTaken):
        await leases.write(SPEC, created, 5.0)

    assert session.requests["update leases"] == 2


async def test_a_second_create_is_refused(leases):
    await leases.write(SPEC, None, 5.0)

    with pytest.raises(LeaseTaken):
        await leases.write(SPEC, None, 5.0)


async def test_a_lease_that_was_deleted_is_to_be_read_again(leases, pretend):
    created = await leases.write(SPEC, None, 5.0)
    await pretend.control.delete("leases", "default", "agents")

    with pytest.raises(LeaseTaken):
        await leases.write(SPEC, created, 5.0)


async def test_nobody_holds_a_lease_that_was_let_go(leases):
    created = await leases.write(SPEC, None, 5.0)

    await leases.write(LeaseSpec(holder="", duration_seconds=1, transitions=3), created, 5.0)

    assert (await leases.read(5.0)).spec.holder == ""


async def test_labels_that_others_gave_the_lease_are_kept(leases, pretend):
    created = await leases.write(SPEC, None, 5.0)
    labelled = {
        "metadata": {"name": "agents", "namespace": "default", "labels": {"app": "kubescribe"}},
        "spec": {"holderIdentity": "me", "leaseDurationSeconds": 10},
    }
    await pretend.control.update("leases", labelled)
    with pytest.raises(LeaseTaken):
        await leases.write(SPEC, created, 5.0)

    written = await leases.write(SPEC, await leases.read(5.0), 5.0)

    assert b'"app":"kubescribe"' in written.metadata.replace(b" ", b"")


async def test_a_request_that_hangs_ends_at_its_deadline(leases, pretend):
    await pretend.control.hang("leases")

    with pytest.raises(NoAnswer, match=r"no answer within 0\.1 s") as caught:
        await leases.read(0.1)

    assert caught.value.is_silence


async def test_a_missing_permission_is_told_as_it_is(leases, pretend):
    await pretend.control.forbid("leases")

    with pytest.raises(ServerSaid) as caught:
        await leases.write(SPEC, None, 5.0)

    assert caught.value.code == 403
