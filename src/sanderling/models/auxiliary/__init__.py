"""Modules that only teach: they run beside a network while it is trained and do not ship."""
