"""The settings of a gateway, the same on a node and in the aggregator."""

from dataclasses import dataclass

from kubescribe.gateway.tenants import is_tenant
from kubescribe.runtime.settings import setting
from kubescribe.runtime.values import SIZE, TEXT, between, listed

MIB = 2**20
TENANTS = listed(
    TEXT.checked(is_tenant, "the name of a tenant"), "names of tenants as Loki takes them, several separated by commas"
)


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
    tenants: tuple[str, ...] = setting(
        (),
        TENANTS,
        help="The tenants (X-Scope-OrgID) that shippers may name besides loki.tenant; a push that names another is"
        " refused with 400. Empty: only loki.tenant, and without that any.",
        why="what loki.tenant keeps apart, no shipper's header should mix; a Loki whose tenants are told by nobody but"
        " the shippers has to be told them",
    )
