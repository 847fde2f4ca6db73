"""The names of streams are read as they were written, and nothing else is taken for one."""

import pytest

from kubescribe.wire.streams import Selector, selector_of, stream_name


@pytest.mark.parametrize(
    ("name", "selector"),
    [
        ("deployments", Selector("deployments")),
        ("applications.argoproj.io", Selector("applications.argoproj.io")),
        ("pods/node=ip-10-0-1-7", Selector("pods", "ip-10-0-1-7")),
        ("pods/unscheduled", Selector("pods", "")),
    ],
)
def test_a_name_and_its_selector_belong_together(name, selector):
    assert selector_of(name) == selector
    assert stream_name(selector.resource, selector.node) == name


@pytest.mark.parametrize("name", ["", "/unscheduled", "pods/", "pods/node=", "pods/zone=a"])
def test_what_no_stream_is_called_is_refused(name):
    with pytest.raises(ValueError, match="stream"):
        selector_of(name)


@pytest.mark.parametrize(("node", "expected"), [(None, (True, True)), ("a", (True, False)), ("", (False, False))])
def test_a_selector_holds_the_objects_of_its_node(node, expected):
    selector = Selector("pods", node)

    assert (selector.matches("a"), selector.matches("b")) == expected
