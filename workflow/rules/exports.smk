rule export_training:
    """Training data as another library reads it: `snakemake data/exports/NAME/made.json`."""
    input:
        negatives=lambda w: "data/negatives/{}.parquet".format(
            config["exports"][w.exported]["negatives"]
        ),
        queries=lambda w: of_export("data/corpora/queries/{dataset}.parquet", w),
        passages=lambda w: of_export("data/corpora/passages/{corpus}.parquet", w),
        teacher=lambda w: expand(
            "data/teachers/{teacher}.parquet",
            teacher=config["exports"][w.exported].get("teacher", []),
        ),
    output:
        "data/exports/{exported}/card.json",
        made="data/exports/{exported}/made.json",
    log:
        "logs/exports/{exported}.log",
    params:
        code=code("export-training"),
        settings=settings("export-training", "{exported}"),
        teacher=lambda w, input: f"--teacher {input.teacher}" if input.teacher else "",
    shell:
        "redistil export-training {input.negatives} {input.queries} {input.passages}"
        " $(dirname {output.made}) {params.teacher} {params.settings} 2> {log}"


rule export_run:
    """A run as a TREC file, for other tools: `snakemake results/.../trec/....run`."""
    input:
        f"{RESULTS}/runs/{{system}}/{{dataset}}.parquet",
    output:
        f"{RESULTS}/trec/{{system}}/{{dataset}}.run",
    log:
        f"logs/{config['study']}/trec/{{system}}/{{dataset}}.log",
    wildcard_constraints:
        system=one_of(s.name for s in study.systems(STUDY) if s.kind != "first stage"),
    params:
        code=code("export-run"),
    shell:
        "redistil export-run {input} {output} --tag {wildcards.system} 2> {log}"


rule export_qrels:
    """Judgements as a TREC file, for other tools."""
    input:
        "data/corpora/qrels/{dataset}.parquet",
    output:
        f"{RESULTS}/trec/{{dataset}}.qrels",
    log:
        f"logs/{config['study']}/trec/{{dataset}}.log",
    params:
        code=code("export-qrels"),
    shell:
        "redistil export-qrels {input} {output} 2> {log}"


rule trec:
    """Every run and judgement of the study as TREC files."""
    input:
        expand(rules.export_qrels.output, dataset=GRID["datasets"]),
        expand(
            rules.export_run.output,
            system=[s.name for s in study.systems(STUDY) if s.kind != "first stage"],
            dataset=GRID["datasets"],
        ),


rule exports:
    """Every run and judgement of the study as TREC files, and every declared export."""
    input:
        rules.trec.input,
        expand(rules.export_training.output.made, exported=config["exports"]),
