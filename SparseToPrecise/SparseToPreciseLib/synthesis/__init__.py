"""Synthetic CT from MR, with supervision of its high frequencies (Shi et al., 2021)."""
