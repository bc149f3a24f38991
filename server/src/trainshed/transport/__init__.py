"""HTTP: decode, authenticate, call one service function, encode."""
