"""How fast it is: `make bench` prints every figure beside its ceiling from the same run."""
