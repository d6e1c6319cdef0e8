"""A made-up sender and its world."""
