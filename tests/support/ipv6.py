"""Marks what needs a machine with IPv6."""

from pathlib import Path

import pytest

ADDRESSES = Path("/proc/net/if_inet6")

needs_ipv6 = pytest.mark.skipif(not ADDRESSES.exists() or not ADDRESSES.read_text(), reason="this machine has no IPv6")
