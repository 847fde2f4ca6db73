"""`python -m simulator`: the pretend cluster alone, for tests and benches; `kubescribe simulate` is for people."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from kubescribe.runtime.logs import configure_logs
from kubescribe.runtime.logsettings import LogConfig
from kubescribe.runtime.loops import run as run_loop
from simulator.app import run
from simulator.errors import SimulatorError
from simulator.settings import SimulatorSettings


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; return the exit code: 2 when it cannot start."""
    settings, log = settings_of(arguments)
    configure_logs(log)
    try:
        run_loop(_run(settings))
    except SimulatorError as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 2
    return 0


def settings_of(arguments: list[str] | None) -> tuple[SimulatorSettings, LogConfig]:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    defaults = SimulatorSettings()
    parser.add_argument("--port", type=int, default=defaults.port)
    parser.add_argument("--nodes", type=int, default=defaults.nodes)
    parser.add_argument("--fargate", type=int, default=defaults.fargate)
    parser.add_argument("--pods", type=int, default=defaults.pods)
    parser.add_argument("--rate", type=float, default=defaults.rate)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--loki-port", type=int)
    parser.add_argument("--logs", type=Path)
    parser.add_argument("--logs-by-node", action="store_true")
    parser.add_argument("--log-rate", type=float, default=defaults.log_rate)
    parser.add_argument("--log-rotate-seconds", type=float, default=defaults.log_rotate_seconds)
    parser.add_argument("--log-max-bytes", type=int, default=defaults.log_max_bytes)
    parser.add_argument("--log-max-files", type=int, default=defaults.log_max_files)
    parser.add_argument("--write-kubeconfig", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--token", default=defaults.token)
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--die-with-parent", action="store_true")
    parser.add_argument("--window-events", type=int, default=defaults.window_events)
    parser.add_argument("--bookmark-seconds", type=float, default=defaults.bookmark_seconds)
    parser.add_argument("--watcher-events", type=int, default=defaults.watcher_events)
    parser.add_argument("--fresh-wait-seconds", type=float, default=defaults.fresh_wait_seconds)
    parser.add_argument("--custom-groups", nargs="*", default=())
    parser.add_argument("--log-level", default=LogConfig().level)
    parser.add_argument("--log-format", default=LogConfig().format)
    values = vars(parser.parse_args(arguments))
    log = LogConfig(level=values.pop("log_level"), format=values.pop("log_format"))
    values["custom_groups"] = tuple(values["custom_groups"])
    return SimulatorSettings(**values), log


async def _run(settings: SimulatorSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run(settings, stop)


if __name__ == "__main__":
    raise SystemExit(main())
