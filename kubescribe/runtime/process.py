"""What this process is: the version it reports everywhere. Nothing else about it."""

from importlib.metadata import PackageNotFoundError, version


def version_string() -> str:
    """Return the version of the installed distribution; a tree that was never installed says so."""
    try:
        return version("kubescribe")
    except PackageNotFoundError:
        return "0+uninstalled"
