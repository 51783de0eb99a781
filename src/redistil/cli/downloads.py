"""Commands of the stage downloads."""

from pathlib import Path

import click

from redistil.cli.declared import settings_from
from redistil.cli.options import Out
from redistil.study.corpora import Download, Md5Download, Sha256Download


@click.command()
@click.argument("out", type=Out())
@click.argument("checked", type=Out())
@settings_from(Download, "url", "bytes")
@settings_from(Md5Download, "md5", optional=True)
@settings_from(Sha256Download, "sha256", optional=True)
def download(
    out: Path,
    checked: Path,
    url: str | None,
    md5: str | None,
    sha256: str | None,
    bytes: int | None,
) -> None:
    """Download a published file and check it.

    A file that is at OUT already is checked and kept. CHECKED records what was found.
    """
    from redistil.stages import downloads

    sums = {name: digest for name, digest in (("md5", md5), ("sha256", sha256)) if digest}
    downloads.download(out, checked, url, sums, bytes)
