"""Tools for people with a source checkout; none is part of the package."""
