rule evaluate:
    """The measures of a re-ranker for every query of every dataset."""
    input:
        runs=expand(
            f"{RESULTS}/runs/{{{{system}}}}/{{dataset}}.parquet",
            dataset=GRID["datasets"],
        ),
        qrels=expand("data/corpora/qrels/{dataset}.parquet", dataset=GRID["datasets"]),
    output:
        f"{RESULTS}/measures/{{system}}.parquet",
    log:
        f"logs/{config['study']}/measures/{{system}}.log",
    wildcard_constraints:
        system="|".join(
            s.name for s in study.systems(config) if s.kind != "first stage"
        ),
    params:
        code=code("measures"),
        settings=settings("evaluate", "{system}"),
        on=lambda w, input: each_dataset(input.runs, input.qrels),
    shell:
        "redistil evaluate {output} {params.on} {params.settings} 2> {log}"


use rule evaluate as evaluate_first_stage with:
    input:
        runs=expand(
            "data/candidates/{{system}}/{dataset}.parquet", dataset=GRID["datasets"]
        ),
        qrels=expand("data/corpora/qrels/{dataset}.parquet", dataset=GRID["datasets"]),
    wildcard_constraints:
        system="|".join(
            s.name for s in study.systems(config) if s.kind == "first stage"
        ),


rule measures:
    """The measures of everything that the study compares."""
    input:
        [
            f"{RESULTS}/measures/{system.name}.parquet"
            for system in study.systems(config)
        ],
