"""Where pixels come from: the protocol, what all sources share, and one room for each kind."""
