"""
The image without an engine: each instruction of the Dockerfile in a root of its own, then commands in what came out.

A program, for a mount namespace of its own: `unshare --mount python -m tests.project.imagebuild`. A stage's root is an
overlay over this machine's, with this Python at /usr/local, where the official image has it. So what the steps do is
real (pip, useradd, compileall), and nothing of it stays. Not shown: whether the base image has a tool that this
machine has, and whether its newer libraries are liked.

It reads JSON from its standard input: `{"scratch": folder, "commands": [[words, …], …]}`, runs the commands as the
image's user below a read-only root, with an empty volume where the data goes, and prints `[{"code", "out"}, …]`.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.project.dockerfile import Stage, context_files, pairs, parse, substituted

ROOT = Path(__file__).parents[2]
DATA = "var/lib/kubescribe"
PASSED_ON = ("PIP_", "SSL_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "REQUESTS_")
"""How this machine reaches its package registry."""

IGNORED = ("__pycache__", "*.pyc", "*.egg-info", "*.so")
"""As .dockerignore says."""


def run(*words: str | Path) -> None:
    subprocess.run(list(words), check=True, stdout=sys.stderr)


class StageRoot:
    """The file system and the environment of one stage."""

    def __init__(self, scratch: Path, stage: Stage) -> None:
        self.scratch = scratch / stage.name
        self.path = self.scratch / "root"
        self.stage = stage
        self.user = "0:0"
        self.folder = "/"
        self.arguments: dict[str, str] = {}
        self.environment = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        self.passed_on = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}

    def mount(self) -> None:
        """Make what the base image has: a system, Python and pip at /usr/local, and no other package."""
        self._overlay("system", "/", self.path)
        for name in ("dev", "proc"):
            run("mount", "--rbind", f"/{name}", self.path / name)
        run("mount", "-t", "tmpfs", "tmpfs", self.path / "tmp")
        prefix = Path(sys.base_prefix)
        local = self.path / "usr/local"
        if prefix == Path("/usr"):
            for name in ("python", "python3"):
                (local / "bin" / name).unlink(missing_ok=True)
                (local / "bin" / name).symlink_to(Path("/usr/bin") / f"python{sysconfig.get_python_version()}")
        else:
            self._overlay("python", prefix, local)
            run("ldconfig", "-r", self.path)
        packages = self.path / self.asked("import sysconfig; print(sysconfig.get_path('purelib'))").lstrip("/")
        packages.mkdir(parents=True, exist_ok=True)
        run("mount", "-t", "tmpfs", "tmpfs", packages)
        for each in Path(sysconfig.get_path("purelib")).glob("pip*"):
            run("cp", "-a", each, packages)
        for each in (self.path / "usr/lib").glob("python3*/EXTERNALLY-MANAGED"):
            each.unlink()
        (local / "bin/pip").unlink(missing_ok=True)
        (local / "bin/pip").write_text('#!/bin/sh\nexec /usr/local/bin/python -m pip "$@"\n')
        (local / "bin/pip").chmod(0o755)

    def _overlay(self, name: str, lower: str | Path, place: Path) -> None:
        upper, work = self.scratch / name, self.scratch / f"{name}.work"
        for folder in (upper, work, place):
            folder.mkdir(parents=True, exist_ok=True)
        run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", place)

    def asked(self, program: str) -> str:
        done = subprocess.run(
            ["chroot", self.path, "/usr/local/bin/python", "-c", program], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def command(self, words: list[str], *, user: str) -> list[str]:
        shell = f'cd {self.folder} && exec "$@"'
        return ["chroot", f"--userspec={user}", str(self.path), "/bin/sh", "-c", shell, "sh", *words]

    def carry_out(self, others: dict[str, "StageRoot"]) -> None:
        for word, rest in self.stage.instructions:
            text = substituted(rest, {**self.arguments, **self.environment})
            if word == "ARG":
                self.arguments |= pairs(text)
            elif word == "ENV":
                self.environment |= pairs(text)
            elif word == "WORKDIR":
                self.folder = text
                (self.path / text.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif word == "USER":
                self.user = text
            elif word == "COPY":
                self._copy(text.split(), others)
            elif word == "RUN":
                environment = {**self.passed_on, **self.arguments, **self.environment, "HOME": "/root"}
                step = self.command(["/bin/sh", "-c", rest], user=self.user)
                subprocess.run(step, env=environment, check=True, stdout=sys.stderr)

    def _copy(self, words: list[str], others: dict[str, "StageRoot"]) -> None:
        origin, allowed = ROOT, context_files(ROOT)
        if words[0].startswith("--from="):
            origin, allowed = others[words.pop(0).removeprefix("--from=")].path, None
        *sources, target = words
        place = self.path / self.folder.lstrip("/") / target if not target.startswith("/") else self.path / target[1:]
        for source in sources:
            if allowed is not None and source not in allowed:
                raise FileNotFoundError(f"COPY {source}: .dockerignore leaves it out")
            found = origin / source.lstrip("/")
            if found.is_dir():
                ignored = shutil.ignore_patterns(*IGNORED) if allowed is not None else None
                shutil.copytree(found, place, symlinks=True, dirs_exist_ok=True, ignore=ignored)
            else:
                shutil.copy2(found, place)

    def freeze(self) -> None:
        """Make it what a container sees with a read-only root and a volume that belongs to its group."""
        run("mount", "-t", "tmpfs", "-o", f"mode=2775,uid=0,gid={self.user.split(':')[1]}", "tmpfs", self.path / DATA)
        run("mount", "-o", "remount,ro", self.path)
        if Path(sys.base_prefix) != Path("/usr"):
            run("mount", "-o", "remount,ro", self.path / "usr/local")

    def result(self, words: list[str]) -> dict[str, object]:
        done = subprocess.run(
            self.command(words, user=self.user),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return {"code": done.returncode, "out": done.stdout}


def main() -> None:
    asked = json.load(sys.stdin)
    scratch = Path(asked["scratch"])
    # An overlay's upper folder must not lie in its lower one, and here the lower one is everything.
    run("mount", "-t", "tmpfs", "tmpfs", scratch)
    built: dict[str, StageRoot] = {}
    for stage in parse(ROOT / "Dockerfile"):
        root = StageRoot(scratch, stage)
        root.mount()
        root.carry_out(built)
        built[stage.name] = root
    last = list(built.values())[-1]
    last.freeze()
    json.dump([last.result(words) for words in asked["commands"]], sys.stdout)


if __name__ == "__main__":
    main()
