"""The settings of a gateway, the same on a node and in the aggregator."""

from dataclasses import dataclass

from kubescribe.runtime.settings import setting
from kubescribe.runtime.values import SIZE, between

MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """What shippers send to Loki through us."""

    spool_bytes: int = setting(
        256 * MIB,
        between(SIZE, MIB, 2**40),
        help="What the gateway may keep on disk until Loki has it; when it is full, shippers are told to wait.",
        why="with the agent's own spool below what a node should notice",
    )
    max_body_bytes: int = setting(
        64 * MIB,
        between(SIZE, MIB, 2**31),
        help="The largest push that is taken, compressed or not.",
        why="a shipper that was cut off sends its backlog in one piece; 29 MB were seen",
    )
