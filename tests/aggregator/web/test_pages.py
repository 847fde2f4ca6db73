"""The page fits its own content security policy, below any base path."""

import re
import shutil
import subprocess
from importlib import resources

import pytest

STATIC = resources.files("aggregator.web") / "static"
SCRIPTS = sorted(each.name for each in STATIC.iterdir() if each.name.endswith(".js"))


@pytest.mark.parametrize("base_path", ["", "/cluster-info"])
async def test_the_page_and_all_it_names_are_served_below_the_base_path(site_of, base_path):
    site = await site_of(base_path=base_path)
    page = await site.get("/")
    names = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
    for script in SCRIPTS:
        names += re.findall(r'from "\./([^"]+)"', (STATIC / script).read_text())

    assert page.content_type == "text/html"
    assert {*SCRIPTS, "style.css", "icon.svg"} <= set(names)
    for name in names:
        assert not name.startswith(("/", "http"))
        assert (await site.get(f"/{name}")).status == 200, name


async def test_the_root_leads_to_the_base_path(site_of):
    site = await site_of(base_path="/cluster-info")
    for path in ("/", "/cluster-info"):
        async with site.session.get(site.root + path, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (302, "/cluster-info/")
        async with site.session.get(f"{site.root}{path}?namespace=shop&q=a%26b", allow_redirects=False) as response:
            assert response.headers["Location"] == "/cluster-info/?namespace=shop&q=a%26b", "a link keeps what it asks"


async def test_an_unchanged_file_is_not_sent_again(site):
    first = await site.get("/app.js")
    again = await site.get("/app.js", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_scripts_are_javascript(name, tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to read them")
    module = tmp_path / "script.mjs"
    module.write_text((STATIC / name).read_text())

    done = subprocess.run([node, "--check", str(module)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_nothing_in_the_page_needs_more_than_the_policy_allows():
    html = (STATIC / "index.html").read_text()
    scripts = "".join((STATIC / name).read_text() for name in SCRIPTS)

    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|javascript:", html)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|\.style\b", scripts
    )
    assert not re.search(r"https?://", html + scripts)
    assert not re.search(r"url\(|@import", (STATIC / "style.css").read_text())
