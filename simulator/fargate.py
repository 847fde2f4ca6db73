"""How nodes of Fargate tell that they are: one pod each, and no DaemonSet's."""

from collections.abc import Mapping

COMPUTE_TYPE = "eks.amazonaws.com/compute-type"
FARGATE = "fargate"


def is_fargate(labels: Mapping[str, str]) -> bool:
    """Tell whether these are the labels of a node of Fargate."""
    return labels.get(COMPUTE_TYPE) == FARGATE
