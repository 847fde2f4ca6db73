"""A port for what must listen where others were told to look, before it is there or when it comes back."""

import socket


def free_port() -> int:
    """Return a port of this machine that was free just now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
