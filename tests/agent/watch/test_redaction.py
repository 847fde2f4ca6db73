"""What leaves the node of values that may be credentials."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.watch.redaction import Redactor

KEY = b"journal key"


def spec(*env, **more):
    return {"containers": [{"name": "app", "image": "app:1", "env": list(env), **more}]}


def redact(sections, rule="template", **options):
    raw = {name: json.dumps(part).encode() for name, part in sections.items()}
    redacted = Redactor(KEY, **options).sections(rule, raw)
    return {name: json.loads(part) for name, part in redacted.items()}


def value_of(tree):
    return tree["spec"]["containers"][0]["env"][0]["value"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOG_LEVEL", "debug"),
        ("PORT", "8080"),
        ("TIMEOUT", "30s"),
        ("FEATURE", "true"),
        ("SERVICE_URL", "http://checkout.shop.svc:8080/api"),
        ("POD", "checkout-d9bbf4694-9wht9"),
        ("IMAGE_DIGEST", "sha256:" + "0f" * 32),
        ("GIT_COMMIT", "9fceb02d0ae598e95dc970b74767f19372d61af8"),
        ("JAVA_HOME", "/usr/lib/jvm/java-17-openjdk-amd64"),
        ("EMPTY_TOKEN", ""),
        ("AUTHOR", "platform"),
    ],
)
def test_a_short_and_harmless_value_is_kept(name, value):
    assert value_of(redact({"spec": spec({"name": name, "value": value})})) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", "x"),
        ("apiKey", "1234"),
        ("STRIPE_SECRET", "abc"),
        ("SIGNING_KEY", "abc"),
        ("HARMLESS", "AKIAIOSFODNN7EXAMPLE"),
        ("HARMLESS", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc"),
        ("HARMLESS", "-----BEGIN RSA PRIVATE KEY-----"),
        ("DATABASE_URL", "postgres://app:hunter2@db:5432/app"),
        ("REDIS_URL", "redis://:hunter2@cache:6379"),
        ("HARMLESS", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
        ("HARMLESS", "xoxb-123456789012-abcdefghij"),
        ("HARMLESS", "sk_live_4eC39HqLyjWDarjtT1zdp7dc"),
        ("HARMLESS", "Server=db;User Id=app;Password=hunter2;"),
        ("HARMLESS", "AccountName=x;AccountKey=abcdef=="),
        ("HARMLESS", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ("HARMLESS", "d41d8cd98f00b204e9800998ecf8427e"),
        ("HARMLESS", "q83vEjRWeJq83vEjRWeJq83vEjRWeJ"),
        ("HARMLESS", "x" * 300),
    ],
)
def test_what_may_be_a_credential_becomes_a_keyed_hash_and_a_length(name, value):
    redacted = value_of(redact({"spec": spec({"name": name, "value": value})}))

    prefix, what, digest, length = redacted.split(":")
    assert (prefix, what, int(length)) == ("kubescribe", "redacted", len(value))
    assert len(digest) == 16
    assert value not in redacted


def test_a_change_of_a_redacted_value_shows_and_depends_on_the_key():
    one, same, other = Redactor(KEY).token("one"), Redactor(KEY).token("one"), Redactor(KEY).token("two")

    assert one == same != other
    assert Redactor(b"another").token("one") != one


def test_value_from_is_kept():
    source = {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}

    assert redact({"spec": spec(source)})["spec"] == spec(source)


def test_env_is_found_wherever_a_container_list_is():
    secret = {"name": "TOKEN", "value": "abc"}
    tree = {"jobTemplate": {"spec": {"template": {"spec": {"initContainers": [{"name": "i", "env": [secret]}]}}}}}

    redacted = redact({"spec": tree})

    assert "abc" not in json.dumps(redacted)


def test_a_credential_in_the_arguments_is_replaced():
    redacted = redact({"spec": spec(args=["--password=hunter2", "--verbose"])})

    assert redacted["spec"]["containers"][0]["args"][1] == "--verbose"
    assert "hunter2" not in json.dumps(redacted)


def test_what_needs_no_redaction_keeps_the_servers_bytes():
    raw = b'{"containers": [ {"name":"app","image":"app:1"}],"x":1.0}'

    assert Redactor(KEY).sections("template", {"spec": raw})["spec"] is raw


def test_config_map_values_are_judged_one_by_one_and_files_are_hashed():
    data = {"level": "debug", "password": "x", "app.conf": "line\n" * 100}

    redacted = redact({"data": data}, "configmap")["data"]

    assert redacted["level"] == "debug"
    assert redacted["password"].startswith("kubescribe:redacted:")
    assert redacted["app.conf"].endswith(":500")


def test_the_same_bytes_are_judged_anew_under_another_rule():
    redactor = Redactor(KEY)
    raw = json.dumps({"token": "abc"}).encode()

    assert redactor.sections("everything", {"data": raw})["data"] == raw
    assert b"abc" not in redactor.sections("configmap", {"data": raw})["data"]
    harmless = json.dumps({"a": "1"}).encode()
    assert redactor.sections("configmap", {"data": harmless})["data"] == harmless
    assert redactor.sections("configmap", {"binaryData": harmless})["binaryData"] != harmless


def test_binary_data_is_always_hashed():
    redacted = redact({"binaryData": {"a": "AA=="}}, "configmap")["binaryData"]

    assert redacted["a"].startswith("kubescribe:redacted:")


def test_a_config_map_over_64_kb_is_hashes_a_key():
    redacted = redact({"data": {"small": "1", "large": "x" * 70_000}}, "configmap")["data"]

    assert {value.split(":")[1] for value in redacted.values()} == {"redacted"}


def test_strict_keeps_only_what_is_plain():
    options = {"mode": "strict"}

    assert value_of(redact({"spec": spec({"name": "A", "value": "8080"})}, **options)) == "8080"
    assert value_of(redact({"spec": spec({"name": "A", "value": "debug"})}, **options)).startswith("kubescribe:")


def test_custom_resources_are_searched_in_every_section():
    app = {
        "spec": {"source": {"helm": {"parameters": [{"name": "db.password", "value": "x1"}]}}},
        "status": {"history": [{"source": {"helm": {"valuesObject": {"db": {"password": "x2", "size": "1"}}}}}]},
        "operation": {"info": [{"name": "x", "value": "postgres://a:x3@b"}]},
    }

    redacted = redact(app, "everything")

    assert not {"x1", "x2", "x3"} & set(json.dumps(redacted).replace('"', " ").split())
    assert "x3" not in json.dumps(redacted)


@pytest.mark.parametrize("mode", ["balanced", "strict"])
def test_annotations_that_name_a_pods_lines_are_no_secrets(mode):
    raw = {
        "argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/checkout" + "x" * 300,
        "resource.opentelemetry.io/service.name": "checkout",
        "kubernetes.io/config.mirror": "0f" * 16,
    }

    assert json.loads(Redactor(KEY, mode).annotations(json.dumps(raw).encode()).body) == raw


def test_a_credential_is_hashed_under_any_annotation():
    raw = {"resource.opentelemetry.io/service.name": "ghp_" + "a1B2" * 9}

    assert b"ghp_" not in Redactor(KEY).annotations(json.dumps(raw).encode()).body


def test_annotations_lose_last_applied_and_keep_the_harmless():
    raw = {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "deployment.kubernetes.io/revision": "3",
        "vault/token": "abc",
    }

    redacted = json.loads(Redactor(KEY).annotations(json.dumps(raw).encode()).body)

    assert redacted["deployment.kubernetes.io/revision"] == "3"
    assert redacted["vault/token"].startswith("kubescribe:redacted:")
    assert len(redacted) == 2


def test_the_memory_of_specs_is_bounded():
    redactor = Redactor(KEY, cache_bytes=10_000)
    for number in range(1000):
        redactor.sections("template", {"spec": json.dumps(spec({"name": "A", "value": str(number)})).encode()})

    assert sum(map(len, redactor._specs)) <= 10_000


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_is_judged(name, value):
    assert isinstance(Redactor(KEY).value(name, value), str)


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_never_passed_on_as_harmless_by_an_error(data):
    redactor = Redactor(KEY)
    redactor.annotations(data)
    for rule in ("template", "configmap", "everything"):
        redactor.sections(rule, {"spec": data, "data": data})
