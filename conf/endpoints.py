"""What the address of a service says about who answers there."""

from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Tell whether a URL points to this machine: to a simulator or an emulator."""
    return urlsplit(url).hostname in {"127.0.0.1", "::1", "localhost"}
