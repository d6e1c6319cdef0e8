"""Shared by all long-running processes: signals, supervision, readiness, outages and the ops port."""
