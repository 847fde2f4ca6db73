"""
What the way to Loki raises, drawn here.

    LokiError                 root
    ├── LokiUnreachable       no answer: no connection, a broken one, silence; try again
    ├── LokiRefused           an answer that is not what was asked for; `status` and the cut `text` say what
    ├── CredentialsUnusable   a password or token file cannot be read; try again, and tell
    └── SenderStopped         the sender was stopped; what it held is not acknowledged
"""


class LokiError(Exception):
    """Root of what the way to Loki raises."""


class LokiUnreachable(LokiError):
    """No answer came: no connection, a broken one, or silence."""


class LokiRefused(LokiError):
    """Loki answered, but not with what was asked for."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"Loki answered {status}: {text[:256]}")
        self.status = status
        self.text = text


class CredentialsUnusable(LokiError):
    """A file with a password or token cannot be read; the message names it."""


class SenderStopped(LokiError):
    """The sender was stopped before the fate of a push was final."""
