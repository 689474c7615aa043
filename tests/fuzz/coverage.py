"""How much of the C headers the corpora reach: the lines and branches of all harnesses together.

    python tests/fuzz/coverage.py LLVM-COV PROGRAM...

Beside each program is PROGRAM.profdata. `make fuzz-coverage` makes both.
"""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

HEADERS = Path(__file__).resolve().parents[2] / "imeiset" / "_native" / "c"


def exported(tool: str, program: str, form: str) -> str:
    command = [tool, "export", program, f"-instr-profile={program}.profdata", f"-format={form}", str(HEADERS)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main(tool: str, *programs: str) -> None:
    lines: dict[str, dict[int, bool]] = defaultdict(dict)
    branches: dict[str, dict[tuple[int, ...], bool]] = defaultdict(dict)
    for program in programs:
        header = ""
        for row in exported(tool, program, "lcov").splitlines():
            kind, _, rest = row.partition(":")
            if kind == "SF":
                header = Path(rest).name
            if kind == "DA":
                line, count = map(int, rest.split(",")[:2])
                lines[header][line] = lines[header].get(line, False) or count > 0
        for file in json.loads(exported(tool, program, "text"))["data"][0]["files"]:
            found = branches[Path(file["filename"]).name]
            for *place, taken, not_taken, _, _, _ in file["branches"]:
                for side, count in enumerate((taken, not_taken)):
                    key = (*place, side)
                    found[key] = found.get(key, False) or count > 0
    for header in sorted(lines):
        missed = [str(line) for line, reached in sorted(lines[header].items()) if not reached]
        sides = sorted({f"{key[0]}:{key[1]}" for key, taken in branches[header].items() if not taken})
        if missed or sides:
            print(f"{header}: lines not reached {' '.join(missed) or '-'}; branches {' '.join(sides) or '-'}")
    for what, counted in (("lines", lines), ("branches", branches)):
        reached = sum(sum(one.values()) for one in counted.values())
        number = sum(map(len, counted.values()))
        print(f"{what}: {reached:,} of {number:,}, {reached / number:.1%}")


main(*sys.argv[1:])
