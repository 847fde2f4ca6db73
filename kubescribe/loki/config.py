"""The settings of the way to Loki, the same for whoever sends to it or asks it."""

from dataclasses import dataclass
from pathlib import Path

from kubescribe.runtime.settings import setting
from kubescribe.runtime.values import FILE, HTTP_URL, TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class LokiConfig:
    """The Loki that lines are sent to and asked for; nothing is sent anywhere until its address is given."""

    url: str | None = setting(
        None,
        HTTP_URL,
        option="--loki",
        help="Where Loki is, without /loki/api/v1.",
        why="nobody's lines leave a cluster unasked",
    )
    tenant: str = setting(
        "",
        TEXT,
        help="The tenant (X-Scope-OrgID) of what is sent; shippers may name others that gateway.tenants lists.",
        why="a Loki without auth_enabled has none",
    )
    username: str = setting(
        "", TEXT, help="The user of basic authentication.", why="only some gateways in front of Loki ask for one"
    )
    password_file: Path | None = setting(
        None,
        FILE,
        help="The file with the password of basic authentication; read anew when it changes.",
        why="a password belongs neither into a command line nor into the environment",
    )
    bearer_token_file: Path | None = setting(
        None,
        FILE,
        help="The file with a bearer token; read anew when it changes.",
        why="only some gateways in front of Loki ask for one",
    )
    ca_file: Path | None = setting(
        None,
        FILE,
        help="The certificate authorities that Loki's certificate is checked against.",
        why="the system's own",
    )
