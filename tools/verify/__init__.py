"""Compare a real project of Stack with what the product and its fake of Stack rely on (docs/VERIFIED.md)."""
