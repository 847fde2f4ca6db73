"""What tests need of Debian is installed once, by who may; what is missing is named, and a failure in CI."""

import subprocess
from pathlib import Path

import pytest

from tests.programs import PACKAGES, program

SCRIPT = Path(__file__).parents[2] / "scripts/test-programs"
POLICY = "policy-rc.d"

# Says that it was called and whether services were forbidden then, and installs; lists it cannot fetch.
APT_GET = f"""#!/bin/sh
echo "$@" >>{{folder}}/calls
[ "$1" = update ] && exit 100
[ "{{works}}" = True ] || exit 100
test -x {{folder}}/{POLICY} && echo "services forbidden" >>{{folder}}/calls
touch {" ".join(f"{{folder}}/bin/{name}" for name in PACKAGES)}
chmod +x {{folder}}/bin/*
"""


class Machine:
    """A PATH of its own, with or without the programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        for tool in ("bash", "rm", "chmod", "touch"):
            self.link(tool)
        self.user(0)

    def link(self, tool: str) -> None:
        found = next(path for path in (Path("/usr/bin", tool), Path("/bin", tool)) if path.exists())
        (self.folder / "bin" / tool).symlink_to(found)

    def write(self, tool: str, text: str) -> None:
        path = self.folder / "bin" / tool
        path.write_text(text)
        path.chmod(0o755)

    def user(self, number: int) -> None:
        self.write("id", f"#!/bin/sh\necho {number}\n")

    def apt_get(self, *, works: bool = True) -> None:
        self.write("apt-get", APT_GET.format(folder=self.folder, works=works))

    @property
    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def run(self, **environ: str) -> subprocess.CompletedProcess[str]:
        tools = self.folder / "bin"
        variables = {"PATH": str(tools), "POLICY_RC_D": str(self.folder / POLICY), **environ}
        return subprocess.run(
            [tools / "bash", SCRIPT], env=variables, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_they_are_installed_once_without_their_services(machine: Machine) -> None:
    machine.apt_get()

    first, second = machine.run(), machine.run()

    assert (first.returncode, second.returncode, second.stderr) == (0, 0, "")
    assert machine.calls == [
        "update -qq",
        "install -y -qq --no-install-recommends prometheus chromium-headless-shell",
        "services forbidden",
    ]
    assert not (machine.folder / POLICY).exists()


def test_what_somebody_said_of_services_stays(machine: Machine) -> None:
    machine.apt_get()
    (machine.folder / POLICY).write_text("theirs")

    machine.run()

    assert (machine.folder / POLICY).read_text() == "theirs"


@pytest.mark.parametrize("who", ["no root", "no apt-get", "no network"])
@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_what_cannot_be_installed_is_named_and_a_failure_in_ci(machine: Machine, who: str, ci: str, code: int) -> None:
    if who != "no apt-get":
        machine.apt_get(works=who != "no network")
    if who == "no root":
        machine.user(1000)

    done = machine.run(CI=ci)

    assert done.returncode == code
    assert "prometheus chromium-headless-shell" in done.stderr
    assert not (machine.folder / POLICY).exists()


def test_a_test_without_its_program_skips_and_in_ci_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match="apt-get install prometheus"):
        program("promtool")

    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="there is no promtool"):
        program("promtool")
