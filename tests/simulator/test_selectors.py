"""Label and field selectors, and their refusals."""

import pytest

from simulator.resources import ResourceTable
from simulator.selectors import BadSelector, everything, selector
from simulator.versions import Facts

POD = ResourceTable().find("pods").fields
FACTS = Facts({"app": "web", "tier": "front"}, {"spec.nodeName": "node-1", "status.phase": "Running"})


@pytest.mark.parametrize(
    ("labels", "matches"),
    [
        ("app=web", True),
        ("app==web", True),
        ("app=api", False),
        ("app!=api", True),
        ("missing!=x", True),
        ("app", True),
        ("!app", False),
        ("!missing", True),
        ("app in (api, web),tier=front", True),
        ("app in (api)", False),
        ("app notin (api,db)", True),
        ("missing notin (x)", True),
        ("app=web,tier=back", False),
    ],
)
def test_label_selectors_mean_what_they_mean_to_the_server(labels, matches):
    assert matches is selector(labels, "", POD)(FACTS)


@pytest.mark.parametrize(
    ("fields", "matches"),
    [
        ("spec.nodeName=node-1", True),
        ("spec.nodeName=", False),
        ("spec.nodeName!=", True),
        ("status.phase==Running,spec.nodeName=node-1", True),
        ("status.phase!=Running", False),
    ],
)
def test_field_selectors_mean_what_they_mean_to_the_server(fields, matches):
    assert matches is selector("", fields, POD)(FACTS)


def test_no_selector_is_everything():
    assert selector("", "", POD) is everything


def test_a_field_that_the_resource_does_not_offer_is_refused_in_the_servers_words():
    with pytest.raises(BadSelector, match=r"^field label not supported: spec\.nope$"):
        selector("", "spec.nope=1", POD)


@pytest.mark.parametrize("labels", ["app in web", "-=x", "a b=c"])
def test_a_label_selector_that_cannot_be_parsed_is_refused(labels):
    with pytest.raises(BadSelector):
        selector(labels, "", POD)
