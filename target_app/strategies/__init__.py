"""Ways to deduct stock, a folder each, behind one protocol."""
