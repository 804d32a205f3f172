"""The tamper-evident log: a Merkle tree of each company's events, and signed heads of it."""
