"""How much of the C headers the corpora reach: the lines and branches of all harnesses together.

    python tests/fuzz/coverage.py LLVM-COV PROGRAM...

Beside each program is PROGRAM.profdata. `make fuzz-coverage` makes both. A header that is compiled once for
each SIMD level counts once: a line is reached if one of them reaches it.
"""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

HEADERS = Path(__file__).resolve().parents[2] / "imeiset" / "_native" / "c"
CODE, SKIPPED = 0, 2  # kinds of regions


def lines_of(regions: list[list[int]]) -> dict[int, bool]:
    """The lines of one function in one file, and whether each was reached."""
    skipped = {
        line for start, _, end, _, _, kind in regions if kind == SKIPPED for line in range(start, end + 1)
    }
    code = sorted(region for region in regions if region[5] == CODE)
    found: dict[int, bool] = {}
    for start, _, end, _, count, _ in code:  # an inner region comes later than the one around it
        for line in range(start, end + 1):
            reached = count > 0 or (line == start and found.get(line, False))
            found[line] = reached
    return {line: reached for line, reached in found.items() if line not in skipped}


def functions(tool: str, program: str) -> list[dict[str, Any]]:
    command = [tool, "export", program, f"-instr-profile={program}.profdata", str(HEADERS)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output)["data"][0]["functions"]


def main(tool: str, *programs: str) -> None:
    lines: dict[str, dict[int, bool]] = defaultdict(dict)
    branches: dict[str, dict[tuple[int, ...], bool]] = defaultdict(dict)
    for function in (one for program in programs for one in functions(tool, program)):
        for number, name in enumerate(function["filenames"]):
            path = Path(name).resolve()
            if path.parent != HEADERS:
                continue
            regions = [[*one[:5], one[7]] for one in function["regions"] if one[5] == number]
            for line, reached in lines_of(regions).items():
                lines[path.name][line] = lines[path.name].get(line, False) or reached
            for *place, taken, not_taken, file, _, _ in function["branches"]:
                for side, count in enumerate((taken, not_taken)) if file == number else ():
                    key = (*place, side)
                    branches[path.name][key] = branches[path.name].get(key, False) or count > 0
    for header in sorted(lines):
        missed = [str(line) for line, reached in sorted(lines[header].items()) if not reached]
        sides = sorted({(key[0], key[1]) for key, taken in branches[header].items() if not taken})
        if missed or sides:
            at = " ".join(f"{line}:{column}" for line, column in sides)
            print(f"{header}: not reached: lines {' '.join(missed) or '-'}, branches {at or '-'}")
    for what, counted in (("lines", lines), ("branches", branches)):
        reached = sum(sum(one.values()) for one in counted.values())
        number = sum(map(len, counted.values()))
        print(f"{what}: {reached:,} of {number:,}, {reached / number:.1%}")


main(*sys.argv[1:])
