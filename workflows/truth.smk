"""Unbiased paths against brute force at a temperature where it can be had: `make truth`, or `snakemake -s workflows/truth.smk --cores 2`.

Transitions are cut from long trajectories and stored with their seed; runs of several seeds are shot at the same temperature, and the pooled
weighted paths are compared with the transitions: lengths, highest energies, density, shares of routes, rate, each with its bootstrap null,
and the same without weights.
"""

OUT = config.get("out", "runs/truth")
BENCHMARK = f"{workflow.basedir}/benchmark.py"
SYSTEM = config.get("system", "alanine_dipeptide")
TEMPERATURE = config.get("temperature", 800)
SEEDS = [int(s) for s in str(config.get("seeds", "1,2,3")).split(",")]
REFERENCE_SEED = int(config.get("reference_seed", 1))
TRANSITIONS = int(config.get("transitions", 4000))
PATHS = int(config.get("paths", 4000))
BUDGET = int(config.get("budget", 20_000_000))
RUNG = int(config.get("rung_steps", 10000))  # shares of routes are no better than the ladders that link their crossings to A


rule all:
    input:
        f"{OUT}/table.md",


rule reference:
    output:
        f"{OUT}/brute_force/summary.json",
    threads: workflow.cores
    shell:
        "rm -rf {OUT}/brute_force && python {BENCHMARK:q} brute-force {SYSTEM} --temperature {TEMPERATURE}"
        " --transitions {TRANSITIONS} --seed {REFERENCE_SEED} --out {OUT}/brute_force"


rule run:
    output:
        f"{OUT}/seed_{{seed}}/summary.json",
    threads: workflow.cores
    shell:
        "spacetime-tps run {SYSTEM} --temperature {TEMPERATURE} --guided 0 --unbiased {PATHS} --budget {BUDGET} --seed {wildcards.seed}"
        " --set unbiased.rung_steps={RUNG} --set workers={threads} --out {OUT}/seed_{wildcards.seed}"


rule table:
    input:
        f"{OUT}/brute_force/summary.json",
        expand(f"{OUT}/seed_{{seed}}/summary.json", seed=SEEDS),
    output:
        f"{OUT}/table.md",
        f"{OUT}/truth.json",
    params:
        folders=" ".join(f"{OUT}/seed_{s}" for s in SEEDS),
    shell:
        "python {BENCHMARK:q} truth {OUT}/brute_force {params.folders} --out {OUT}"
