"""Invertible layers with full square matrices, whose gradient costs O(B D^2), and the flow made of them."""
