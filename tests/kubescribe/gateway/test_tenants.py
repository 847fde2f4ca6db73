"""A token of the gateway is no key to every tenant that our credential at Loki may write for."""

import pytest

from kubescribe.gateway.errors import BadPush, WrongTenant
from kubescribe.gateway.tenants import Tenants
from tests.kubescribe.gateway.house import pushing, snappy, stream
from tests.kubescribe.loki.house import until

PUSH = snappy(stream('{a="b"}', b"x"))


@pytest.mark.parametrize(
    ("listed", "own", "may", "may_not"),
    [
        ((), "", ["", "a", "b"], []),
        ((), "a", ["", "a"], ["b", "A"]),
        (("b",), "a", ["", "a", "b"], ["c"]),
        (("b",), "", ["", "b"], ["a"]),
    ],
)
def test_a_shipper_may_name_our_own_tenant_and_those_that_are_listed(listed, own, may, may_not):
    tenants = Tenants(listed, own=own)

    for named in may:
        assert tenants.checked(named) == ("" if named == own else named)
    for named in may_not:
        with pytest.raises(WrongTenant):
            tenants.checked(named)


@pytest.mark.parametrize("named", ["a|b", "..", "a b", "x" * 151])
def test_what_is_no_name_of_one_tenant_is_no_push(named):
    with pytest.raises(BadPush):
        Tenants((), own="").checked(named)


async def test_a_tenant_that_shippers_may_not_name_is_refused_and_counted_and_goes_nowhere(tmp_path):
    # With 400: Fluent Bit 5.1.1 with `retry_limit no_limits` sends for ever again what is answered otherwise.
    async with pushing(tmp_path, tenant="ours", tenants=("guest",)) as to:
        status, text = await to.post(PUSH, {"X-Scope-OrgID": "payroll"})
        assert (status, "gateway.tenants" in text) == (400, True)

        for headers in ({"X-Scope-OrgID": "guest"}, {"X-Scope-OrgID": "ours"}, {}):
            assert (await to.post(PUSH, headers))[0] == 204
        await until(lambda: len(to.loki.requests) == 2)

        assert to.gateway.numbers.requests == {400: 1, 204: 3}
        # With and without our own name it is the same body, and goes on once.
        assert to.gateway.numbers.repeats == 1
        assert {it.headers.get("X-Scope-OrgID") for it in to.loki.requests} == {None, "guest"}
