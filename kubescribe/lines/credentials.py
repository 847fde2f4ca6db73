r"""
The forms that credentials have, as patterns: shared by who redacts objects and who scrubs lines.

They are in the syntax that Python's `re` and RE2 have in common (no look-around), and mean the same on text and bytes.
"""

TOKENS = (
    r"\b(AKIA|ASIA|AIDA|AROA)[0-9A-Z]{16}\b",
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]+)*",
    r"\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bglpat-[A-Za-z0-9_-]{16,}",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{8,}",
    r"(hooks\.slack\.com/services/|discord(app)?\.com/api/webhooks/)[A-Za-z0-9/_-]*",
    r"\b[prs]k_(live|test)_[A-Za-z0-9]{8,}|\bwhsec_[A-Za-z0-9]{8,}",
    r"\bAIza[0-9A-Za-z_-]{30,}|\bya29\.[0-9A-Za-z_-]{16,}",
    r"\bSG\.[A-Za-z0-9_-]{16,}(\.[A-Za-z0-9_-]+)?|\bnpm_[A-Za-z0-9]{20,}|\bpypi-[A-Za-z0-9_-]{16,}",
    r"\bdop_v1_[a-f0-9]{16,}",
    r"\bsk-[A-Za-z0-9_-]{20,}|\bhv[sb]\.[A-Za-z0-9_-]{16,}|\bAGE-SECRET-KEY-1[A-Z0-9]{16,}",
)
"""What an issuer made recognizable: the whole match is the credential."""

PRIVATE_KEY = r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY"
"""How the armour of a private key begins (RFC 7468)."""

URL_PASSWORD = r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s:@]*:[^/\s]+@"  # noqa: S105 - a form, not one of them
"""A URL up to the host, with a password."""

SCHEMED = r"(?i:\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{12,})"
"""An HTTP credential with its scheme."""

NAMES = r"pass(word|wd|phrase)?|pwd|secret|token|api[-_]?key|account[-_]?key|access[-_]?key"
"""What a key is called whose value is a credential, whatever the value looks like; without case."""

NAMED = rf"(?i:({NAMES})[\"']?\s*[=:]\s*[^\s,;]{{3,}})"
"""A name with its value, in a command line, a query or a document."""
