rule resolve:
    """The study as it was asked for, catalogues and grid in one file."""
    output:
        f"{RESULTS}/study.yaml",
    log:
        f"logs/{config['study']}/report/resolve.log",
    params:
        settings=json.dumps(config, sort_keys=True),
    shell:
        "redistil resolve {output} --settings {params.settings:q} 2> {log}"


rule tabulate:
    """The leaderboard with its tests; a number that the study does not ask for is refused."""
    input:
        study=rules.resolve.output,
        measures=rules.measures.input,
        models=rules.models.input,
        published="workflow/resources/published.csv",
        names="workflow/resources/published.yaml",
    output:
        expand(
            f"{RESULTS}/report/tables/{{table}}",
            table=[
                "leaderboard.csv",
                "losses.csv",
                "tests.csv",
                "cells.csv",
                "published.csv",
                "lines.csv",
                "metrics.json",
                "tables.json",
            ],
        ),
        paste=directory(f"{RESULTS}/report/tables/paste"),
        made=f"{RESULTS}/report/tables/made.json",
    log:
        f"logs/{config['study']}/report/tabulate.log",
    params:
        code=code("report"),
        settings=settings("tabulate", config["study"]),
        measures=lambda w, input: each("--measures", input.measures),
        models=lambda w, input: each("--models", input.models),
    shell:
        "redistil tabulate {input.study} $(dirname {output.made}) {params.measures} {params.models}"
        " --published {input.published} --names {input.names} {params.settings} 2> {log}"


rule plot:
    """The figures, for the screen and for print."""
    input:
        study=rules.resolve.output,
        tables=rules.tabulate.output.made,
        measures=rules.measures.input,
        models=rules.models.input,
        curves=[
            path.replace("made.json", "curve.parquet") for path in rules.models.input
        ],
        depths=expand(rules.sweep.output, student=GRID["students"]),
        teachers=[path for teacher in taught_by() for path in teacher[1::2]],
    output:
        expand(
            f"{RESULTS}/report/figures/{{figure}}.{{form}}",
            figure=[
                "bars",
                "table",
                "pairs",
                "sizes",
                "scatter",
                "depths",
                "cost",
                "curves",
                "margins",
            ],
            form=["svg", "png"],
        ),
        made=f"{RESULTS}/report/figures/made.json",
    log:
        f"logs/{config['study']}/report/plot.log",
    params:
        code=code("report"),
        measures=lambda w, input: each("--measures", input.measures),
        models=lambda w, input: each("--models", input.models),
        curves=lambda w, input: each("--curves", input.curves),
        depths=lambda w, input: each("--depths", input.depths),
        teachers=lambda w: each("--teacher", map(" ".join, taught_by())),
    shell:
        "redistil plot {input.study} $(dirname {input.tables}) $(dirname {output.made})"
        " {params.measures} {params.models} {params.curves} {params.depths} {params.teachers}"
        " 2> {log}"


rule publish:
    """One self-contained page: every number with the file and command behind it."""
    input:
        study=rules.resolve.output,
        tables=rules.tabulate.output.made,
        figures=rules.plot.output.made,
        departures="docs/departures.md",
    output:
        report(
            f"{RESULTS}/report/index.html",
            caption="../report/page.rst",
            category="Page",
        ),
    log:
        f"logs/{config['study']}/report/publish.log",
    params:
        code=code("report"),
    shell:
        "redistil publish {input.study} $(dirname {input.tables}) $(dirname {input.figures})"
        " {input.departures} {output} 2> {log}"


rule report:
    """The leaderboard, the figures and the page."""
    input:
        rules.tabulate.output,
        rules.plot.output,
        rules.publish.output,
