"""`python -m redistil`, as torchrun starts it."""

from redistil.cli import main

main()
