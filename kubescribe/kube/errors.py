"""
Why the API server cannot be used as configured: one line that says what is wrong and what to do; exit code 2.

    AccessError
    ├── KubeconfigMissing    no file where it was looked for
    ├── KubeconfigInvalid    a file that is not YAML, or not a kubeconfig, or whose plugin fails
    ├── ContextMissing       no current context, or one that the file does not define
    ├── ApiUnreachable       nobody answers at the address, or not with TLS that can be trusted
    ├── CredentialsRejected  HTTP 401: the token or certificate is expired or unknown
    └── AccessForbidden      HTTP 403: the credentials are known, the permission is missing
"""


class AccessError(Exception):
    """The API server cannot be used as configured; the message says what to do."""


class KubeconfigMissing(AccessError):
    """No kubeconfig where it was looked for."""


class KubeconfigInvalid(AccessError):
    """The kubeconfig cannot be read or understood, or its credential plugin fails."""


class ContextMissing(AccessError):
    """The kubeconfig names no current context, or one that it does not define."""


class ApiUnreachable(AccessError):
    """Nobody answers at the API server's address."""


class CredentialsRejected(AccessError):
    """The API server answered 401."""


class AccessForbidden(AccessError):
    """The API server answered 403."""
