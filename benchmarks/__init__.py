"""Benchmarks: what the tools reach, measured beside their rivals; `python -m benchmarks.<family>` writes a page."""
