"""The commands of `forbear`, a module for each group. Each offers `add(commands)`, which connector.cli calls.

Commands import what they need when they run, so that `forbear --help` is quick.
"""
