"""Numbers as Grafana writes them: the few units that our panels use. Pure."""

import math

_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")
_SHORT = ("", " K", " Mil", " Bil")
_TIMES = ((86400.0, "day"), (3600.0, "hour"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


def worded(value: float, unit: str, decimals: int | None = None) -> str:  # noqa: PLR0911 - a table of units
    """Return *value* in *unit*, to be read."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "unknown"
    match unit:
        case "bytes":
            return _scaled(value, 1024, _BYTES, decimals, gap=" ")
        case "Bps":
            return _scaled(value, 1024, _BYTES, decimals, gap=" ") + "/s"
        case "percentunit":
            return _plain(value * 100, decimals, small=1) + "%"
        case "s":
            return _time(value, decimals)
        case "reqps":
            return _plain(value, decimals) + " req/s"
        case "cores":
            return _plain(value, decimals, small=2)
        case _ if unit.startswith("suffix:"):
            return _plain(value, decimals) + unit.removeprefix("suffix:")
        case _:
            return _scaled(value, 1000, _SHORT, decimals, gap="")


def _plain(value: float, decimals: int | None, *, small: int = 2) -> str:
    if decimals is None:
        decimals = 0 if value == 0 or abs(value) >= 100 else small if abs(value) < 10 else 1
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _scaled(value: float, base: int, names: tuple[str, ...], decimals: int | None, *, gap: str) -> str:
    index = 0
    while abs(value) >= base and index < len(names) - 1:
        value, index = value / base, index + 1
    return _plain(value, decimals if index == 0 else max(decimals or 0, 1), small=1) + gap + names[index]


def _time(value: float, decimals: int | None) -> str:
    if value == 0:
        return "0 s"
    for size, name in _TIMES:
        if abs(value) >= size:
            number = _plain(value / size, decimals or None, small=1)
            return f"{number} {name}{'s' if name in {'day', 'hour', 'min'} and number != '1' else ''}"
    return "0 s"
