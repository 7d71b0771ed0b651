"""Failures that are the same, as groups: what makes two the same, how they are counted, and who asks for them."""
