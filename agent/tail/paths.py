"""
What the path of a container's log file says. Pure; whatever does not look like the kubelet's own is nothing.

    /var/log/pods/<namespace>_<pod>_<uid>/<container>/<N>.log                        being written
    /var/log/pods/<namespace>_<pod>_<uid>/<container>/<N>.log.<YYYYMMDD-HHMMSS>      rotated
    /var/log/pods/<namespace>_<pod>_<uid>/<container>/<N>.log.<YYYYMMDD-HHMMSS>.gz   rotated twice

N is how often the container was started again in its pod (kubelet, kuberuntime/helpers.go and
logs/container_log_manager.go). Names in /var/log/containers are cut at 255 bytes and of no use here.
"""

import re
from typing import NamedTuple

_NAME = r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?"
# A uid is a uuid, or the hash of a static pod's file (32 hexadecimal digits); no underscore is in any of the three.
_POD_FOLDER = re.compile(rf"({_NAME})_({_NAME})_([A-Za-z0-9-]{{1,128}})")
_CONTAINER_FOLDER = re.compile(_NAME)
_FILE = re.compile(r"(0|[1-9][0-9]{0,9})\.log(?:\.([0-9]{8}-[0-9]{6})(\.gz)?)?")


class PodFolder(NamedTuple):
    """A pod as its folder names it; of a static pod `uid` is that of its file, not the one in the API."""

    namespace: str
    pod: str
    uid: str

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"{self.namespace}_{self.pod}_{self.uid}"


class Instance(NamedTuple):
    """One container in one pod from one start to the next; `restart` is how often it was started again before."""

    namespace: str
    pod: str
    uid: str
    container: str
    restart: int

    @property
    def folder(self) -> str:
        """The folder of its files, below the folder of all logs."""
        return f"{self.namespace}_{self.pod}_{self.uid}/{self.container}"

    @property
    def live_name(self) -> str:
        """The name of the file that its container writes."""
        return f"{self.restart}.log"


class FileName(NamedTuple):
    """One file of an instance: `rotated` is when it was rotated, local time, "" for the one that is written."""

    restart: int
    rotated: str
    is_gzip: bool


def parse_pod_folder(name: str) -> PodFolder | None:
    """Return the pod whose folder is called *name*."""
    match = _POD_FOLDER.fullmatch(name)
    return PodFolder(*match.groups()) if match else None


def is_container_folder(name: str) -> bool:
    """Tell whether a folder of a pod that is called *name* is a container's."""
    return _CONTAINER_FOLDER.fullmatch(name) is not None


def parse_file_name(name: str) -> FileName | None:
    """Return what the file *name* in a container's folder is; None for `.tmp` files and what is not the kubelet's."""
    match = _FILE.fullmatch(name)
    if match is None:
        return None
    restart, rotated, gzip = match.groups()
    return FileName(int(restart), rotated or "", gzip is not None)


def parse_path(path: str) -> tuple[Instance, FileName] | None:
    """Return whose file *path* is, absolute or below the folder of all logs."""
    folders, _, name = path.rpartition("/")
    folders, _, container = folders.rpartition("/")
    pod = parse_pod_folder(folders.rpartition("/")[2])
    file = parse_file_name(name)
    if pod is None or file is None or not is_container_folder(container):
        return None
    return Instance(*pod, container, file.restart), file
