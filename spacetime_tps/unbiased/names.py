"""What walks in windows, batches and paths of the unbiased stage are kept under, and what those names say."""

STAGE = "unbiased"
EVERY_PATH = f"{STAGE}_*"
"""A pattern for the names of all paths"""


def batch_name(site: int, number: int) -> str:
    """Of a site's batch; its paths' names begin so."""
    return f"{site}_{number:04d}"


def every_batch(site: int) -> str:
    """A pattern for the names of all of a site's batches."""
    return f"{site}_*"


def ladder_name(site: int, walk: int) -> str:
    """Of a walk on a site's ladder."""
    return f"{site}_ladder_{walk}"


def walk_name(batch: str, walk: int) -> str:
    """Of one of a batch's walks."""
    return f"{batch}_{walk}"


def batch_of(walk: str) -> str:
    """The name of the batch that a walk is of."""
    site, number, _ = _parts(walk)
    return f"{site}_{number}"


def site_of(walk: str) -> int:
    """The number of the site that a walk is of."""
    return int(_parts(walk)[0])


def place_of(walk: str) -> tuple[int, int]:
    """The number of the site, and that of the walker there."""
    site, _, walker = _parts(walk)
    return int(site), int(walker)


def walker_of(walk: str) -> str:
    """The walker of a site that a walk is of: it goes on from batch to batch."""
    site, _, walker = _parts(walk)
    return f"{site}_{walker}"


def path_name(batch: str, shot: int) -> str:
    """Of the path of one of a batch's shots."""
    return f"{STAGE}_{batch}_{shot:04d}"


def _parts(walk: str) -> tuple[str, str, str]:
    site, number, walker = walk.split("_")
    return site, number, walker
