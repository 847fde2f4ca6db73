"""How nodes and pods of Fargate tell that they are: one pod a node, and no DaemonSet's."""

from collections.abc import Mapping

COMPUTE_TYPE = "eks.amazonaws.com/compute-type"
FARGATE = "fargate"

PROFILE = "eks.amazonaws.com/fargate-profile"
"""The label of a pod that is to run on Fargate, which an admission webhook of EKS adds."""

SCHEDULER = "fargate-scheduler"


def is_fargate(labels: Mapping[str, str]) -> bool:
    """Tell whether these are the labels of a node of Fargate."""
    return labels.get(COMPUTE_TYPE) == FARGATE
