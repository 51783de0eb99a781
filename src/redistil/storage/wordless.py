"""Code without its words: what a fingerprint reads of a statement."""

import ast

ROOT = "redistil"
BAR = "tqdm"

# calls whose statement only tells something, and keywords that only describe
SPEAKING = frozenset({"warn", "print", "echo", "secho", "debug", "info", "warning", "error"})

DESCRIBING = frozenset({"help", "short_help", "epilog", "metavar", "description"})

DECLARING = frozenset({"settings_from"})  # decorators: what an option holds is in the settings


def cleaned(statement: ast.stmt) -> ast.AST:
    """Return a statement without the words that only people read; it is changed in place."""
    clean: ast.AST = _Wordless().visit(statement) or ast.Pass()
    return clean


class _Wordless(ast.NodeTransformer):
    """Leaves out docstrings, messages, help texts, log lines, bar units and our own imports."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(body, list) and not body:
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        kept = [one for one in node.decorator_list if _called(one) not in DECLARING]
        node.decorator_list = [_unworded(one) for one in kept]
        return self._without_docstring(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._without_docstring(node)

    def _without_docstring(self, node: ast.FunctionDef | ast.ClassDef) -> ast.AST:
        if node.body and is_docstring(node.body[0]):
            node.body = node.body[1:]
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        call = node.value
        if isinstance(call, ast.Call) and _called(call) in SPEAKING:
            return None
        return None if isinstance(call, ast.Constant) else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            arguments = [*node.exc.args, *(keyword.value for keyword in node.exc.keywords)]
            if any(_has_words(one) for one in arguments):
                node.exc = node.exc.func
        return self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.msg = None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _called(node) == BAR:
            node.keywords = []
        node.keywords = [one for one in node.keywords if one.arg not in DESCRIBING]
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        # the words that a setting admits are in the settings, if it is one of them
        return node.value if _called(node.value) == "Literal" else self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if (node.module or "").split(".")[0] == ROOT else node

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        return None if node.names[0].name.split(".")[0] == ROOT else node


def _called(call: ast.expr) -> str:
    """Return the last word of what is called: `echo` of `click.echo(...)`."""
    function = call.func if isinstance(call, ast.Call) else call
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _has_words(node: ast.AST) -> bool:
    for part in ast.walk(node):
        if isinstance(part, ast.JoinedStr) or _is_text(part):
            return True
    return False


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _unworded(node: ast.expr) -> ast.expr:
    """Empty the texts of a decorator that have blanks: flags have none, help texts have."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and " " in part.value:
            part.value = ""
    return node


def is_docstring(statement: ast.stmt) -> bool:
    """Say whether a statement is a text alone."""
    is_constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_constant and isinstance(statement.value.value, str)  # type: ignore[attr-defined]
