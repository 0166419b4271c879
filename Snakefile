# One rule for each job of a profile (profiles.toml); `make reproduce` calls this, and so can you:
#   snakemake --cores all --config profile=gpu jobs=2 --dry-run
# A cluster is one of Snakemake's executor plugins away, with no change here.
import sys
from pathlib import Path

from irnas_lib import profiles

profile = config.get("profile", "smoke")
planned = profiles.load(profile)
library = sorted(str(path) for folder in ("irnas_lib", "notebooks/exercises") for path in Path(folder).rglob("*.*")
                 if path.suffix in (".py", ".csv"))


def done(name):
    """A file that stands for a finished job. The notebook itself must survive a failure, so it is not an output."""
    return f"runs/{profile}/done/{name}"


rule everything:
    default_target: True
    input:
        done("figures"),


rule figures:
    input:
        [done(job.name) for job in planned],
    output:
        touch(done("figures")),
    shell:
        "{sys.executable:q} -m irnas_lib.figures --profile {profile} > /dev/null"


for place, job in enumerate(profiles.by_worth(planned)):

    rule:
        name: job.name
        input:
            source=f"notebooks/{job.notebook}.py",
            needs=[done(name) for name in job.needs],
            library=library,
        output:
            touch(done(job.name)),
        params:
            job=job.name,
            parameters=job.parameters,
        # torch uses every core, so jobs that run at once share them
        threads: max(1, workflow.cores // int(config.get("jobs", 1))),
        priority: len(planned) - place
        shell:
            "{sys.executable:q} -m irnas_lib.batch run {profile} {params.job}"
