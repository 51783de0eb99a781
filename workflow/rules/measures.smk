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
        system=one_of(s.name for s in study.systems(STUDY) if s.kind != "first stage"),
    params:
        code=code("evaluate"),
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
        system=one_of(s.name for s in study.systems(STUDY) if s.kind == "first stage"),


rule sweep:
    """The headline when only the first candidates are re-ranked, of every run of a student."""
    input:
        runs=lambda w: [f"{RESULTS}/runs/{s}/{d}.parquet" for s, d in swept(w)],
        candidates=expand(
            f"data/candidates/{GRID['first_stage']}/{{dataset}}.parquet",
            dataset=GRID["datasets"],
        ),
        qrels=expand("data/corpora/qrels/{dataset}.parquet", dataset=GRID["datasets"]),
    output:
        f"{RESULTS}/measures/depths/{{student}}.parquet",
    log:
        f"logs/{config['study']}/measures/depths/{{student}}.log",
    params:
        code=code("sweep"),
        settings=settings("sweep", "{student}"),
        on=lambda w, input: each_dataset(input.candidates, input.qrels),
        runs=lambda w: " ".join(
            f"--runs {s} {d} {RESULTS}/runs/{s}/{d}.parquet" for s, d in swept(w)
        ),
    shell:
        "redistil sweep {output} {params.on} {params.runs} {params.settings} 2> {log}"


rule measures:
    """The measures of everything that the study compares."""
    input:
        [
            f"{RESULTS}/measures/{system.name}.parquet"
            for system in study.systems(STUDY)
        ],
