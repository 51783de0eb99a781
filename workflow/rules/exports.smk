rule export_training:
    """Training data as another library reads it: `snakemake data/exports/NAME/made.json`."""
    input:
        negatives=named("data/negatives/{negatives}.parquet", "export"),
        queries=named("data/corpora/queries/{dataset}.parquet", "export"),
        passages=named("data/corpora/passages/{corpus}.parquet", "export"),
        teacher=named("data/teachers/{teacher}.parquet", "export"),
    output:
        "data/exports/{exported}/card.json",
        made="data/exports/{exported}/made.json",
    log:
        "logs/exports/{exported}.log",
    params:
        code=code("export-training"),
        settings=settings("export-training", "{exported}"),
        teacher=repeated("--teacher", "teacher"),
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
        every("results/{study}/trec/{dataset}.qrels", "datasets"),
        every("results/{study}/trec/{system}/{dataset}.run", "ranking systems"),


rule exports:
    """Every run and judgement of the study as TREC files, and every declared export."""
    input:
        rules.trec.input,
        every("data/exports/{exported}/made.json", "exports"),
