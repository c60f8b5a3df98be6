"""Numbers as people read them: the same on a terminal, in a file and on a page."""

from __future__ import annotations

Number = int | float


def format_count(number: Number, gap: str = "") -> str:
    """`950`, `12.3k`, `1.24M`, `3.5G`; `gap` stands before the unit."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit:
            figure = f"{number / limit:.3g}" if number / limit < 999.5 else f"{number / limit:.0f}"
            return f"{figure}{gap}{unit}"
    return f"{number:.3g}" if number != int(number) else str(int(number))


def format_figure(number: Number) -> str:
    """A metric: `0.8123`, `58.5852`; one that is beyond all bounds by its power of ten, `1.014e+304`."""
    return f"{number:.4f}" if abs(number) < 1e6 else f"{number:.3e}"


def format_signed(number: Number) -> str:
    """A difference: `+0.0123`, `-0.0400`, `0.0000`."""
    return f"{'+' if number > 0 else ''}{format_figure(number)}"


def format_bytes(number: Number) -> str:
    """`12 kB`, `3.4 MB`, `1.2 GB`: powers of 1000, as disks and drivers count."""
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= limit:
            return f"{number / limit:.3g} {unit}"
    return f"{number:.0f} bytes"


def format_share(share: Number) -> str:
    """A share in percent, never rounded to nothing or to everything."""
    if 0 < share < 0.0005:
        return "<0.1%"
    return f"{share:.1%}" if share < 0.9995 or share == 1 else ">99.9%"


def format_seconds(seconds: Number) -> str:
    """`1h02m`, `3m20s` or `12s`."""
    whole = max(0, round(seconds))
    if whole >= 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 60}m{whole % 60:02d}s" if whole >= 60 else f"{whole}s"
