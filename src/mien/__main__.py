"""`python -m mien` is `mien`."""

from mien.cli.app import run

if __name__ == "__main__":
    run()
