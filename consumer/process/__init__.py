"""What every long-running process shares: signals, supervision, readiness, outages and the ops port."""
