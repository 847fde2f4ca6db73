"""Whose usage it is, and what that pod may use, by the roll of what lives."""

from aggregator.census.pods import Resource
from aggregator.outlets.usage.whose import Budget, Unknown, budgets_of, sum_of
from aggregator.records import ObjectKey
from tests.aggregator.outlets.usage.conftest import Register, Roll, a_state

RESOURCES = (
    Resource("app", "cpu", "core", 0.25, None),
    Resource("app", "memory", "byte", 64.0, 128.0),
    Resource("proxy", "cpu", "core", 0.5, 1.0),
    Resource("proxy", "memory", "byte", None, 128.0),
    Resource("proxy", "ephemeral_storage", "byte", None, 9.0),
)


def test_a_pod_that_is_not_there_is_unknown_until_all_are_there_and_then_gone():
    roll = Roll()
    assert Register(roll).pod("shop", "web-1", "u1") is Unknown.YET

    roll.complete()

    assert Register(roll).pod("shop", "web-1", "u1") is Unknown.GONE


def test_a_pod_is_found_by_its_name_and_the_newest_has_it():
    roll, state = Roll(), a_state()
    roll.take({ObjectKey("Pod", "old"): a_state(node="n9")})
    roll.take({ObjectKey("Pod", "new"): state})
    roll.take({ObjectKey("Pod", "old"): None})

    assert Register(roll).pod("shop", "web-1", "") == state
    assert Register(roll).uid("shop", "web-1") == "new"


def test_requests_are_summed_of_those_that_request_and_limits_where_each_has_one():
    budgets = budgets_of(a_state(resources=RESOURCES))

    assert budgets["app"] == Budget(cpu_request=0.25, memory_request=64.0, memory_limit=128.0)
    assert sum_of([budgets["app"], budgets["proxy"]]) == Budget(
        cpu_request=0.75, cpu_limit=None, memory_request=64.0, memory_limit=256.0, disk_limit=None
    )
    assert sum_of([]) == Budget()
