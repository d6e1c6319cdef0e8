"""When and which: the loop, the batch, bisection and re-homing."""
