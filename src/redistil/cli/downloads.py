"""Commands of the stage downloads."""

from pathlib import Path

import click

from redistil.cli.options import Out, setting


@click.command()
@click.argument("out", type=Out())
@click.argument("checked", type=Out())
@setting("--url", str, "Where the file is published; http or https.")
@setting("--md5", str, "Its MD5, as hexadecimal digits.", required=False)
@setting("--sha256", str, "Its SHA-256, as hexadecimal digits.", required=False)
@setting("--bytes", click.IntRange(1), "Its size.", required=False)
def download(
    out: Path, checked: Path, url: str, md5: str | None, sha256: str | None, bytes: int | None
) -> None:
    """Download a published file and check it.

    A file that is at OUT already is checked and kept. CHECKED records what was found.
    """
    from redistil.stages import downloads

    sums = {name: digest for name, digest in (("md5", md5), ("sha256", sha256)) if digest}
    downloads.download(out, checked, url, sums, bytes)
