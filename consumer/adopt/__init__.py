"""Adopting an application's existing tables: what they are, what is written to them, and the statement that does it."""
