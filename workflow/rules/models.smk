rule recipe:
    """The settings of one training, resolved: all that `train` needs to know."""
    output:
        "results/{study}/models/{student}/{loss}/{seed}/recipe.yaml",
    log:
        "logs/{study}/models/{student}/{loss}/{seed}/recipe.log",
    params:
        settings=lambda w: json.dumps(ASKED["train", f"{w.student}/{w.loss}/{w.seed}"]),
    shell:
        "redistil recipe {output} --settings {params.settings:q} 2> {log}"


rule train:
    """The weights of student x loss x seed."""
    input:
        recipe="results/{study}/models/{student}/{loss}/{seed}/recipe.yaml",
        backbone=named("data/backbones/{backbone}/made.json"),
        queries=named("data/tokens/{backbone}/queries/{dataset}.arrow"),
        passages=named("data/tokens/{backbone}/passages/{corpus}.arrow"),
        negatives=named("data/negatives/{negatives}.parquet"),
        teacher=named("data/teachers/{teacher}.parquet"),
        predecessor=predecessor,
        validation=lambda w: [path for one in validation(w) for path in one[1:]],
    output:
        "results/{study}/models/{student}/{loss}/{seed}/model.safetensors",
        "results/{study}/models/{student}/{loss}/{seed}/curve.parquet",
        "results/{study}/models/{student}/{loss}/{seed}/validation.parquet",
        made="results/{study}/models/{student}/{loss}/{seed}/made.json",
    log:
        "logs/{study}/models/{student}/{loss}/{seed}/train.log",
    resources:
        gpu=GPU,
    params:
        code=lambda w: code(
            "train",
            objective=STUDY.losses[w.loss].objective,
            architecture=STUDY.students[w.student].architecture,
        ),
        teacher=lambda w, input: f"--teacher {input.teacher}" if input.teacher else "",
        predecessor=lambda w, input: " ".join(
            f"--predecessor {path}" for path in input.predecessor[:1]
        ),
        validate=lambda w: " ".join(
            f"--validate {' '.join(one)}" for one in validation(w)
        ),
    shell:
        "redistil train {input.recipe} {input.backbone} {input.queries} {input.passages}"
        " {input.negatives} $(dirname {output.made}) {params.teacher} {params.predecessor}"
        " {params.validate} --name {wildcards.student}/{wildcards.loss}/{wildcards.seed} --threads {threads} 2> {log}"


rule models:
    """Every training of the grid."""
    input:
        expand(
            rules.train.output.made,
            study=config["study"],
            student=GRID["students"],
            loss=GRID["losses"],
            seed=GRID["seeds"],
        ),
