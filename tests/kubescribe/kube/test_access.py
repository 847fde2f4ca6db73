"""Access: one line that says what is wrong, tokens that are never stale."""

import ssl
from pathlib import Path

import pytest

from kubescribe.kube.access import find_access, in_cluster_access, is_in_cluster
from kubescribe.kube.errors import AccessError, ContextMissing, KubeconfigInvalid, KubeconfigMissing

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: dev
clusters: [{name: "arn:aws:eks:eu:1:cluster/shop", cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: dev, context: {cluster: "arn:aws:eks:eu:1:cluster/shop", user: me}}]
users: [{name: me, user: {%s}}]
"""


@pytest.fixture
def kubeconfig(tmp_path):
    def write(text=KUBECONFIG % 'token: "abc"'):
        path = tmp_path / "config"
        path.write_text(text)
        return str(path)

    return write


async def test_a_kubeconfig_tells_server_token_and_name(kubeconfig):
    access = await find_access(kubeconfig(), environ={})

    assert access.base_url == "http://127.0.0.1:1"
    assert access.cluster == "shop"
    assert await access.credentials.headers() == {"Authorization": "Bearer abc"}


async def test_a_missing_kubeconfig_says_what_to_do(tmp_path):
    with pytest.raises(KubeconfigMissing, match="--kubeconfig"):
        await find_access(str(tmp_path / "none"), environ={})


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("a: [", KubeconfigInvalid, "not YAML"),
        ("just text", KubeconfigInvalid, "not a kubeconfig"),
        ("", KubeconfigInvalid, "not a kubeconfig"),
        ("apiVersion: v1\nkind: Config\n", ContextMissing, "use-context"),
        ("current-context: nope\ncontexts: []\n", ContextMissing, "'nope'"),
        ("current-context: a\ncontexts: [{name: a, context: {cluster: x}}]\nclusters: []\n", KubeconfigInvalid, "x"),
        (KUBECONFIG % "exec: {apiVersion: v1, command: /no/such/plugin}", KubeconfigInvalid, "/no/such/plugin"),
        (KUBECONFIG % "exec: {apiVersion: v1, command: 'false'}", KubeconfigInvalid, "returned 1"),
    ],
)
async def test_a_bad_kubeconfig_is_one_line_that_says_what_is_wrong(kubeconfig, text, error, words):
    with pytest.raises(error) as caught:
        await find_access(kubeconfig(text), environ={})

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_plugin_runs_again_after_a_401_and_before_the_token_expires(kubeconfig, tmp_path):
    plugin = tmp_path / "plugin"
    count = tmp_path / "count"
    count.write_text("")
    plugin.write_text(
        f"#!/bin/sh\nprintf x >> {count}\n"
        'echo "{\\"apiVersion\\":\\"v1\\",\\"kind\\":\\"ExecCredential\\",\\"status\\":{\\"token\\":'
        f'\\"t$(wc -c < {count} | tr -d " ")\\",\\"expirationTimestamp\\":\\"$(cat {tmp_path}/expiry)\\"}}}}"\n'
    )
    plugin.chmod(0o755)
    (tmp_path / "expiry").write_text("2099-01-01T00:00:00Z")
    access = await find_access(kubeconfig(KUBECONFIG % f"exec: {{apiVersion: v1, command: {plugin}}}"), environ={})

    first = await access.credentials.headers()
    again = await access.credentials.headers()
    (tmp_path / "expiry").write_text("2020-01-01T00:00:00Z")
    await access.credentials.renew()
    renewed = await access.credentials.headers()
    expired = await access.credentials.headers()

    tokens = [headers["Authorization"] for headers in (first, again, renewed, expired)]
    assert tokens == ["Bearer t1", "Bearer t1", "Bearer t2", "Bearer t3"]


async def test_a_projected_token_is_read_anew_each_time(tmp_path):
    (tmp_path / "token").write_text("one\n")
    (tmp_path / "ca.crt").write_text("")
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(AccessError, match="certificate authority"):
        in_cluster_access(environ, tmp_path)
    (tmp_path / "ca.crt").write_text(_authority())

    access = in_cluster_access(environ, tmp_path)
    first = await access.credentials.headers()
    (tmp_path / "token").write_text("two")
    second = await access.credentials.headers()

    assert access.base_url == "https://10.0.0.1:443"
    assert (first["Authorization"], second["Authorization"]) == ("Bearer one", "Bearer two")
    assert is_in_cluster(environ, tmp_path)


def test_outside_a_cluster_the_error_names_the_way_out(tmp_path):
    with pytest.raises(AccessError, match="--kubeconfig"):
        in_cluster_access({}, tmp_path)


def test_in_cluster_access_does_not_import_the_large_library():
    import subprocess
    import sys

    code = "import sys, agent.kube.session, agent.watch.watcher; print('kubernetes_asyncio' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert output.stdout.strip() == "False"


def _authority() -> str:
    """Return some certificate that the machine trusts anyway."""
    import certifi

    text = Path(certifi.where()).read_text()
    start = text.index("-----BEGIN CERTIFICATE-----")
    end = text.index("-----END CERTIFICATE-----") + len("-----END CERTIFICATE-----\n")
    ssl.PEM_cert_to_DER_cert(text[start:end])
    return text[start:end]
