"""One request, from its first byte until its delivery is stored and answered."""
