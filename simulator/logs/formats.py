"""
How programs word what they say: JSON, logfmt, plain, Java and Python with their stack traces, klog, PostgreSQL. Pure.

A program keeps its format for ever; it follows from its name.
"""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from simulator.logs.sayings import Level, Saying


class Lines(NamedTuple):
    """What one saying becomes: the stream, and its lines."""

    stream: str
    lines: Sequence[str]


Wording = Callable[[str, datetime, Saying], Lines]
"""Program, time and saying to lines."""


def wording_of(program: str) -> Wording:
    """Return how *program* words what it says."""
    known = _KNOWN.get(program)
    return known or _COMMON[zlib.crc32(program.encode()) % len(_COMMON)]


def as_json(program: str, at: datetime, saying: Saying) -> Lines:
    """Write one object a line, on stdout."""
    value = {
        "time": at.isoformat(timespec="milliseconds"),
        "level": str(saying.level),
        "msg": saying.message,
        "service": program,
        **saying.fields,
    }
    if saying.error:
        value["error"] = saying.error
        value["stack"] = "".join(f"{line}\n" for line in _go_stack())
    return Lines("stdout", [json.dumps(value, separators=(",", ":"))])


def as_logfmt(program: str, at: datetime, saying: Saying) -> Lines:
    """Write `key=value` pairs, on stdout."""
    pairs: dict[str, object] = {
        "ts": at.isoformat(timespec="milliseconds"),
        "level": str(saying.level),
        "app": program,
        "msg": saying.message,
        **saying.fields,
    }
    if saying.error:
        pairs["err"] = saying.error
    return Lines("stdout", [" ".join(f"{name}={_logfmt_value(value)}" for name, value in pairs.items())])


def as_plain(program: str, at: datetime, saying: Saying) -> Lines:
    """Write a time, a level and words; a panic with its goroutine."""
    del program
    stream = "stderr" if saying.error or saying.level is Level.FATAL else "stdout"
    first = f"{at.strftime('%Y/%m/%d %H:%M:%S')} [{saying.level.upper()}] {_worded(saying)}"
    if not saying.error:
        return Lines(stream, [first])
    return Lines(stream, [first, f"panic: {saying.error}", "", "goroutine 1 [running]:", *_go_stack()])


def as_java(program: str, at: datetime, saying: Saying) -> Lines:
    """Write Spring's pattern; an exception with its frames and its cause."""
    logger = f"c.example.{program.replace('-', '.')}.{program.title().replace('-', '')}Service"
    stamp = f"{at.strftime('%Y-%m-%dT%H:%M:%S')}.{at.microsecond // 1000:03d}Z"
    level = {"warn": "WARN", "fatal": "ERROR"}.get(saying.level, saying.level.upper())
    first = f"{stamp} {level:>5} 1 --- [nio-8080-exec-4] {logger[-40:]:<40} : {_worded(saying)}"
    if not saying.error:
        return Lines("stdout", [first])
    kind, _, text = saying.error.partition(": ")
    package = "java.lang" if kind in {"NullPointerException", "OutOfMemoryError"} else "com.example"
    frames = [
        f"\tat com.example.{program.replace('-', '.')}.{name}({file}.java:{number})"
        for name, file, number in (("Worker.handle", "Worker", 118), ("Worker.run", "Worker", 64))
    ]
    return Lines(
        "stdout",
        [
            first,
            "",
            f"{package}.{kind}: {text}",
            *frames,
            "\tat java.base/java.lang.Thread.run(Thread.java:1583)",
            "Caused by: java.lang.IllegalStateException: state is inconsistent",
            f"\tat com.example.{program.replace('-', '.')}.Store.load(Store.java:41)",
            "\t... 2 more",
        ],
    )


def as_python(program: str, at: datetime, saying: Saying) -> Lines:
    """Write the logging module's pattern, on stderr; an exception with its traceback."""
    stamp = f"{at.strftime('%Y-%m-%d %H:%M:%S')},{at.microsecond // 1000:03d}"
    level = {"warn": "WARNING", "fatal": "CRITICAL"}.get(saying.level, saying.level.upper())
    first = f"{stamp} {level} {program.replace('-', '_')}.main {_worded(saying)}"
    if not saying.error:
        return Lines("stderr", [first])
    return Lines(
        "stderr",
        [
            first,
            "Traceback (most recent call last):",
            '  File "/app/main.py", line 87, in main',
            "    worker.run()",
            '  File "/app/worker.py", line 31, in run',
            "    self._handle(item)",
            saying.error,
        ],
    )


def as_klog(program: str, at: datetime, saying: Saying) -> Lines:
    """Write as Kubernetes' own components do, on stderr."""
    letter = {Level.WARN: "W", Level.ERROR: "E", Level.FATAL: "F"}.get(saying.level, "I")
    head = f"{letter}{at.strftime('%m%d %H:%M:%S')}.{at.microsecond:06d}       1 {program.replace('-', '_')}.go:214]"
    fields = {**saying.fields, **({"err": saying.error} if saying.error else {})}
    return Lines(
        "stderr", [f'{head} "{saying.message}"' + "".join(f' {key}="{value}"' for key, value in fields.items())]
    )


def as_postgres(program: str, at: datetime, saying: Saying) -> Lines:
    """Write as PostgreSQL does, on stderr."""
    del program
    words = {Level.WARN: "WARNING", Level.ERROR: "ERROR", Level.FATAL: "FATAL"}
    stamp = f"{at.strftime('%Y-%m-%d %H:%M:%S')}.{at.microsecond // 1000:03d} UTC [42]"
    lines = [f"{stamp} {words.get(saying.level, 'LOG')}:  {_worded(saying)}"]
    if saying.error:
        lines.append(f"{stamp} DETAIL:  {saying.error}")
    return Lines("stderr", lines)


def as_access_log(program: str, at: datetime, saying: Saying) -> Lines:
    """Write as a web server does: requests in the combined format, the rest in that of its error log."""
    del program
    fields = saying.fields
    if "method" not in fields:
        return Lines("stderr", [f"{at.strftime('%Y/%m/%d %H:%M:%S')} [{saying.level}] 1#1: {_worded(saying)}"])
    stamp = at.strftime("%d/%b/%Y:%H:%M:%S +0000")
    request = f'"{fields["method"]} {fields["path"]} HTTP/1.1" {fields["status"]}'
    return Lines("stdout", [f'10.0.12.7 - - [{stamp}] {request} 512 "-" "Mozilla/5.0"'])


def _worded(saying: Saying) -> str:
    pairs = "".join(f" {name}={value}" for name, value in saying.fields.items())
    return f"{saying.message}{pairs}{': ' + saying.error if saying.error else ''}"


def _logfmt_value(value: object) -> str:
    text = str(value)
    return json.dumps(text) if " " in text or '"' in text or "=" in text else text


def _go_stack() -> list[str]:
    return [
        "main.run(0xc0001a2000)",
        "\t/src/cmd/server/main.go:97 +0x1d4",
        "main.main()",
        "\t/src/cmd/server/main.go:41",
    ]


_COMMON = (as_json, as_logfmt, as_plain, as_java, as_python)
_KNOWN: Mapping[str, Wording] = {
    "checkout": as_json,
    "orders": as_java,
    "cart": as_logfmt,
    "frontend": as_access_log,
    "ingress-nginx-controller": as_access_log,
    "fraud": as_python,
    "ledger": as_java,
    "payments-api": as_json,
    "ingest": as_plain,
    "coredns": as_plain,
    "kube-proxy": as_klog,
    "aws-node": as_json,
    "node-agent": as_klog,
    "postgres": as_postgres,
}
