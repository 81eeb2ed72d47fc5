"""The pages of the documentation's site, as `mkdocs.yml` takes them: those of `docs/`, and those made from README, notebook and code."""
