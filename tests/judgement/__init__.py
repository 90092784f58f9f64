"""Is the judgement right? Hand-made customers with the answer a careful bookkeeper would give."""
