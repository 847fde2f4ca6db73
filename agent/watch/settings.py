"""The numbers of watching, each with its unit and its reason. Values only; where they come from is the app's."""

from dataclasses import dataclass

from agent.watch.bodies import MAX_BODY_BYTES
from agent.watch.lines import MAX_LINE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """
    How streams are kept.

    `grace_seconds`: how long a stream waits for its grant before it goes on from its own mark; the link answers in
    milliseconds, a restart of the aggregator takes longer and must not make the agent blind.
    `timeout_seconds`: what the server is asked to end a watch after, drawn evenly, so that restarts spread (client-go).
    `silence_seconds`: without a byte for this long a stream is dead; bookmarks come every 60 s.
    `events_timeout_seconds`, `slack_seconds`: Events have no bookmarks, silence is legal; so their watches are short,
    and dead when they outlast that by the slack.
    `short_seconds`: a watch of Events that ends sooner without an event was too old (kubernetes#104171).
    `blind_seconds`: a stream that cannot see for longer is a Gap.
    `proof_seconds`: a watch that is open for this long was accepted, though nothing came.
    `forbidden_seconds`: how often a stream without permission tries; RBAC may come later.
    `internal_error_seconds`: how long HTTP 500 is answered with patience before the relist (client-go).
    `initial_silence_seconds`: a WatchList that says nothing for so long will not say more (aggregated APIs).
    `initial_bytes`: what a WatchList may hold back until its bookmark tells their version; a larger resource is listed
    in pages, whose version is known from the first on.
    `progress_seconds`: bookmarks within it make one Progress.
    `page_items`: items a page of a list that etcd answers. `put_records`: records handed over at once.
    `verify_seconds`: an object that has not changed for so long is asked for, 0 never.
    `confirm_seconds`: how long the watch may take to tell of a delete that a GET has shown.
    `event_ttl_seconds`: how long the API server keeps Events; EKS 60 min, not settable there.
    `start_jitter_seconds`: a DaemonSet that rolls out must not list all at once; 0 for one agent.
    """

    grace_seconds: float = 10.0
    timeout_seconds: tuple[float, float] = (300.0, 600.0)
    silence_seconds: tuple[float, float] = (75.0, 90.0)
    events_timeout_seconds: tuple[float, float] = (120.0, 180.0)
    slack_seconds: float = 15.0
    short_seconds: float = 1.0
    blind_seconds: float = 10.0
    proof_seconds: float = 3.0
    forbidden_seconds: float = 60.0
    internal_error_seconds: float = 60.0
    initial_silence_seconds: float = 60.0
    initial_bytes: int = 32 * 2**20
    progress_seconds: float = 10.0
    page_items: int = 500
    put_records: int = 500
    verify_seconds: float = 3600.0
    confirm_seconds: float = 5.0
    event_ttl_seconds: float = 3600.0
    start_jitter_seconds: float = 0.0
    max_line_bytes: int = MAX_LINE_BYTES
    max_body_bytes: int = MAX_BODY_BYTES
    backoff_first_seconds: float = 0.8
    backoff_cap_seconds: float = 30.0
