"""What may be changed in a module so that it does something else: see mutants.py."""

import ast
import re
from itertools import pairwise
from typing import Any, NamedTuple

COMPARED = {
    "<=": "<",
    "<": "<=",
    ">=": ">",
    ">": ">=",
    "==": "!=",
    "!=": "==",
    "is not": "is",
    "is": "is not",
}
COMPARED |= {"not in": "in", "in": "not in"}
COUNTED = {"**": "*", "//": "*", "<<": ">>", ">>": "<<", "+": "-", "-": "+", "*": "//", "/": "*", "%": "//"}
COUNTED |= {"&": "|", "|": "&", "^": "&"}
JOINED = {"and": "or", "or": "and"}
TOLD = re.compile(r"(Error|Warning|Missing|warn|cast|TypeVar|overload)$|^_?log(ger)?$|^logging$")


class Mutant(NamedTuple):
    """One change: the bytes `start` to `end` of a file become `after`."""

    file: str
    function: str
    lines: frozenset[int]  # a test that reaches one of them may notice
    start: int
    end: int
    after: bytes

    def texts(self, source: bytes) -> tuple[str, str]:
        """The lines that change, as they are and as they would be, in one line each."""
        first, last = source.rfind(b"\n", 0, self.start) + 1, source.find(b"\n", self.end)
        new = source[first : self.start] + self.after + source[self.end : last]
        return " ".join(source[first:last].decode().split()), " ".join(new.decode().split())

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.after + source[self.end :]


class Finder(ast.NodeVisitor):
    """All mutants of one file."""

    def __init__(self, file: str, source: bytes) -> None:
        self.file, self.source, self.found, self.names, self.statement = file, source, [], [], 0
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.visit(ast.parse(source))

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            self.statement = node.lineno
        super().visit(node)

    def span(self, node: Any) -> tuple[int, int]:
        begin, end = self.starts[node.lineno - 1], self.starts[node.end_lineno - 1]
        return begin + node.col_offset, end + node.end_col_offset

    def text(self, node: Any) -> bytes:
        return self.source[slice(*self.span(node))]

    def add(self, node: Any, start: int, end: int, after: bytes) -> None:
        lines = frozenset([node.lineno, node.end_lineno, self.statement])
        self.found.append(Mutant(self.file, ".".join(self.names), lines, start, end, after))

    def swap(self, node: Any, after: bytes) -> None:
        self.add(node, *self.span(node), after)

    def operator(self, node: Any, left: Any, right: Any, table: dict[str, str]) -> None:
        """The operator between two operands, whatever brackets and blanks are there too."""
        names = "|".join(re.escape(name) for name in sorted(table, key=len, reverse=True))
        start, end = self.span(left)[1], self.span(right)[0]
        if found := re.search(names.encode(), self.source[start:end]):
            self.add(node, start + found.start(), start + found.end(), table[found[0].decode()].encode())

    def word(self, node: Any) -> None:
        """A word that decides something; other texts are told."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            end = self.span(node)[1]
            self.add(node, end - 1, end, b"x" + self.text(node)[-1:])

    def within(self, name: str, parts: list[Any]) -> None:
        self.names.append(name)
        for part in parts:
            self.visit(part)
        self.names.pop()

    def visit_ClassDef(self, node: Any) -> None:
        self.within(node.name, node.body)

    def visit_FunctionDef(self, node: Any) -> None:
        overload = any(TOLD.search(ast.unparse(one)) for one in node.decorator_list)
        if node.name not in ("__repr__", "__str__") and not overload:
            defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            self.within(node.name, [*defaults, *node.body])

    def visit_AnnAssign(self, node: Any) -> None:
        if node.value and ast.unparse(node.annotation) != "TypeAlias":
            self.visit(node.value)

    def visit_Assign(self, node: Any) -> None:
        if ast.unparse(node.targets[0]) not in ("__slots__", "__all__"):
            self.generic_visit(node)

    def visit_Expr(self, node: Any) -> None:
        if isinstance(node.value, ast.Call) and not self.is_told(node.value):
            self.swap(node, b"pass")
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def is_told(self, call: ast.Call) -> bool:
        return any(TOLD.search(name) for name in ast.unparse(call.func).split("."))

    def visit_Raise(self, node: Any) -> None:
        self.swap(node, b"pass")

    def visit_JoinedStr(self, node: Any) -> None:
        pass

    def visit_Call(self, node: Any) -> None:
        if self.is_told(node):
            return
        if ast.unparse(node.func) in ("isinstance", "issubclass"):
            self.visit(node.args[0])  # types otherwise
            return
        alone = len(node.args) == 1 and not node.keywords
        if alone and not isinstance(node.args[0], ast.Starred | ast.GeneratorExp):
            self.swap(node, b"(" + self.text(node.args[0]) + b")")
        before = node.args[-1:]
        for keyword in node.keywords:
            if keyword.arg not in (None, "strict") and before:
                self.add(keyword, self.span(before[-1])[1], self.span(keyword)[1], b"")
            before = [keyword.value]
        self.generic_visit(node)

    def visit_keyword(self, node: Any) -> None:
        if node.arg != "strict":  # which asserts what is so
            self.generic_visit(node)

    def visit_Return(self, node: Any) -> None:
        if node.value and ast.unparse(node.value) != "None":
            self.swap(node, b"return None")
            self.generic_visit(node)

    def visit_Break(self, node: Any) -> None:
        self.swap(node, b"continue")

    def visit_Continue(self, node: Any) -> None:
        self.swap(node, b"break")

    def visit_Compare(self, node: Any) -> None:
        for left, right in pairwise([node.left, *node.comparators]):
            self.operator(node, left, right, COMPARED)
            self.word(right)
        self.generic_visit(node)

    def visit_Subscript(self, node: Any) -> None:
        self.word(node.slice)
        self.generic_visit(node)

    def visit_MatchValue(self, node: Any) -> None:
        self.word(node.value)
        self.generic_visit(node)

    def visit_BinOp(self, node: Any) -> None:
        if self.names or not isinstance(node.op, ast.BitOr):  # a type
            self.operator(node, node.left, node.right, COUNTED)
            self.generic_visit(node)

    def visit_AugAssign(self, node: Any) -> None:
        self.operator(node, node.target, node.value, COUNTED)
        self.generic_visit(node)

    def visit_BoolOp(self, node: Any) -> None:
        for left, right in pairwise(node.values):
            self.operator(node, left, right, JOINED)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: Any) -> None:
        if isinstance(node.op, ast.Not):
            self.swap(node, self.text(node.operand))
        self.generic_visit(node)

    def condition(self, node: Any) -> None:
        if ast.unparse(node.test) != "TYPE_CHECKING":
            if not isinstance(node.test, ast.Compare | ast.UnaryOp | ast.NamedExpr):  # which have their own
                self.swap(node.test, b"(not (" + self.text(node.test) + b"))")
            self.generic_visit(node)

    visit_If = visit_While = visit_IfExp = condition

    def visit_Constant(self, node: Any) -> None:
        if isinstance(node.value, bool):
            self.swap(node, str(not node.value).encode())
        elif isinstance(node.value, int):
            self.swap(node, f"({node.value} + 1)".encode())
