"""Answers on what is stored and why, for a person who helps users; nothing here writes.

Each function reads the masked views, which a viewer's connection may read too. What `revealed` returns is read from the
tables, and only an operator's connection may.
"""
