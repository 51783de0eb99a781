import os

from redistil.stages.report import figures

report: "../report/workflow.rst"


FIGURES = figures.names()
CAPTIONS = sorted(
    f"workflow/report/{path.name}"
    for path in Path(workflow.basedir, "workflow/report").glob("*.rst")
)


rule resolve:
    """The study as it was asked for, catalogues and grid in one file."""
    output:
        f"{RESULTS}/study.yaml",
    log:
        f"logs/{config['study']}/report/resolve.log",
    params:
        # --config puts its keys first; inside, the order is the study's own, as is that of the page
        settings=json.dumps(dict(sorted(config.items()))),
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
        [
            report(
                f"{RESULTS}/report/tables/{table}.csv",
                caption=f"../report/{table}.rst",
                category="Tables",
                labels={"table": table},
            )
            for table in (
                "leaderboard",
                "losses",
                "versus",
                "tests",
                "cells",
                "published",
                "costs",
                "lines",
            )
        ],
        f"{RESULTS}/report/tables/metrics.json",
        f"{RESULTS}/report/tables/tables.json",
        paste=directory(f"{RESULTS}/report/tables/paste"),
        made=f"{RESULTS}/report/tables/made.json",
    log:
        f"logs/{config['study']}/report/tabulate.log",
    params:
        code=code("tabulate"),
        settings=settings("tabulate", config["study"]),
        measures=lambda w, input: each("--measures", input.measures),
        models=lambda w, input: each("--models", input.models),
        reranked=each("--reranked", map(" ".join, reranked())),
    shell:
        "redistil tabulate {input.study} $(dirname {output.made}) {params.measures} {params.models}"
        " {params.reranked} --published {input.published} --names {input.names} {params.settings} 2> {log}"


rule plot:
    """The figures, for the screen and for print."""
    input:
        study=rules.resolve.output,
        tables=rules.tabulate.output.made,
        measures=rules.measures.input,
        curves=[
            path.replace("made.json", "curve.parquet") for path in rules.models.input
        ],
        validations=[
            path.replace("made.json", "validation.parquet")
            for path in rules.models.input
        ],
        depths=expand(rules.sweep.output, student=GRID["students"]),
        teachers=[path for teacher in taught_by() for path in teacher[1::2]],
    output:
        [
            report(
                f"{RESULTS}/report/figures/{figure}.svg",
                # the figure's own, written beside it
                caption=os.path.abspath(f"{RESULTS}/report/figures/{figure}.rst"),
                category="Figures",
                labels={"figure": figure},
            )
            for figure in FIGURES
        ],
        expand(f"{RESULTS}/report/figures/{{figure}}.png", figure=FIGURES),
        expand(f"{RESULTS}/report/figures/{{figure}}.rst", figure=FIGURES),
        made=f"{RESULTS}/report/figures/made.json",
    log:
        f"logs/{config['study']}/report/plot.log",
    params:
        code=code("plot"),
        measures=lambda w, input: each("--measures", input.measures),
        curves=lambda w, input: each("--curves", input.curves),
        validations=lambda w, input: each("--validations", input.validations),
        depths=lambda w, input: each("--depths", input.depths),
        teachers=lambda w: each("--teacher", map(" ".join, taught_by())),
    shell:
        "redistil plot {input.study} $(dirname {input.tables}) $(dirname {output.made})"
        " {params.measures} {params.curves} {params.validations} {params.depths} {params.teachers}"
        " 2> {log}"


rule compare:
    """Tests of any two systems against each other, for the page."""
    input:
        study=rules.resolve.output,
        measures=rules.measures.input,
    output:
        f"{RESULTS}/report/pairs.parquet",
    log:
        f"logs/{config['study']}/report/compare.log",
    params:
        code=code("compare"),
        settings=settings("compare", config["study"]),
        measures=lambda w, input: each("--measures", input.measures),
    shell:
        "redistil compare {input.study} {output} {params.measures} {params.settings} 2> {log}"


rule contrast:
    """The queries of a dataset on which systems differ most, with what they show for them."""
    input:
        study=rules.resolve.output,
        queries="data/corpora/queries/{dataset}.parquet",
        passages=named("data/corpora/passages/{corpus}.parquet"),
        qrels="data/corpora/qrels/{dataset}.parquet",
        measures=rules.measures.input,
        runs=shown,
    output:
        f"{RESULTS}/report/contrasts/{{dataset}}.parquet",
    log:
        f"logs/{config['study']}/report/contrasts/{{dataset}}.log",
    params:
        code=code("contrast"),
        settings=settings("contrast", "{dataset}"),
        measures=lambda w, input: each("--measures", input.measures),
        runs=lambda w, input: each("--runs", input.runs),
    shell:
        "redistil contrast {input.study} {input.queries} {input.passages} {input.qrels} {output}"
        " {params.measures} {params.runs} {params.settings} 2> {log}"


rule page:
    """One self-contained page: every number with the file and command behind it."""
    input:
        study=rules.resolve.output,
        tables=rules.tabulate.output.made,
        figures=rules.plot.output.made,
        departures="docs/departures.md",
        caption="workflow/report/page.rst",  # in the folder of all
        captions=CAPTIONS,
        models=rules.models.input,
        pairs=rules.compare.output,
        contrasts=expand(rules.contrast.output, dataset=GRID["datasets"]),
    output:
        report(
            f"{RESULTS}/report/index.html",
            caption="../report/page.rst",
            category="Page",
        ),
    log:
        f"logs/{config['study']}/report/page.log",
    params:
        code=code("page"),
        models=lambda w, input: each("--models", input.models),
        contrasts=lambda w, input: each("--contrasts", input.contrasts),
    shell:
        "redistil page {input.study} $(dirname {input.tables}) $(dirname {input.figures})"
        " $(dirname {input.caption}) {input.departures} {output} --pairs {input.pairs}"
        " {params.models} {params.contrasts} 2> {log}"


rule publish:
    """For each model a folder ready for a hub: weights, tokenizer, recipe, card. Uploads nothing."""
    input:
        study=rules.resolve.output,
        tables=rules.tabulate.output.made,
        models=rules.models.input,
    output:
        f"{RESULTS}/published/models.csv",
        made=f"{RESULTS}/published/made.json",
    log:
        f"logs/{config['study']}/report/publish.log",
    params:
        code=code("publish"),
        settings=settings("publish", config["study"]),
        models=lambda w, input: each("--models", input.models),
    shell:
        "redistil publish {input.study} $(dirname {input.tables}) $(dirname {output.made})"
        " {params.models} {params.settings} 2> {log}"


rule report:
    """The leaderboard, the figures and the page."""
    input:
        rules.tabulate.output,
        rules.plot.output,
        rules.page.output,
