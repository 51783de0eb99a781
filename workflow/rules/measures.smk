rule evaluate:
    """The measures of a re-ranker for every query of every dataset."""
    input:
        runs=named("results/{study}/runs/{system}/{dataset}.parquet", "datasets"),
        qrels=named("data/corpora/qrels/{dataset}.parquet", "datasets"),
    output:
        f"{RESULTS}/measures/{{system}}.parquet",
    log:
        f"logs/{config['study']}/measures/{{system}}.log",
    params:
        code=code("evaluate"),
        settings=settings("evaluate", "{system}"),
        on=each(
            "--on {dataset} results/{study}/runs/{system}/{dataset}.parquet"
            " data/corpora/qrels/{dataset}.parquet",
            "datasets",
        ),
    shell:
        "redistil evaluate {params.on} {params.settings} --out {output} 2> {log}"


use rule evaluate as evaluate_first_stage with:
    input:
        runs=named("data/candidates/{baseline}/{dataset}.parquet", "datasets"),
        qrels=named("data/corpora/qrels/{dataset}.parquet", "datasets"),
    output:
        f"{RESULTS}/measures/{{baseline}}.parquet",
    log:
        f"logs/{config['study']}/measures/{{baseline}}.log",
    params:
        code=code("evaluate"),
        settings=settings("evaluate", "{baseline}"),
        on=each(
            "--on {dataset} data/candidates/{baseline}/{dataset}.parquet"
            " data/corpora/qrels/{dataset}.parquet",
            "datasets",
        ),


rule sweep:
    """The headline when only the first candidates are re-ranked, of every run of a student."""
    input:
        runs=named("results/{study}/runs/{system}/{dataset}.parquet", "runs"),
        candidates=named(
            f"data/candidates/{GRID['first_stage']}/{{dataset}}.parquet", "datasets"
        ),
        qrels=named("data/corpora/qrels/{dataset}.parquet", "datasets"),
    output:
        f"{RESULTS}/measures/depths/{{student}}.parquet",
    log:
        f"logs/{config['study']}/measures/depths/{{student}}.log",
    params:
        code=code("sweep"),
        settings=settings("sweep", "{student}"),
        on=each(
            f"--on {{dataset}} data/candidates/{GRID['first_stage']}/{{dataset}}.parquet"
            " data/corpora/qrels/{dataset}.parquet",
            "datasets",
        ),
        runs=each(
            "--runs {system} {dataset} results/{study}/runs/{system}/{dataset}.parquet",
            "runs",
        ),
    shell:
        "redistil sweep {output} {params.on} {params.runs} {params.settings} 2> {log}"


rule measures:
    """The measures of everything that the study compares."""
    input:
        every("results/{study}/measures/{system}.parquet", "systems"),
