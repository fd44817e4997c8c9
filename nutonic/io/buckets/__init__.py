"""Trees in object stores: what an address says, and the store that it leads to."""
