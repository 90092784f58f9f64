"""Words as data: `tone.<language>.toml` is what no message may say, `letters.<variant>.toml` what ours say.

A language is added by adding its files; no code changes.
"""
