from spacetime_tps.cli import app

app()
