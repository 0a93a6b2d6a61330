"""The relay: what two nodes send each other, and who may."""
