"""Four carbons in a chain in files of GROMACS and CHARMM, one molecule whose energy is written out: nothing of it comes from OpenMM."""

from pathlib import Path

import numpy as np

BOND, STIFF = 0.153, 2.0e5
"""nm, kJ/mol/nm^2"""
ANGLE, BEND = np.radians(112.0), 500.0
"""radians, kJ/mol/rad^2"""
TORSION = 6.0
"""kJ/mol, three-fold"""
SIGMA, EPSILON, CHARGES = 0.35, 0.4, (0.2, -0.2, -0.2, 0.2)
"""nm, kJ/mol, e"""
COULOMB = 138.935458
"""kJ/mol nm/e^2"""
KCAL = 4.184

TOP = f"""[ defaults ]
1 2 yes 1.0 1.0
[ atomtypes ]
CT 6 12.011 0.0 A {SIGMA} {EPSILON}
#include "chain.itp"
[ system ]
four carbons
[ molecules ]
BUT 1
"""
ITP = f"""[ moleculetype ]
BUT 3
[ atoms ]
{"".join(f"{k} CT 1 BUT C{k} {k} {q} 12.011{chr(10)}" for k, q in enumerate(CHARGES, start=1))}
[ bonds ]
{"".join(f"{i} {i + 1} 1 {BOND} {STIFF}{chr(10)}" for i in (1, 2, 3))}
[ angles ]
{"".join(f"{i} {i + 1} {i + 2} 1 {np.degrees(ANGLE)} {BEND}{chr(10)}" for i in (1, 2))}
[ dihedrals ]
1 2 3 4 1 0.0 {TORSION} 3
[ pairs ]
1 4 1
"""
PSF = f"""PSF

       1 !NTITLE
 REMARKS four carbons

       4 !NATOM
{"".join(f"{k:8d} A    1    BUT  C{k}   CT   {q:10.6f}       12.0110           0{chr(10)}" for k, q in enumerate(CHARGES, start=1))}
       3 !NBOND: bonds
       1       2       2       3       3       4

       2 !NTHETA: angles
       1       2       3       2       3       4

       1 !NPHI: dihedrals
       1       2       3       4

       0 !NIMPHI: impropers

       0 !NDON: donors

       0 !NACC: acceptors

       0 !NNB

"""
PRM = f"""* four carbons
*
ATOMS
MASS -1 CT 12.011
BONDS
CT CT {STIFF / 2 / KCAL / 100!r} {10 * BOND}
ANGLES
CT CT CT {BEND / 2 / KCAL!r} {np.degrees(ANGLE)}
DIHEDRALS
CT CT CT CT {TORSION / KCAL!r} 3 0.0
NONBONDED nbxmod 5 atom cdiel fshift vatom vdistance vfswitch -
cutnb 14.0 ctofnb 12.0 ctonnb 10.0 eps 1.0 e14fac 1.0 wmin 1.5
CT 0.0 {-EPSILON / KCAL!r} {10 * SIGMA * 2 ** (1 / 6) / 2!r}
END
"""


def placed(torsion: float) -> np.ndarray:
    """Positions (4, 3) in nm with bonds and angles at rest and a torsion in degrees."""
    phi, along, aside = np.radians(torsion), BOND * np.cos(np.pi - ANGLE), BOND * np.sin(np.pi - ANGLE)
    first = np.array([-along, aside, 0.0])
    last = np.array([BOND + along, aside * np.cos(phi), aside * np.sin(phi)])
    return np.array([first, [0.0, 0.0, 0.0], [BOND, 0.0, 0.0], last]) + 1.0


def energy(x: np.ndarray) -> float:
    """Of positions (4, 3) in nm, kJ/mol."""
    sides = np.diff(x, axis=0)
    lengths = np.linalg.norm(sides, axis=1)
    bent = np.array([np.arccos(-(sides[k] @ sides[k + 1]) / lengths[k] / lengths[k + 1]) for k in (0, 1)])
    normals = np.cross(sides[:-1], sides[1:])
    cosine = normals[0] @ normals[1] / np.prod(np.linalg.norm(normals, axis=1))
    r = np.linalg.norm(x[3] - x[0])
    pair = 4 * EPSILON * ((SIGMA / r) ** 12 - (SIGMA / r) ** 6) + COULOMB * CHARGES[0] * CHARGES[3] / r
    torsion = TORSION * (1 + 4 * cosine**3 - 3 * cosine)
    return float(0.5 * STIFF * ((lengths - BOND) ** 2).sum() + 0.5 * BEND * ((bent - ANGLE) ** 2).sum() + torsion + pair)


def gro(x: np.ndarray) -> str:
    atoms = [f"{1:5d}{'BUT':5}{f'C{k}':>5}{k:5d}{p[0]:8.3f}{p[1]:8.3f}{p[2]:8.3f}\n" for k, p in enumerate(x, start=1)]
    return f"four carbons\n{len(x):5d}\n{''.join(atoms)}   0.00000   0.00000   0.00000\n"


def crd(x: np.ndarray) -> str:
    rows = [
        f"{k:5d}{1:5d} BUT  C{k}  {p[0] * 10:10.5f}{p[1] * 10:10.5f}{p[2] * 10:10.5f} A    1      0.00000\n"
        for k, p in enumerate(x, start=1)
    ]
    return f"* four carbons\n*\n{len(x):5d}\n{''.join(rows)}"


def inpcrd(x: np.ndarray) -> str:
    numbers = [f"{v:12.7f}" for v in (10 * x).ravel()]
    return f"title\n{len(x):6d}\n" + "".join("".join(numbers[k : k + 6]) + "\n" for k in range(0, len(numbers), 6))


def pdb(x: np.ndarray, order: tuple[int, ...] = (1, 2, 3, 4)) -> str:
    atoms = [
        f"HETATM{n:5d}  C{k}  BUT A   1    {10 * x[k - 1][0]:8.3f}{10 * x[k - 1][1]:8.3f}{10 * x[k - 1][2]:8.3f}  1.00  0.00           C\n"
        for n, k in enumerate(order, start=1)
    ]
    return "".join(atoms)


def write(folder: Path) -> None:
    """Everything, the molecule gauche and trans: chain.top and its chain.itp, chain.psf, chain.prm; gauche and trans as gro, crd, rst7."""
    for name, text in (("chain.top", TOP), ("chain.itp", ITP), ("chain.psf", PSF), ("chain.prm", PRM)):
        (folder / name).write_text(text)
    for name, torsion in (("gauche", 62.0), ("trans", 178.0)):
        for suffix, written in (("gro", gro), ("crd", crd), ("rst7", inpcrd), ("pdb", pdb)):
            (folder / f"{name}.{suffix}").write_text(written(placed(torsion)))
