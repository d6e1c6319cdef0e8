"""The doctor: every precondition of this product, what was found of it, and the cure."""
