"""One run by many jobs: `snakemake -s workflows/cluster.smk --profile workflows/profiles/slurm --config run="..." shards=20 out=runs/ala`.

One job explores, as many as there are shards make guided, reverse and steered paths, one gathers them, one shoots unbiased paths where any are
asked for, and one writes the report. The run is in OUT/run, and what says which jobs are done in OUT/jobs: a job that was killed is begun
again and goes on. docs/cluster.md.
"""

OUT = config.get("out", "runs/cluster")
WORDS = config.get("run", "butane --guided 100 --reverse 100 --seed 1")  # what one job would be told after `spacetime-tps run`, but --out
SHARDS = int(config.get("shards", 4))
UNBIASED = int(config.get("unbiased", 0))  # effective paths
THREADS = int(config.get("threads", 1))  # processes of each shard; of the jobs that are alone all that the profile gives them
RUN, JOBS = f"{OUT}/run", f"{OUT}/jobs"


localrules:
    all,


rule all:
    input:
        f"{JOBS}/reported",


rule explore:
    output:
        touch(f"{JOBS}/explored"),
    params:
        words=WORDS,
    threads: int(config.get("explore_threads", 4))
    shell:
        "spacetime-tps run {params.words} --out {RUN:q} --set workers={threads} --explore"


rule shard:
    input:
        f"{JOBS}/explored",
    output:
        touch(f"{JOBS}/shard_{{index}}_of_{SHARDS}"),
    threads: THREADS
    shell:
        "spacetime-tps run {RUN:q} --shard {wildcards.index}/{SHARDS} --set workers={threads}"


rule gather:
    input:
        expand(f"{JOBS}/shard_{{index}}_of_{SHARDS}", index=range(1, SHARDS + 1)),
    output:
        touch(f"{JOBS}/gathered"),
    shell:
        "spacetime-tps gather {RUN:q}"


rule shoot:
    input:
        f"{JOBS}/gathered",
    output:
        touch(f"{JOBS}/shot"),
    params:
        paths=UNBIASED,
    threads: int(config.get("explore_threads", 4))
    shell:
        "spacetime-tps shoot {RUN:q} --unbiased {params.paths}"


rule report:
    input:
        f"{JOBS}/shot" if UNBIASED else f"{JOBS}/gathered",
    output:
        touch(f"{JOBS}/reported"),
    shell:
        "spacetime-tps report {RUN:q}"
