"""The project's own published figures: run `python workflows/benchmark.py --help`, in the environment of the package."""

from benchmarks.cli import app

if __name__ == "__main__":
    app()
