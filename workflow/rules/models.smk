rule recipe:
    """The settings of one training, resolved: all that `train` needs to know."""
    input:
        validated=named("data/corpora/queries/{dataset}.parquet", "validation"),
        tested=named("data/corpora/queries/{test}.parquet", "validated and tested"),
    output:
        "results/{study}/models/{student}/{loss}/{seed}/recipe.yaml",
    log:
        "logs/{study}/models/{student}/{loss}/{seed}/recipe.log",
    params:
        settings=lambda w: json.dumps(
            SETTINGS["train", f"{w.student}/{w.loss}/{w.seed}"]
        ),
        apart=each(
            "--apart data/corpora/queries/{dataset}.parquet data/corpora/queries/{test}.parquet",
            "validated and tested",
        ),
    shell:
        "redistil recipe {output} --settings {params.settings:q} {params.apart} 2> {log}"


rule train:
    """The weights of student x loss x seed."""
    input:
        recipe=named("{models}/{student}/{loss}/{seed}/recipe.yaml"),
        backbone=named("data/backbones/{backbone}/made.json"),
        queries=named("data/tokens/{backbone}/queries/{dataset}.arrow"),
        passages=named("data/tokens/{backbone}/passages/{corpus}.arrow"),
        negatives=named("data/negatives/{negatives}.parquet"),
        teacher=named("data/teachers/{teacher}.parquet"),
        predecessor=named("{models}/{student}/{after}/{seed}/made.json", "predecessor"),
        weights=named(
            "{models}/{student}/{after}/{seed}/model.safetensors", "predecessor"
        ),
        judged=named("data/candidates/{first_stage}/{dataset}.parquet", "validation"),
        judgements=named("data/corpora/qrels/{dataset}.parquet", "validation"),
        judged_queries=named(
            "data/tokens/{backbone}/queries/{dataset}.arrow", "validation"
        ),
        judged_passages=named(
            "data/tokens/{backbone}/passages/{corpus}.arrow", "validation"
        ),
    output:
        "results/{study}/models/{student}/{loss}/{seed}/model.safetensors",
        "results/{study}/models/{student}/{loss}/{seed}/curve.parquet",
        "results/{study}/models/{student}/{loss}/{seed}/validation.parquet",
        made="results/{study}/models/{student}/{loss}/{seed}/made.json",
    log:
        "logs/{study}/models/{student}/{loss}/{seed}/train.log",
    resources:
        gpu=1,
        # not a parameter: weights do not depend on it
        checkpoint_every=STUDY.training.checkpoint_every if STUDY.training else 0,
    params:
        code=code(
            "train",
            lambda w: {
                "objective": STUDY.losses[w.loss].objective,
                "architecture": STUDY.students[w.student].architecture,
            },
        ),
        teacher=repeated("--teacher", "teacher"),
        predecessor=repeated("--predecessor", "predecessor"),
        validate=each(
            "--validate {dataset} data/candidates/{first_stage}/{dataset}.parquet"
            " data/corpora/qrels/{dataset}.parquet data/tokens/{backbone}/queries/{dataset}.arrow"
            " data/tokens/{backbone}/passages/{corpus}.arrow",
            "validation",
        ),
    shell:
        "redistil train {input.recipe} {input.backbone} {input.queries} {input.passages}"
        " {input.negatives} $(dirname {output.made}) {params.teacher} {params.predecessor}"
        " {params.validate} --name {wildcards.student}/{wildcards.loss}/{wildcards.seed}"
        " --checkpoint-every {resources.checkpoint_every} --threads {threads} 2> {log}"


# A teacher's own training belongs to no study: all that learn from the teacher share it.
use rule recipe as teacher_recipe with:
    output:
        "data/teachers/models/{trained}/{student}/{loss}/{seed}/recipe.yaml",
    log:
        "logs/teachers/models/{trained}/{student}/{loss}/{seed}/recipe.log",


use rule train as train_teacher with:
    output:
        "data/teachers/models/{trained}/{student}/{loss}/{seed}/model.safetensors",
        "data/teachers/models/{trained}/{student}/{loss}/{seed}/curve.parquet",
        "data/teachers/models/{trained}/{student}/{loss}/{seed}/validation.parquet",
        made="data/teachers/models/{trained}/{student}/{loss}/{seed}/made.json",
    log:
        "logs/teachers/models/{trained}/{student}/{loss}/{seed}/train.log",


rule models:
    """Every training of the grid."""
    input:
        every("results/{study}/models/{student}/{loss}/{seed}/made.json", "cells"),
