"""One product and one Prometheus for all tests of this folder that leave both as they found them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.monitoring.product import Product, whole_product
from tests.monitoring.prometheus import Prometheus, prometheus
from tests.monitoring.stirring import stir
from tests.programs import program

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "charts/kubescribe/files/rules").glob("*.yaml"))


@pytest.fixture(scope="package")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with whole_product(tmp_path_factory.mktemp("product")) as it:
        stir(it)
        yield it


@pytest.fixture(scope="package")
def prom(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with prometheus(tmp_path_factory.mktemp("prometheus"), product.targets, RULES) as it:
        it.scraped()
        yield it


@pytest.fixture(scope="session")
def promtool() -> str:
    return program("promtool")
