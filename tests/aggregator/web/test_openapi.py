"""The description says what the API does."""

import re

from openapi_spec_validator import OpenAPIV31SpecValidator

from aggregator.web.openapi import describe
from aggregator.web.routes import ROUTES


async def test_the_description_is_valid_and_served_below_the_base_path(site_of):
    site = await site_of(base_path="/cluster-info")

    document = await site.json("/api/v1/openapi.json")

    OpenAPIV31SpecValidator(document).validate()
    assert document["servers"] == [{"url": "/cluster-info/api/v1"}]


async def test_every_route_of_the_table_answers(site):
    site.bench.publish(1, uid="u1")
    for route in ROUTES:
        if not route.stream and route.name != "logs":  # it needs a pod; see test_logs.py
            path = re.sub(r"\{uid\}", "u1", route.path)
            await site.json(f"/api/v1{path}")


def test_every_parameter_is_described():
    for path, item in describe("1", "")["paths"].items():
        for parameter in item["get"]["parameters"]:
            assert parameter["in"] == "path" or parameter["description"], path
