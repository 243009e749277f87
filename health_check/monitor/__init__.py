"""Answers "how are these checks?": from records that are fresh, else by having the checks run."""
