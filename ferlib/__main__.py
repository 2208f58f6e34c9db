"""`python -m ferlib`, where the command `ferlib` is not on the path."""

from ferlib.cli import main

if __name__ == "__main__":
    main()
