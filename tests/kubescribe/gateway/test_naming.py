"""A stream is named after the pod that its labels lead to now, and goes on unchanged where they lead nowhere."""

import msgspec
import pytest

from kubescribe.gateway import naming as naming_module
from kubescribe.gateway.errors import BadPush
from kubescribe.gateway.naming import Naming
from kubescribe.labels.pods import PodFacts
from kubescribe.labels.selectors import parse_selector
from tests.kubescribe.gateway.house import ID, METADATA, OURS, UID, WEB, Book


def db(uid, revision):
    labels = {"controller-revision-hash": revision}
    return PodFacts(
        namespace="shop", name="db-0", uid=uid, owner_kind="StatefulSet", owner_name="db", labels=labels, node="n1"
    )


def test_a_pod_that_nobody_knows_goes_on_as_it_came():
    text = '{job="x",  pod="stranger", namespace="shop"}'

    assert Naming(Book()).name(text) == (text, {}, b"", "unknown")


def test_a_path_tells_what_it_can_and_says_that_it_is_a_part():
    named = Naming(Book()).name('{filename="/var/log/pods/shop_api-0_99999999-0000-4000-8000-000000000000/app/1.log"}')

    assert named.found == "partial"
    assert parse_selector(named.labels)["workload"] == "api"
    assert named.metadata["meta"] == "partial"
    assert named.metadata["restart"] == "1"


@pytest.mark.parametrize(
    "labels",
    [
        f'{{namespace="shop", pod="{WEB.name}"}}',
        f'{{pod_uid="{UID}"}}',
        f'{{container_id="containerd://{ID}"}}',
        f'{{filename="/var/log/containers/{WEB.name}_shop_app-{ID}.log"}}',
    ],
)
def test_a_pod_is_found_by_whatever_tells_it(labels):
    named = Naming(Book()).name(labels)

    assert named.found == "enriched"
    assert OURS.items() <= parse_selector(named.labels).items()
    assert named.metadata.items() <= METADATA.items()


def test_a_pod_that_becomes_known_names_the_next_push_and_a_new_one_of_the_name_the_one_after():
    book = Book()
    naming = Naming(book)
    text = '{namespace="shop", pod="db-0"}'
    assert naming.name(text).found == "unknown"

    book.pods.append(db("u1", "db-1"))
    first = naming.name(text)
    assert naming.name(text) is first
    book.pods.append(db("u2", "db-2"))

    assert [each.metadata["revision"] for each in (first, naming.name(text))] == ["db-1", "db-2"]


def test_chosen_labels_of_pods_come_along():
    pod = msgspec.structs.replace(WEB, uid="u9", labels={**WEB.labels, "team": "a"})

    assert Naming(Book(pod), pod_labels=["team"]).name('{pod_uid="u9"}').metadata["team"] == "a"


def test_labels_that_loki_refuses_are_a_bad_push():
    with pytest.raises(BadPush, match="couldn't parse labels"):
        Naming(Book()).name("{a=b}")


def test_no_more_texts_are_kept_than_there_is_memory_for(monkeypatch):
    monkeypatch.setattr(naming_module, "MAX_KEPT", 3)
    naming = Naming(Book())
    for number in range(10):
        naming.name(f'{{a="{number}"}}')

    assert len(naming._kept) == 3
