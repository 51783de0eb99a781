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
        # --config puts its keys first; inside, the order is the study's own, as is that of the page.
        # A function, for Snakemake takes `{word}` in plain text, as in a title, for a wildcard
        settings=lambda w: json.dumps(dict(sorted(grid.asked_for(STUDY).items()))),
    shell:
        "redistil resolve {output} --settings {params.settings:q} 2> {log}"


rule tabulate:
    """The leaderboard with its tests; a number that the study does not ask for is refused."""
    input:
        study=rules.resolve.output,
        measures=every("results/{study}/measures/{system}.parquet", "systems"),
        models=every(
            "results/{study}/models/{student}/{loss}/{seed}/made.json", "cells"
        ),
        qrels=every("data/corpora/qrels/{dataset}.parquet", "datasets"),
        counts=every("data/corpora/counts/{dataset}.parquet", "datasets"),
        backbones=every("data/backbones/{built}/made.json", "built backbones"),
        gates=every("results/{study}/gates/{teacher}/gate.json", "gates"),
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
                "machines",
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
        measures=repeated("--measures", "measures"),
        models=repeated("--models", "models"),
        backbones=repeated("--backbones", "backbones"),
        gates=repeated("--gates", "gates"),
        reranked=each(
            "--reranked {system} results/{study}/runs/{system}", "reranking models"
        ),
        sets=each(
            "--test-set data/corpora/qrels/{dataset}.parquet data/corpora/counts/{dataset}.parquet",
            "datasets",
        ),
        taught=each("--taught {taught} data/teachers/{taught}.parquet", "taught"),
        teaching=each("--teaching {taught} {model}/made.json", "teaching models"),
    shell:
        "redistil tabulate {input.study} $(dirname {output.made}) {params.measures} {params.models}"
        " {params.backbones} {params.gates} {params.reranked} {params.taught} {params.teaching} {params.sets}"
        " --published {input.published} --names {input.names} {params.settings} 2> {log}"


rule plot:
    """The figures, for the screen and for print."""
    input:
        study=rules.resolve.output,
        tables=rules.tabulate.output.made,
        measures=every("results/{study}/measures/{system}.parquet", "systems"),
        curves=every(
            "results/{study}/models/{student}/{loss}/{seed}/curve.parquet", "cells"
        ),
        validations=every(
            "results/{study}/models/{student}/{loss}/{seed}/validation.parquet",
            "cells",
        ),
        depths=every("results/{study}/measures/depths/{student}.parquet", "students"),
        scores=every("data/teachers/{teacher}.parquet", "teaching"),
        pairs=every("data/negatives/{negatives}.parquet", "teaching"),
        # times differ from run to run: new ones alone draw nothing again
        latency=ancient(every("results/{study}/latency/{student}.json", "timed")),
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
        measures=repeated("--measures", "measures"),
        curves=repeated("--curves", "curves"),
        validations=repeated("--validations", "validations"),
        latency=repeated("--latency", "latency"),
        depths=repeated("--depths", "depths"),
        teachers=each(
            "--teacher {teacher} data/teachers/{teacher}.parquet {negatives}"
            " data/negatives/{negatives}.parquet",
            "teaching",
        ),
    shell:
        "redistil plot {input.study} $(dirname {input.tables}) $(dirname {output.made})"
        " {params.measures} {params.curves} {params.validations} {params.depths} {params.teachers}"
        " {params.latency} 2> {log}"


rule compare:
    """Tests of any two systems against each other, for the page."""
    input:
        study=rules.resolve.output,
        measures=every("results/{study}/measures/{system}.parquet", "systems"),
    output:
        f"{RESULTS}/report/pairs.parquet",
    log:
        f"logs/{config['study']}/report/compare.log",
    params:
        code=code("compare"),
        settings=settings("compare", config["study"]),
        measures=repeated("--measures", "measures"),
    shell:
        "redistil compare {input.study} {output} {params.measures} {params.settings} 2> {log}"


rule contrast:
    """The queries of a dataset on which systems differ most, with what they show for them."""
    input:
        study=rules.resolve.output,
        queries="data/corpora/queries/{dataset}.parquet",
        passages=named("data/corpora/passages/{corpus}.parquet"),
        qrels="data/corpora/qrels/{dataset}.parquet",
        measures=every("results/{study}/measures/{system}.parquet", "systems"),
        runs=named("{runs}/{dataset}.parquet", "shown"),
    output:
        f"{RESULTS}/report/contrasts/{{dataset}}.parquet",
    log:
        f"logs/{config['study']}/report/contrasts/{{dataset}}.log",
    params:
        code=code("contrast"),
        settings=settings("contrast", "{dataset}"),
        measures=repeated("--measures", "measures"),
        runs=repeated("--runs", "runs"),
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
        models=every(
            "results/{study}/models/{student}/{loss}/{seed}/made.json", "cells"
        ),
        pairs=rules.compare.output,
        contrasts=every("results/{study}/report/contrasts/{dataset}.parquet", "pushed"),
        latency=ancient(every("results/{study}/latency/{student}.json", "timed")),
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
        models=repeated("--models", "models"),
        contrasts=repeated("--contrasts", "contrasts"),
        latency=repeated("--latency", "latency"),
    shell:
        "redistil page {input.study} $(dirname {input.tables}) $(dirname {input.figures})"
        " $(dirname {input.caption}) {input.departures} {output} --pairs {input.pairs}"
        " {params.models} {params.contrasts} {params.latency} 2> {log}"


rule publish:
    """For each model a folder ready for a hub: weights, tokenizer, recipe, card. Uploads nothing."""
    input:
        study=rules.resolve.output,
        tables=rules.tabulate.output.made,
        models=every(
            "results/{study}/models/{student}/{loss}/{seed}/made.json", "cells"
        ),
    output:
        f"{RESULTS}/published/models.csv",
        made=f"{RESULTS}/published/made.json",
    log:
        f"logs/{config['study']}/report/publish.log",
    params:
        code=code("publish"),
        settings=settings("publish", config["study"]),
        models=repeated("--models", "models"),
    shell:
        "redistil publish {input.study} $(dirname {input.tables}) $(dirname {output.made})"
        " {params.models} {params.settings} 2> {log}"


rule report:
    """The leaderboard, the figures and the page."""
    input:
        rules.tabulate.output,
        rules.plot.output,
        rules.page.output,
