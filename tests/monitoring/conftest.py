"""One product and one Prometheus; who uses them is in one file, for a file's tests share what they started."""

from collections.abc import Iterator

import pytest

from tests.monitoring.contract import RULES
from tests.monitoring.product import Product, whole_product
from tests.monitoring.prometheus import Prometheus, prometheus
from tests.monitoring.stirring import stir
from tests.programs import program


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with whole_product(tmp_path_factory.mktemp("product")) as it:
        stir(it)
        yield it


@pytest.fixture(scope="module")
def prom(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with prometheus(tmp_path_factory.mktemp("prometheus"), product.targets, RULES) as it:
        it.scraped()
        yield it


@pytest.fixture(scope="session")
def promtool() -> str:
    return program("promtool")
