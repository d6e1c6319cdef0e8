"""Adopting an application's existing tables: inspect them, choose the values, write the statement, fill the rows."""
