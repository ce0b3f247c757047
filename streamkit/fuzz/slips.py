"""Which errors show a slip of the code that raised them, in languages other than Python.

A caller can expect that a stream is refused; nobody expects that the parser stumbles. Every language has errors of its
own for the second: a member of nothing, an index beyond the end, a cast that fails. A driver may also say itself which
of the two an error is. What Python's own names mean, `streamkit.fuzz.judge` says.
"""

from __future__ import annotations

__all__ = ["PYTHON_SLIPS", "is_slip"]

PYTHON_SLIPS = frozenset({
    "AttributeError", "KeyError", "IndexError", "TypeError", "NameError", "UnboundLocalError", "AssertionError",
    "RecursionError", "ZeroDivisionError", "StopIteration", "StopAsyncIteration", "NotImplementedError",
    "UnicodeEncodeError", "MemoryError", "SystemError", "LookupError", "OverflowError",
})  # fmt: skip
_OTHER_SLIPS = frozenset({
    "RangeError", "ReferenceError",  # JavaScript; its TypeError is also Python's name, its SyntaxError is JSON.parse's
    "panic", "runtime.Error", "runtime.boundsError", "runtime.errorString", "runtime.plainError",
    "runtime.TypeAssertionError", "PanicException",  # Go and Rust
    "NullPointerException", "IndexOutOfBoundsException", "ArrayIndexOutOfBoundsException",
    "StringIndexOutOfBoundsException", "ClassCastException", "NegativeArraySizeException", "ArithmeticException",
    "ConcurrentModificationException", "StackOverflowError", "OutOfMemoryError", "NoSuchElementException",
    "KotlinNullPointerException", "UninitializedPropertyAccessException",  # Java and Kotlin
    "NullReferenceException", "IndexOutOfRangeException", "InvalidCastException", "ArgumentOutOfRangeException",
    "KeyNotFoundException", "DivideByZeroException",  # .NET
    "NoMethodError", "FrozenError", "SystemStackError",  # Ruby
    "ArgumentCountError", "DivisionByZeroError", "UnhandledMatchError",  # PHP
    "NoSuchMethodError",  # Dart
})  # fmt: skip
#: Where the names of a language's own errors live.
_HOMES = ("builtins", "java.lang", "java.util", "kotlin", "System", "System.Collections.Generic", "runtime")
#: The fetch standard and the encoding standard report a broken connection, and bytes that are not UTF-8, as TypeError.
_EXPECTED_TYPE_ERRORS = ("terminated", "fetch failed", "failed to fetch", "network error", "networkerror when",
                         "load failed", "the encoded data was not valid")  # fmt: skip


def is_slip(name: str, message: str) -> bool:
    """Whether an error shows a slip of the code that raised it.

    Args:
        name: of its class, with or without the package that it lives in.
        message: its text: in JavaScript some errors that a caller can expect are of a class for slips.
    """
    name = name.strip().lstrip("*&")
    home, _, short = name.rpartition(".")
    if short == "TypeError" and message.lower().startswith(_EXPECTED_TYPE_ERRORS):
        return False
    if name in _OTHER_SLIPS:
        return True
    return home in ("", *_HOMES) and (short in PYTHON_SLIPS or short in _OTHER_SLIPS)
